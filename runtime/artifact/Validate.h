// The checks of a program that FlatBuffers' verifier does not make.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/schema/program_generated.h"

#include <filesystem>
#include <set>
#include <string>

namespace doppel::runtime {

/// Whether the elements lie where an int64 may be read. FlatBuffers' verifier looks at the place of
/// a vector's length alone.
template <typename T> bool isAligned(const flatbuffers::Vector<T> &vector) {
  return vector.size() == 0 || reinterpret_cast<uintptr_t>(vector.Data()) % alignof(int64_t) == 0;
}

/// Every index, enum, range, dtype, size and name of a program that FlatBuffers' verifier has
/// accepted. The error names the element: "buffers[12].offset 4096 + 512 exceeds arena 'transient'
/// of 4000".
Result<void> validateProgram(const schema::Program &program);

/// Whether this machine's processor has the features that the code needs. The error names those
/// that are missing.
Result<void> checkProcessor(const schema::Program &program);

/// The processor features of this machine, as the kernel names them in `file`. Fails where that
/// cannot be read.
Result<std::set<std::string>>
processorFeatures(const std::filesystem::path &file = "/proc/cpuinfo");

} // namespace doppel::runtime
