// The operations of the nn dialect. README.md tells each one's shapes, derivative and reference formula.
#ifndef DOPPEL_NN_OPS
#define DOPPEL_NN_OPS

include "dialects/nn/NnBase.td"

//===-- Element by element ------------------------------------------------------------------------===//

class Nn_Unary<string mnemonic, string formula, Type type = Nn_FloatTensor>
    : Nn_Op<mnemonic, [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = formula;
  let arguments = (ins type:$input);
  let results = (outs type:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Nn_NegOp : Nn_Unary<"neg", "-x", Nn_NumberTensor>;
def Nn_ExpOp : Nn_Unary<"exp", "e^x">;
def Nn_LogOp : Nn_Unary<"log", "ln x">;
def Nn_SqrtOp : Nn_Unary<"sqrt", "x^(1/2)">;
def Nn_RsqrtOp : Nn_Unary<"rsqrt", "x^(-1/2)">;
def Nn_TanhOp : Nn_Unary<"tanh", "tanh x">;
def Nn_SigmoidOp : Nn_Unary<"sigmoid", "1 / (1 + e^-x)">;
def Nn_ErfOp : Nn_Unary<"erf", "2 / sqrt(pi) * integral of e^(-t^2) from 0 to x">;
def Nn_AbsOp : Nn_Unary<"abs", "|x|", Nn_NumberTensor>;
def Nn_SinOp : Nn_Unary<"sin", "sin x">;
def Nn_CosOp : Nn_Unary<"cos", "cos x">;
def Nn_FloorOp : Nn_Unary<"floor", "the greatest integer <= x">;
def Nn_ReluOp : Nn_Unary<"relu", "max(x, 0)">;
def Nn_NotOp : Nn_Unary<"not", "not x", Nn_BoolTensor>;
def Nn_StopGradientOp : Nn_Unary<"stop_gradient", "x, with derivative zero; kept until autodiff", Nn_Tensor>;

class Nn_Binary<string mnemonic, string formula, Type type = Nn_NumberTensor, list<Trait> traits = []>
    : Nn_Op<mnemonic, [Pure, Elementwise, SameOperandsAndResultType] # traits> {
  let summary = formula;
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Nn_AddOp : Nn_Binary<"add", "x + y", Nn_NumberTensor, [Commutative]>;
def Nn_SubOp : Nn_Binary<"sub", "x - y">;
def Nn_MulOp : Nn_Binary<"mul", "x * y", Nn_NumberTensor, [Commutative]>;
def Nn_DivOp : Nn_Binary<"div", "x / y; integers round toward zero">;
def Nn_RemOp : Nn_Binary<"rem", "x - y * floor(x / y): the sign of y">;
def Nn_MaxOp : Nn_Binary<"max", "the greater; of equals the first">;
def Nn_MinOp : Nn_Binary<"min", "the lesser; of equals the first">;
def Nn_PowOp : Nn_Binary<"pow", "x^y", Nn_FloatTensor>;
def Nn_AndOp : Nn_Binary<"and", "x and y", Nn_BoolTensor, [Commutative]>;
def Nn_OrOp : Nn_Binary<"or", "x or y", Nn_BoolTensor, [Commutative]>;

def Nn_CompareOp : Nn_Op<"compare", [Pure, Elementwise, SameTypeOperands, SameOperandsAndResultShape]> {
  let summary = "x < y and its like; false where either is NaN, but for ne";
  let arguments = (ins Nn_ComparePredicateAttr:$predicate, Nn_NumberTensor:$lhs, Nn_NumberTensor:$rhs);
  let results = (outs Nn_BoolTensor:$result);
  let assemblyFormat = "$predicate $lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)";
  let hasFolder = 1;
}

def Nn_SelectOp : Nn_Op<"select", [Pure, Elementwise, SameOperandsAndResultShape, AllTypesMatch<["on_true", "on_false", "result"]>]> {
  let summary = "x where the condition holds, y elsewhere";
  let arguments = (ins Nn_BoolTensor:$condition, Nn_Tensor:$on_true, Nn_Tensor:$on_false);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` type($condition) `,` type($result)";
  let hasFolder = 1;
}

def Nn_ConvertOp : Nn_Op<"convert", [Pure, Elementwise, SameOperandsAndResultShape]> {
  let summary = "the value in another element type; to an integer it rounds toward zero, bool is 0 or 1";
  let arguments = (ins Nn_Tensor:$input);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasFolder = 1;
}

//===-- Constants and what a run provides -----------------------------------------------------------===//

def Nn_ConstantOp : Nn_Op<"constant", [Pure, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a constant tensor";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let builders = [
    // A splat of `value`, which is converted to the element type of `type`.
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "double":$value)>];
}

def Nn_IotaOp : Nn_Op<"iota", [Pure]> {
  let summary = "the index along dimension `dim`";
  let arguments = (ins I64Attr:$dim);
  let results = (outs Nn_NumberTensor:$result);
  let assemblyFormat = "$dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nn_RunScalarOp : Nn_Op<"run_scalar", [Pure]> {
  let summary = "a scalar of the run (abi::RunScalars), exact below 2^24";
  let arguments = (ins Nn_RunValueAttr:$value);
  let results = (outs Nn_Scalar:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
}

def Nn_RandomOp : Nn_Op<"random", [Pure]> {
  let summary = "uniform on [0, 1) or standard normal draws, keyed by (seed, stream, step, element)";
  let description = [{
    With `by` [N] row n of the result [N, ...] holds the draws of row by[n] of an endless tensor, so that a sample gets the same numbers wherever it
    stands in the batch.
  }];
  let arguments = (ins Nn_DistributionAttr:$distribution, I64Attr:$stream, Optional<Nn_IndexTensor>:$by);
  let results = (outs Nn_FloatTensor:$result);
  let assemblyFormat = "$distribution `stream` $stream (`by` `(` $by^ `:` type($by) `)`)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nn_RandomPermutationOp : Nn_Op<"random_permutation", [Pure]> {
  let summary = "a uniformly random permutation of 0 .. N-1 by (seed, stream, step)";
  let arguments = (ins I64Attr:$stream);
  let results = (outs 1DTensorOf<[I32]>:$result);
  let assemblyFormat = "`stream` $stream attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nn_AugmentOp : Nn_Op<"augment", [Pure]> {
  let summary = "a view of each image: [batch, size, size, 3]";
  let arguments = (ins Nn_ImagesType:$images, Nn_PipelineAttr:$pipeline, I64Attr:$stream);
  let results = (outs 4DTensorOf<[F32]>:$result);
  let assemblyFormat = "$images `stream` $stream $pipeline attr-dict `:` type($images) `->` type($result)";
  let hasVerifier = 1;
}

def Nn_SampleIndexOp : Nn_Op<"sample_index", [Pure]> {
  let summary = "each image's index in the data set: [batch]";
  let arguments = (ins Nn_ImagesType:$images);
  let results = (outs 1DTensorOf<[I64]>:$result);
  let assemblyFormat = "$images attr-dict `:` type($images) `->` type($result)";
  let hasVerifier = 1;
}

//===-- Shape -----------------------------------------------------------------------------------------===//

def Nn_BroadcastOp : Nn_Op<"broadcast", [Pure]> {
  let summary = "repeats the input: its dimension i is dimension dims[i] of the result";
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input $dims attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nn_ReshapeOp : Nn_Op<"reshape", [Pure]> {
  let summary = "the same elements in row-major order under another shape; never moves data";
  let arguments = (ins Nn_Tensor:$input);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Nn_TransposeOp : Nn_Op<"transpose", [Pure]> {
  let summary = "dimension i of the result is dimension permutation[i] of the input";
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nn_SliceOp : Nn_Op<"slice", [Pure]> {
  let summary = "result[i] = input[offsets + i * strides]";
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$strides);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input `offsets` $offsets `strides` $strides attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nn_PadOp : Nn_Op<"pad", [Pure]> {
  let summary = "zeros, with result[offsets + i * strides] = input[i]: the derivative of slice";
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$strides);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input `offsets` $offsets `strides` $strides attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Nn_ConcatOp : Nn_Op<"concat", [Pure]> {
  let summary = "the inputs one after another along `axis`";
  let arguments = (ins Variadic<Nn_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$inputs `axis` $axis attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===-- Reductions, products, images ------------------------------------------------------------------===//

def Nn_ReduceOp : Nn_Op<"reduce", [Pure]> {
  let summary = "combines the elements along `dims`, which the result lacks";
  let arguments = (ins Nn_ReduceKindAttr:$kind, Nn_NumberTensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs Nn_NumberTensor:$result);
  let assemblyFormat = "$kind $input $dims attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nn_MatmulOp : Nn_Op<"matmul", [Pure]> {
  let summary = "op(a) @ op(b), op transposes the last two dimensions or not; rank 2, or rank 3 with a batch";
  let arguments = (ins Nn_FloatTensor:$lhs, Nn_FloatTensor:$rhs, UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs);
  let results = (outs Nn_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

class Nn_Window<string mnemonic> : Nn_Op<mnemonic, [Pure]> {
  let hasVerifier = 1;
}

// strides, dilations: [y, x]. padding: [top, left, bottom, right].
def Nn_Conv2DOp : Nn_Window<"conv2d"> {
  let summary = "cross-correlation. x: [N, H, W, I], w: [O, I / groups, KH, KW] -> [N, OH, OW, O]";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, 4DTensorOf<[F32, F64]>:$weight, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding, DenseI64ArrayAttr:$dilations, I64Attr:$groups);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` functional-type(operands, $result)";
}
def Nn_Conv2DBackwardDataOp : Nn_Window<"conv2d_backward_data"> {
  let summary = "derivative of conv2d by x. dy: [N, OH, OW, O], w -> [N, H, W, I]";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$gradient, 4DTensorOf<[F32, F64]>:$weight, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding, DenseI64ArrayAttr:$dilations, I64Attr:$groups);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$gradient `,` $weight attr-dict `:` functional-type(operands, $result)";
}
def Nn_Conv2DBackwardWeightsOp : Nn_Window<"conv2d_backward_weights"> {
  let summary = "derivative of conv2d by w. x: [N, H, W, I], dy: [N, OH, OW, O] -> [O, I / groups, KH, KW]";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, 4DTensorOf<[F32, F64]>:$gradient, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding, DenseI64ArrayAttr:$dilations, I64Attr:$groups);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `,` $gradient attr-dict `:` functional-type(operands, $result)";
}
def Nn_MaxPool2DOp : Nn_Window<"max_pool2d"> {
  let summary = "greatest of each window, padding excluded; `workspace` tells its place ky * KW + kx, of equals the first";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result, Nn_WorkspaceTensor:$workspace);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result) `,` type($workspace)";
}
def Nn_MaxPool2DBackwardOp : Nn_Window<"max_pool2d_backward"> {
  let summary = "each gradient to the place that `workspace` names";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$gradient, Nn_WorkspaceTensor:$workspace, DenseI64ArrayAttr:$kernel,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$gradient `,` $workspace attr-dict `:` functional-type(operands, $result)";
}
def Nn_AvgPool2DOp : Nn_Window<"avg_pool2d"> {
  let summary = "mean of each window; padding counts as zeros";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}
def Nn_AvgPool2DBackwardOp : Nn_Window<"avg_pool2d_backward"> {
  let summary = "each gradient spread evenly over its window";
  let arguments = (ins 4DTensorOf<[F32, F64]>:$gradient, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$gradient attr-dict `:` type($gradient) `->` type($result)";
}

// x: [..., C]; statistics over all but the last dimension, in `groups` equal runs of the first: [G, C]; var is biased.
def Nn_BatchNormOp : Nn_Op<"batch_norm", [Pure]> {
  let summary = "(x - mean) / sqrt(var + epsilon) * scale + bias, with the batch's mean and biased variance";
  let arguments = (ins Nn_FloatTensor:$input, Nn_FloatTensor:$scale, Nn_FloatTensor:$bias, F64Attr:$epsilon, I64Attr:$groups);
  let results = (outs Nn_FloatTensor:$result, Nn_FloatTensor:$mean, Nn_FloatTensor:$variance);
  let assemblyFormat = "$input `,` $scale `,` $bias attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def Nn_BatchNormBackwardOp : Nn_Op<"batch_norm_backward", [Pure]> {
  let summary = "derivatives of batch_norm's first result by x, scale and bias";
  let arguments = (ins Nn_FloatTensor:$input, Nn_FloatTensor:$scale, Nn_FloatTensor:$mean, Nn_FloatTensor:$variance,
                       Nn_FloatTensor:$gradient, F64Attr:$epsilon, I64Attr:$groups);
  let results = (outs Nn_FloatTensor:$input_gradient, Nn_FloatTensor:$scale_gradient, Nn_FloatTensor:$bias_gradient);
  let assemblyFormat = "$input `,` $scale `,` $mean `,` $variance `,` $gradient attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===-- Rows of tables --------------------------------------------------------------------------------===//

def Nn_GatherRowsOp : Nn_Op<"gather_rows", [Pure]> {
  let summary = "result[i] = table[indices[i]], zeros where that is outside. table: [K, ...], indices: [N] -> [N, ...]";
  let arguments = (ins Nn_Tensor:$table, Nn_IndexTensor:$indices);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}
def Nn_ScatterRowsOp : Nn_Op<"scatter_rows", [Pure]> {
  let summary = "table with table[indices[i]] replaced by rows[i], or increased by it (`accumulate`); i in order; an index outside takes none";
  let arguments = (ins Nn_Tensor:$table, Nn_IndexTensor:$indices, Nn_Tensor:$rows, UnitAttr:$accumulate);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$table `,` $indices `,` $rows attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}
def Nn_EnqueueOp : Nn_Op<"enqueue", [Pure]> {
  let summary = "the ring `queue` [K, D] with rows [N, D] written from row (step * N) mod K on; N divides K";
  let arguments = (ins Nn_Tensor:$queue, Nn_Tensor:$rows);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$queue `,` $rows attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

//===-- Arenas: many tensors as one vector ------------------------------------------------------------===//

def Nn_PackOp : Nn_Op<"pack", [Pure]> {
  let summary = "a vector [P] of zeros with each input's elements from offsets[i] on";
  let arguments = (ins Variadic<Nn_FloatTensor>:$inputs, DenseI64ArrayAttr:$offsets);
  let results = (outs 1DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$inputs $offsets attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}
def Nn_SegmentSumOp : Nn_Op<"segment_sum", [Pure]> {
  let summary = "result[s] = sum of input[offsets[s] .. offsets[s] + sizes[s]]. [P] -> [S]";
  let arguments = (ins 1DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$sizes);
  let results = (outs 1DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `offsets` $offsets `sizes` $sizes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}
def Nn_SegmentBroadcastOp : Nn_Op<"segment_broadcast", [Pure]> {
  let summary = "input[s] at offsets[s] .. offsets[s] + sizes[s], zero elsewhere. [S] -> [P]";
  let arguments = (ins 1DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$sizes);
  let results = (outs 1DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `offsets` $offsets `sizes` $sizes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

//===-- States ------------------------------------------------------------------------------------------===//

def Nn_StateOp : Nn_Op<"state", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "declares a tensor that persists from step to step";
  let description = [{
    ```mlir
    nn.state @"online.conv1.weight" parameter : tensor<64x3x3x3xf32>
    ```
    Its initial value is what `func.func @init` writes.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Nn_StateKindAttr:$kind, TypeAttrOf<AnyRankedTensor>:$type);
  let assemblyFormat = "$sym_name $kind attr-dict `:` $type";
}
def Nn_StateGroupOp : Nn_Op<"state_group", [Symbol, HasParent<"::mlir::ModuleOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "states that lie one after another in one vector [P]: member i from element offsets[i] on, gaps are zero";
  let arguments = (ins SymbolNameAttr:$sym_name, Nn_StateKindAttr:$kind, SymbolRefArrayAttr:$members,
                       DenseI64ArrayAttr:$offsets, TypeAttrOf<AnyRankedTensor>:$type);
  let assemblyFormat = "$sym_name $kind $members $offsets attr-dict `:` $type";
  let hasVerifier = 1;
}
def Nn_ReadOp : Nn_Op<"read", [MemoryEffects<[MemRead]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a state's (or state group's) value at this point of the program";
  let arguments = (ins FlatSymbolRefAttr:$state);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$state attr-dict `:` type($result)";
}
def Nn_WriteOp : Nn_Op<"write", [MemoryEffects<[MemWrite]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "gives a state (or a state group) its new value; never dead";
  let arguments = (ins FlatSymbolRefAttr:$state, Nn_Tensor:$value);
  let assemblyFormat = "$state `,` $value attr-dict `:` type($value)";
}
def Nn_EmaUpdateOp : Nn_Op<"ema_update", [MemoryEffects<[MemRead, MemWrite]>,
                                           DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "target <- momentum * target + (1 - momentum) * source, for each pair, with the values at this point";
  let arguments = (ins Nn_Scalar:$momentum, SymbolRefArrayAttr:$targets, SymbolRefArrayAttr:$sources);
  let assemblyFormat = "$momentum $targets `from` $sources attr-dict `:` type($momentum)";
  let hasVerifier = 1;
}

//===-- Training ------------------------------------------------------------------------------------------===//

// decay[i], adapt[i]: whether parameter i is under weight decay and under LARS' adaptation. `options`, by rule:
//   sgd    momentum, dampening, nesterov
//   lars   momentum, nesterov, trust, epsilon, form: "tf" (lr inside the momentum), "byol" (lr outside) or "larc" (methods.md P20)
//   adamw  beta1, beta2, epsilon
// and of each rule, where gradients are clipped: clip, the greatest norm, and clip_by: "tensor" (each one's own norm) or "global" (that of all).
// Where `condition` is false nothing changes, the moments and what counts the optimizer's steps included.
def Nn_OptimizeOp : Nn_Op<"optimize", [MemoryEffects<[MemRead, MemWrite]>,
                                       DeclareOpInterfaceMethods<SymbolUserOpInterface>,
                                       AllTypesMatch<["loss", "learning_rate", "weight_decay"]>]> {
  let summary = "steps `parameters` down the gradient of `loss`; autodiff makes it an update_parameters";
  let arguments = (ins Nn_Scalar:$loss, Nn_Scalar:$learning_rate, Nn_Scalar:$weight_decay, Optional<Nn_Condition>:$condition,
                       Nn_OptimizerRuleAttr:$rule, SymbolRefArrayAttr:$parameters, DenseBoolArrayAttr:$decay,
                       DenseBoolArrayAttr:$adapt, DictionaryAttr:$options);
  let assemblyFormat = "$rule $loss `,` $learning_rate `,` $weight_decay (`when` $condition^)? $parameters `decay` $decay `adapt` $adapt $options attr-dict `:` type($loss)";
  let hasVerifier = 1;
}
def Nn_UpdateParametersOp : Nn_Op<"update_parameters", [MemoryEffects<[MemRead, MemWrite]>,
                                                        DeclareOpInterfaceMethods<SymbolUserOpInterface>,
                                                        AttrSizedOperandSegments,
                                                        AllTypesMatch<["learning_rate", "weight_decay"]>]> {
  let summary = "steps `parameters` by their gradients";
  let arguments = (ins Nn_Scalar:$learning_rate, Nn_Scalar:$weight_decay, Optional<Nn_Condition>:$condition,
                       Variadic<Nn_FloatTensor>:$gradients,
                       Nn_OptimizerRuleAttr:$rule, SymbolRefArrayAttr:$parameters, DenseBoolArrayAttr:$decay,
                       DenseBoolArrayAttr:$adapt, DictionaryAttr:$options);
  let assemblyFormat = "$rule $learning_rate `,` $weight_decay (`when` $condition^)? `(` $gradients `)` $parameters `decay` $decay `adapt` $adapt $options attr-dict `:` type($learning_rate) `,` type($gradients)";
  let hasVerifier = 1;
}
def Nn_CheckFiniteOp : Nn_Op<"check_finite", [MemoryEffects<[MemWrite]>]> {
  let summary = "stops the run before any later write if a value is not finite; `what` names it";
  let arguments = (ins Nn_FloatTensor:$value, StrAttr:$what);
  let assemblyFormat = "$value $what attr-dict `:` type($value)";
}

//===-- Collectives: `order` numbers them; every rank runs the same list ----------------------------------===//

class Nn_Collective<string mnemonic> : Nn_Op<mnemonic, [Pure]> {
  let arguments = (ins Nn_Tensor:$input, I64Attr:$order);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input `order` $order attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}
def Nn_AllReduceOp : Nn_Collective<"all_reduce"> { let summary = "the sum over ranks, on every rank"; }
def Nn_AllGatherOp : Nn_Collective<"all_gather"> { let summary = "all ranks' inputs along dimension 0, in order of rank. [N, ...] -> [W * N, ...]"; }
def Nn_ReduceScatterOp : Nn_Collective<"reduce_scatter"> { let summary = "this rank's part of the sum over ranks along dimension 0. [W * N, ...] -> [N, ...]"; }

//===-- Kernels -------------------------------------------------------------------------------------------===//

def Nn_FusedOp : Nn_Op<"fused", [Pure, IsolatedFromAbove, SingleBlock]> {
  let summary = "operations that one kernel executes";
  let description = [{
    ```mlir
    %y = nn.fused row(%x) : (tensor<256x128xf32>) -> tensor<256x128xf32> {
    ^bb0(%a: tensor<256x128xf32>):
      ...
      nn.yield %b : tensor<256x128xf32>
    }
    ```
    The operations keep their meaning; `kind` tells how the loops run, `codegen` how many workgroups.
  }];
  let arguments = (ins Nn_KernelKindAttr:$kind, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<Nn_Tensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$kind `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs) $body";
  let hasVerifier = 1;
}
def Nn_YieldOp : Nn_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "the results of a region";
  let arguments = (ins Variadic<Nn_Tensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif
