// Turns the functions of the `fused` phase into programs over buffers: lays out states and what the
// host writes, outlines kernels and places each function.
#include "passes/Passes.h"
#include "passes/PlaceFunction.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_PLACEPROGRAM
#include "passes/Passes.h.inc"

namespace {

struct PlaceProgram : impl::PlaceProgramBase<PlaceProgram> {
  void runOnOperation() override;

private:
  FailureOr<int64_t> imagesOfRank();
};

/// The images that one rank takes in a step. nn.batch counts those of all ranks; a module that does
/// not have it gets it here.
FailureOr<int64_t> PlaceProgram::imagesOfRank() {
  ModuleOp module = getOperation();
  int64_t world = nn::worldOf(module);
  auto batch = module->getAttrOfType<IntegerAttr>("nn.batch");
  std::optional<int64_t> images;
  for (auto function : module.getOps<func::FuncOp>())
    for (Type type : function.getArgumentTypes()) {
      auto taken = dyn_cast<nn::ImagesType>(type);
      if (!taken)
        continue;
      if (images && *images != taken.getBatch())
        return function.emitError()
               << "takes " << taken.getBatch() << " images, another function " << *images;
      images = taken.getBatch();
    }
  if (!batch) {
    batch = Builder(&getContext()).getI64IntegerAttr(images.value_or(1) * world);
    module->setAttr("nn.batch", batch);
  }
  if (batch.getInt() % world)
    return module.emitError() << "the batch of " << batch.getInt()
                              << " images does not divide among " << world << " ranks";
  int64_t part = batch.getInt() / world;
  if (images && *images != part)
    return module.emitError() << "each rank takes " << *images << " images, but a batch of "
                              << batch.getInt() << " over " << world << " ranks gives " << part
                              << ": split the step first";
  return part;
}

void PlaceProgram::runOnOperation() {
  ModuleOp module = getOperation();
  Location location = module.getLoc();
  FailureOr<plan::Machine> machine = plan::machineOf(module);
  if (failed(machine))
    return signalPassFailure();
  FailureOr<int64_t> count = imagesOfRank();
  if (failed(count))
    return signalPassFailure();
  auto images = nn::ImagesType::get(&getContext(), *count);
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  IoLayout io;
  io.run = plan::alignUp(plan::bytesOf(images));
  io.bytes = plan::alignUp(io.run + plan::bytesOf(plan::RunType::get(&getContext())));

  auto stateArena =
      plan::ArenaOp::create(builder, location, plan::stateArena, plan::ArenaKind::State, 0);
  plan::ArenaOp::create(builder, location, plan::transientArena, plan::ArenaKind::Transient, 0);
  auto ioArena = plan::ArenaOp::create(builder, location, plan::ioArena, plan::ArenaKind::Io, 0);
  StateLayout states = placeStates(module, builder);
  stateArena.setBytes(states.bytes);

  // Kernels stand between the states and the functions.
  auto first = plan::FuncOp::create(builder, location, "marker");
  KernelOutliner outliner(OpBuilder(first), *machine);
  for (func::FuncOp function : functions) {
    std::string name = function.getSymName().str();
    function.setSymName(("nn." + name)); // two symbols of one name may not stand in a module
    auto target = plan::FuncOp::create(builder, function.getLoc(), name);
    if (Attribute remade = function->getAttr("nn.remade_bytes"))
      target->setAttr("nn.remade_bytes", remade);
    if (failed(placeFunction(function, target, outliner, states, io)))
      return signalPassFailure();
    function.erase();
  }
  first.erase();
  ioArena.setBytes(io.bytes);
}

} // namespace
} // namespace doppel
