// Faults that a code generator could make, each put into a compiled kernel while it still has its
// placeholders: PlantedFaults.cpp runs what comes of it.
#pragma once

#include "llvm/IR/Module.h"

#include <cstdint>
#include <vector>

namespace doppel::cuda {

/// A kernel, whose arguments are inputs, outputs, slabs and scratch memory, in this order.
struct FaultyKernel {
  llvm::Function &function;
  unsigned inputs, outputs;
  bool hasScratch;
  bool inPlace;    ///< an output is the bytes of an input
  bool readsParts; ///< of an input: a slice
  bool isSmall;    ///< a vector or so
  int64_t blocks;
};

struct Fault {
  const char *name;
  /// The kinds of kernels that it is planted in, as the dialect names them, with blanks between.
  const char *kinds;
  /// Of the message that tells it, behind the kernel and its place.
  const char *message;
  /// False where the kernel has no place for it, and is as it was.
  bool (*plant)(FaultyKernel &kernel);
  /// Added to the number of blocks that the program launches and the kernel was made for.
  int64_t moreBlocks = 0;
};

/// All of them.
const std::vector<Fault> &faults();

} // namespace doppel::cuda
