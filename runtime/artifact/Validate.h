// The checks of a program that FlatBuffers' verifier does not make.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/schema/Format.h"
#include "runtime/schema/program_generated.h"

#include <span>

namespace doppel::runtime {

/// Whether the elements lie where an int64 may be read. FlatBuffers' verifier looks at the place of
/// a vector's length alone.
template <typename T> bool isAligned(const flatbuffers::Vector<T> &vector) {
  return vector.size() == 0 || reinterpret_cast<uintptr_t>(vector.Data()) % alignof(int64_t) == 0;
}

/// Every index, enum, range, dtype, size and name of a program that FlatBuffers' verifier has
/// accepted. The error names the element: "buffers[12].offset 4096 + 512 exceeds arena 'transient'
/// of 4000".
/// `segments` are the file's.
Result<void> validateProgram(const schema::Program &program,
                             std::span<const format::Segment> segments);

} // namespace doppel::runtime
