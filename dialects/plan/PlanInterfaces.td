// What an instruction of a plan.func does to memory.
#ifndef DOPPEL_PLAN_INTERFACES
#define DOPPEL_PLAN_INTERFACES

include "mlir/IR/OpBase.td"

def Plan_Instruction : OpInterface<"Instruction"> {
  let cppNamespace = "::doppel::plan";
  let description = [{
    An operation that reads or writes buffers, in the order of the text: what is executed, and the names of inputs (which the host writes before
    the function) and outputs (which it reads after it). An operation of a plan.func without this interface only defines memory. Planner and
    verifier ask this interface and nothing else; an operation whose operands are in use for longer than it runs would have to say so here.
  }];
  let methods = [
    InterfaceMethod<"The buffers whose bytes it may read, in order of its operands.", "::llvm::SmallVector<::mlir::Value>", "getReads">,
    InterfaceMethod<"The buffers whose bytes it writes, each wholly.", "::llvm::SmallVector<::mlir::Value>", "getWrites">];
}

#endif
