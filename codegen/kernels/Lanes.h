// What a vector of the emitted code is on a target, and how it reaches memory. A loop's body works
// on `width` neighbours at a time: lanes of a vector register under a mask on a CPU; on a GPU the
// elements of one thread, of which there may be one. Where a target has no masks, its loops run
// over whole vectors alone.
#pragma once

#include "llvm/IR/IRBuilder.h"

namespace doppel::kernels {

class Lanes {
public:
  /// `width`: elements of a vector, a power of two; with 1 there are plain numbers and no vectors.
  /// `tableSpace`: the address space of constant tables.
  Lanes(unsigned width, unsigned tableSpace) : width(width), tableSpace(tableSpace) {}
  virtual ~Lanes() = default;

  const unsigned width, tableSpace;

  llvm::Type *vectorOf(llvm::Type *element) const {
    return width == 1 ? element : llvm::FixedVectorType::get(element, width);
  }
  llvm::Value *widen(llvm::IRBuilder<> &b, llvm::Value *value) const {
    return width == 1 || value->getType()->isVectorTy() ? value : b.CreateVectorSplat(width, value);
  }
  /// 0, 1, ... in the lanes.
  llvm::Constant *numbers(llvm::Type *type) const;

  // Vectors of more than one element. `mask` is a vector of i1, or null where every lane is there;
  // what is loaded in a lane without is no number that anybody looks at.

  /// The neighbours from element `first` of `base` on; `aligned` where that is a multiple of the
  /// width.
  virtual llvm::Value *load(llvm::IRBuilder<> &b, llvm::Type *element, llvm::Value *base,
                            llvm::Value *first, llvm::Value *mask, bool aligned) const = 0;
  /// An element from each address. `base` may be read whatever the mask says.
  virtual llvm::Value *gather(llvm::IRBuilder<> &b, llvm::Type *element, llvm::Value *base,
                              llvm::Value *addresses, llvm::Value *mask) const = 0;
  virtual void store(llvm::IRBuilder<> &b, llvm::Value *value, llvm::Value *base,
                     llvm::Value *first, llvm::Value *mask, bool aligned) const = 0;
};

/// Registers of a CPU: llvm.masked.* where there is a mask.
class MaskedLanes : public Lanes {
public:
  explicit MaskedLanes(unsigned width) : Lanes(width, 0) {}
  llvm::Value *load(llvm::IRBuilder<> &b, llvm::Type *element, llvm::Value *base,
                    llvm::Value *first, llvm::Value *mask, bool aligned) const override;
  llvm::Value *gather(llvm::IRBuilder<> &b, llvm::Type *element, llvm::Value *base,
                      llvm::Value *addresses, llvm::Value *mask) const override;
  void store(llvm::IRBuilder<> &b, llvm::Value *value, llvm::Value *base, llvm::Value *first,
             llvm::Value *mask, bool aligned) const override;
};

/// The elements of one thread of a GPU. A vector that lies aligned is one access; any other is one
/// access an element, of which a lane without its mask reads the base. Stores have no masks.
class ThreadLanes : public Lanes {
public:
  ThreadLanes(unsigned width, unsigned tableSpace) : Lanes(width, tableSpace) {}
  llvm::Value *load(llvm::IRBuilder<> &b, llvm::Type *element, llvm::Value *base,
                    llvm::Value *first, llvm::Value *mask, bool aligned) const override;
  llvm::Value *gather(llvm::IRBuilder<> &b, llvm::Type *element, llvm::Value *base,
                      llvm::Value *addresses, llvm::Value *mask) const override;
  void store(llvm::IRBuilder<> &b, llvm::Value *value, llvm::Value *base, llvm::Value *first,
             llvm::Value *mask, bool aligned) const override;
};

} // namespace doppel::kernels
