// What code for GPUs has beside the kernels of its program, and how it is launched. Part of the
// artifact's schema, like Abi.h.
#pragma once

#include <cstdint>

namespace doppel::abi {

/// Architectures that `--target cuda:sm_NN` takes, the least first: what a runtime may advise.
inline constexpr int gpuArchitectures[] = {80, 86, 89, 90, 100, 120};

/// Threads of a block of each kernel here.
inline constexpr int gpuReservedThreads = 256;

/// The flag of a stream, 64 bits: clear, or command * 2^40 + element of the first value that was
/// not finite. It stays set until the host clears it.
inline constexpr uint64_t gpuFlagClear = ~uint64_t(0);
inline constexpr int gpuFlagCommandShift = 40;

// Each kernel of a program takes one more argument behind all others, `const uint64_t *flag`: null,
// or the stream's, while which is set it does nothing. What writes states is given it.

// These stand in the last module of each code set. 64-bit integers, pointers to device memory.

/// (const float *values, count, blocks, uint64_t *partials): each of `blocks` blocks writes the
/// least index of a value that is not finite among those that it looked at, or gpuFlagClear.
/// `values` is aligned to 16 bytes.
inline constexpr const char *gpuCheckPartials = "doppel_check_partials";
/// (const uint64_t *partials, blocks, command, uint64_t *flag), one block: sets the flag unless it
/// is set. After gpuCheckPartials.
inline constexpr const char *gpuCheckFlag = "doppel_check_flag";
/// (const void *source, void *target, bytes, blocks, const uint64_t *flag), `blocks` blocks: a copy
/// that heeds the flag like a kernel of a program. By vectors where both are aligned to 16 bytes.
inline constexpr const char *gpuCopy = "doppel_copy";
/// (const RunScalars *run, int32_t *permutation, count, stream), one block: random_permutation.
inline constexpr const char *gpuPermutation = "doppel_permutation";

} // namespace doppel::abi
