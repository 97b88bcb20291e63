// What an operation of nn is to the passes: traits that NnOps.td gives, so that no pass keeps a
// list of operations. NnBase.td tells what each one promises.
#pragma once

#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace doppel::nn {

template <typename Op> class Fusible : public mlir::OpTrait::TraitBase<Op, Fusible> {};
template <typename Op> class OwnKernel : public mlir::OpTrait::TraitBase<Op, OwnKernel> {};
template <typename Op> class ReadsRun : public mlir::OpTrait::TraitBase<Op, ReadsRun> {};
template <typename Op> class LibraryCall : public mlir::OpTrait::TraitBase<Op, LibraryCall> {};
template <typename Op> class SumsProducts : public mlir::OpTrait::TraitBase<Op, SumsProducts> {};
template <typename Op> class Collective : public mlir::OpTrait::TraitBase<Op, Collective> {};
template <typename Op> class Layout : public mlir::OpTrait::TraitBase<Op, Layout> {};
template <typename Op> class WritesStates : public mlir::OpTrait::TraitBase<Op, WritesStates> {};
template <typename Op> class GoneInTrain : public mlir::OpTrait::TraitBase<Op, GoneInTrain> {};
template <typename Op>
class ZeroDerivative : public mlir::OpTrait::TraitBase<Op, ZeroDerivative> {};
template <typename Op>
class Transcendental : public mlir::OpTrait::TraitBase<Op, Transcendental> {};
template <typename Op>
class CanLeaveFinite : public mlir::OpTrait::TraitBase<Op, CanLeaveFinite> {};

/// The other ranks. A collective reads and writes it, so that collectives keep their number and
/// their order on every rank, whatever becomes of their results.
struct RanksResource : mlir::SideEffects::Resource::Base<RanksResource> {
  llvm::StringRef getName() final { return "Ranks"; }
};

} // namespace doppel::nn
