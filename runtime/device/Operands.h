// What all devices ask of the operands of a command before they record it.
#pragma once

#include "runtime/device/Device.h"

namespace doppel::runtime {

/// Fails unless the operands of a command called `name` lie in memory of `device`.
Result<void> expectOperands(const Device &device, std::string_view name,
                            std::span<const TensorRef> inputs, std::span<const TensorRef> outputs);

/// Fails unless a call has as many operands and integers as its operation takes.
Result<void> expectArity(const LibraryCall &call);

} // namespace doppel::runtime
