// The enums of the plan dialect. In a file of their own, since mlir-tblgen writes out every enum that it meets.
#ifndef DOPPEL_PLAN_ENUMS
#define DOPPEL_PLAN_ENUMS

include "mlir/IR/EnumAttr.td"

class Plan_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::doppel::plan";
  let genSpecializedAttr = 0;
}

// Same numbers as the schema's enums of these names.
def Plan_ArenaKind : Plan_Enum<"ArenaKind", "who owns an arena's bytes", [
  I32EnumAttrCase<"State", 1, "state">, I32EnumAttrCase<"Transient", 2, "transient">, I32EnumAttrCase<"Io", 3, "io">]>;

def Plan_LibraryOp : Plan_Enum<"LibraryOp", "an operation of a library", [
  I32EnumAttrCase<"Matmul", 1, "matmul">, I32EnumAttrCase<"Conv2D", 2, "conv2d">,
  I32EnumAttrCase<"Conv2DBackwardData", 3, "conv2d_backward_data">,
  I32EnumAttrCase<"Conv2DBackwardWeights", 4, "conv2d_backward_weights">,
  I32EnumAttrCase<"MaxPool2D", 5, "max_pool2d">, I32EnumAttrCase<"MaxPool2DBackward", 6, "max_pool2d_backward">,
  I32EnumAttrCase<"AvgPool2D", 7, "avg_pool2d">, I32EnumAttrCase<"AvgPool2DBackward", 8, "avg_pool2d_backward">,
  I32EnumAttrCase<"RandomPermutation", 9, "random_permutation">, I32EnumAttrCase<"Gemm", 10, "gemm">]>;

def Plan_CollectiveKind : Plan_Enum<"CollectiveKind", "what ranks do together", [
  I32EnumAttrCase<"AllReduceSum", 1, "all_reduce">, I32EnumAttrCase<"AllReduceMax", 2, "all_reduce_max">,
  I32EnumAttrCase<"AllGather", 3, "all_gather">, I32EnumAttrCase<"ReduceScatterSum", 4, "reduce_scatter">]>;

#endif
