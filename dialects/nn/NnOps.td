// The operations of the nn dialect: summary, formula and what each is to the passes (NnBase.td has the traits). README.md has them as a table.
#ifndef DOPPEL_NN_OPS
#define DOPPEL_NN_OPS

include "dialects/nn/NnBase.td"

//===-- Element by element ------------------------------------------------------------------------===//

class Nn_Unary<string mnemonic, string formula, Type type = Nn_FloatTensor, list<Trait> traits = []>
    : Nn_Op<mnemonic, [Pure, Elementwise, Nn_Fusible, SameOperandsAndResultType] # traits> {
  let summary = formula;
  let description = "Element by element: " # formula # ".";
  let arguments = (ins type:$input);
  let results = (outs type:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Nn_NegOp : Nn_Unary<"neg", "-x", Nn_NumberTensor>;
def Nn_ExpOp : Nn_Unary<"exp", "e^x", Nn_FloatTensor, [Nn_Transcendental, Nn_CanLeaveFinite]>;
def Nn_LogOp : Nn_Unary<"log", "ln x", Nn_FloatTensor, [Nn_Transcendental, Nn_CanLeaveFinite]>;
def Nn_SqrtOp : Nn_Unary<"sqrt", "x^(1/2)", Nn_FloatTensor, [Nn_CanLeaveFinite]>;
def Nn_RsqrtOp : Nn_Unary<"rsqrt", "x^(-1/2)", Nn_FloatTensor, [Nn_CanLeaveFinite]>;
def Nn_TanhOp : Nn_Unary<"tanh", "tanh x", Nn_FloatTensor, [Nn_Transcendental]>;
def Nn_SigmoidOp : Nn_Unary<"sigmoid", "1 / (1 + e^-x)", Nn_FloatTensor, [Nn_Transcendental]>;
def Nn_ErfOp : Nn_Unary<"erf", "2 / sqrt(pi) * integral of e^(-t^2) from 0 to x", Nn_FloatTensor, [Nn_Transcendental]>;
def Nn_AbsOp : Nn_Unary<"abs", "|x|", Nn_NumberTensor>;
def Nn_SinOp : Nn_Unary<"sin", "sin x", Nn_FloatTensor, [Nn_Transcendental]>;
def Nn_CosOp : Nn_Unary<"cos", "cos x", Nn_FloatTensor, [Nn_Transcendental]>;
def Nn_FloorOp : Nn_Unary<"floor", "the greatest integer <= x", Nn_FloatTensor, [Nn_ZeroDerivative]>;
def Nn_ReluOp : Nn_Unary<"relu", "max(x, 0)">;
def Nn_NotOp : Nn_Unary<"not", "not x", Nn_BoolTensor, [Nn_ZeroDerivative]>;
def Nn_StopGradientOp : Nn_Unary<"stop_gradient", "x, with derivative zero; kept until autodiff", Nn_Tensor, [Nn_ZeroDerivative, Nn_GoneInTrain]>;

class Nn_Binary<string mnemonic, string formula, Type type = Nn_NumberTensor, list<Trait> traits = []>
    : Nn_Op<mnemonic, [Pure, Elementwise, Nn_Fusible, SameOperandsAndResultType] # traits> {
  let summary = formula;
  let description = "Element by element: " # formula # ".";
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Nn_AddOp : Nn_Binary<"add", "x + y", Nn_NumberTensor, [Commutative]>;
def Nn_SubOp : Nn_Binary<"sub", "x - y">;
def Nn_MulOp : Nn_Binary<"mul", "x * y", Nn_NumberTensor, [Commutative]>;
def Nn_DivOp : Nn_Binary<"div", "x / y; integers round toward zero", Nn_NumberTensor, [Nn_CanLeaveFinite]>;
def Nn_RemOp : Nn_Binary<"rem", "x - y * floor(x / y): the sign of y">;
def Nn_MaxOp : Nn_Binary<"max", "the greater; of equals the first">;
def Nn_MinOp : Nn_Binary<"min", "the lesser; of equals the first">;
def Nn_PowOp : Nn_Binary<"pow", "x^y", Nn_FloatTensor, [Nn_Transcendental, Nn_CanLeaveFinite]>;
def Nn_AndOp : Nn_Binary<"and", "x and y", Nn_BoolTensor, [Commutative, Nn_ZeroDerivative]>;
def Nn_OrOp : Nn_Binary<"or", "x or y", Nn_BoolTensor, [Commutative, Nn_ZeroDerivative]>;

def Nn_CompareOp : Nn_Op<"compare", [Pure, Elementwise, Nn_Fusible, Nn_ZeroDerivative, SameTypeOperands, SameOperandsAndResultShape]> {
  let summary = "x < y and its like; false where either is NaN, but for ne";
  let description = [{
    result[i] = lhs[i] `predicate` rhs[i] (eq, ne, lt, le, gt, ge). Where either is NaN it is false, but `ne` true.
  }];
  let arguments = (ins Nn_ComparePredicateAttr:$predicate, Nn_NumberTensor:$lhs, Nn_NumberTensor:$rhs);
  let results = (outs Nn_BoolTensor:$result);
  let assemblyFormat = "$predicate $lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)";
  let hasFolder = 1;
}

def Nn_SelectOp : Nn_Op<"select", [Pure, Elementwise, Nn_Fusible, SameOperandsAndResultShape, AllTypesMatch<["on_true", "on_false", "result"]>]> {
  let summary = "x where the condition holds, y elsewhere";
  let description = [{
    result[i] = condition[i] ? on_true[i] : on_false[i].
  }];
  let arguments = (ins Nn_BoolTensor:$condition, Nn_Tensor:$on_true, Nn_Tensor:$on_false);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` type($condition) `,` type($result)";
  let hasFolder = 1;
}

def Nn_ConvertOp : Nn_Op<"convert", [Pure, Elementwise, Nn_Fusible, SameOperandsAndResultShape]> {
  let summary = "the value in another element type; to an integer it rounds toward zero and saturates, bool is 0 or 1";
  let description = [{
    result[i] = input[i] as the result's element type. A float becomes an integer by rounding toward zero, beyond its range the nearest one, NaN 0; i1 is 0 or 1, and a number becomes true unless it is 0.
  }];
  let arguments = (ins Nn_Tensor:$input);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasFolder = 1;
}

//===-- Constants and what a run provides -----------------------------------------------------------===//

def Nn_ConstantOp : Nn_Op<"constant", [Pure, Nn_Fusible, Nn_ZeroDerivative, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a constant tensor";
  let description = [{
    The value itself; a splat takes one number.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let builders = [
    // A splat of `value`, which is converted to the element type of `type`.
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "double":$value)>];
}

def Nn_IotaOp : Nn_Op<"iota", [Pure, Nn_Fusible, Nn_ZeroDerivative]> {
  let summary = "the index along dimension `dim`";
  let description = [{
    result[i0, i1, ...] = i_dim.
  }];
  let arguments = (ins I64Attr:$dim);
  let results = (outs Nn_NumberTensor:$result);
  let assemblyFormat = "$dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nn_RunScalarOp : Nn_Op<"run_scalar", [Pure, Nn_Fusible, Nn_ReadsRun, Nn_ZeroDerivative]> {
  let summary = "a scalar of the run (abi::RunScalars), exact below 2^24";
  let description = [{
    `step` counts from 0, `steps_per_epoch` is floor(samples / batch of all ranks), `epochs` and `samples` are those of the run.
  }];
  let arguments = (ins Nn_RunValueAttr:$value);
  let results = (outs Nn_Scalar:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
}

def Nn_RandomOp : Nn_Op<"random", [Pure, Nn_Fusible, Nn_ReadsRun, Nn_ZeroDerivative]> {
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

def Nn_RandomPermutationOp : Nn_Op<"random_permutation", [Pure, Nn_LibraryCall, Nn_ReadsRun, Nn_ZeroDerivative]> {
  let summary = "a uniformly random permutation of 0 .. N-1 by (seed, stream, step)";
  let description = [{
    Fisher-Yates from i = N-1 down to 1: j = floor(u * (i + 1)), swap p[i], p[j]; u = word i mod 4 of philox(seed, i / 4, stream, 0, step).
  }];
  let arguments = (ins I64Attr:$stream);
  let results = (outs 1DTensorOf<[I32]>:$result);
  let assemblyFormat = "`stream` $stream attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nn_AugmentOp : Nn_Op<"augment", [Pure, Nn_Fusible, Nn_OwnKernel, Nn_ReadsRun, Nn_ZeroDerivative]> {
  let summary = "a view of each image: [batch, size, size, 3]";
  let description = [{
    Stage by stage as README.md has it. Sample n draws by its index in the data set, so a view is the same wherever n stands in the batch.
  }];
  let arguments = (ins Nn_ImagesType:$images, Nn_PipelineAttr:$pipeline, I64Attr:$stream);
  let results = (outs 4DTensorOf<[F32]>:$result);
  let assemblyFormat = "$images `stream` $stream $pipeline attr-dict `:` type($images) `->` type($result)";
  let hasVerifier = 1;
}

def Nn_SampleIndexOp : Nn_Op<"sample_index", [Pure, Nn_Fusible, Nn_ZeroDerivative]> {
  let summary = "each image's index in the data set: [batch]";
  let description = [{
    result[n] = the index of image n, equal on every rank that has it.
  }];
  let arguments = (ins Nn_ImagesType:$images);
  let results = (outs 1DTensorOf<[I64]>:$result);
  let assemblyFormat = "$images attr-dict `:` type($images) `->` type($result)";
  let hasVerifier = 1;
}

//===-- Shape -----------------------------------------------------------------------------------------===//

def Nn_BroadcastOp : Nn_Op<"broadcast", [Pure, Nn_Fusible]> {
  let summary = "repeats the input: its dimension i is dimension dims[i] of the result";
  let description = [{
    result[j] = input[j_dims[0], j_dims[1], ...]. `dims` increase, and sizes are equal: nothing is broadcast without being said.
  }];
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input $dims attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nn_ReshapeOp : Nn_Op<"reshape", [Pure, Nn_Fusible, Nn_Layout]> {
  let summary = "the same elements in row-major order under another shape; never moves data";
  let description = [{
    result, read in row-major order, is input, read in row-major order.
  }];
  let arguments = (ins Nn_Tensor:$input);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Nn_TransposeOp : Nn_Op<"transpose", [Pure, Nn_Fusible]> {
  let summary = "dimension i of the result is dimension permutation[i] of the input";
  let description = [{
    result[j] = input[i] with i_permutation[d] = j_d.
  }];
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let extraClassDeclaration = [{
    /// Whether no element moves: dimensions larger than one keep their order.
    bool movesNothing();
  }];
}

def Nn_SliceOp : Nn_Op<"slice", [Pure, Nn_Fusible, Nn_Layout]> {
  let summary = "result[i] = input[offsets + i * strides]";
  let description = [{
    result[i] = input[offsets + i * strides], dimension by dimension. Where these elements are neighbours in memory (`getFirstElement`), placement only names them.
  }];
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$strides);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input `offsets` $offsets `strides` $strides attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let extraClassDeclaration = [{
    /// If the slice takes elements that are neighbours in memory, in order: the number of the first one.
    std::optional<int64_t> getFirstElement();
  }];
}

def Nn_PadOp : Nn_Op<"pad", [Pure, Nn_Fusible]> {
  let summary = "zeros, with result[offsets + i * strides] = input[i]: the derivative of slice";
  let description = [{
    result[offsets + i * strides] = input[i], zero elsewhere.
  }];
  let arguments = (ins Nn_Tensor:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$strides);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input `offsets` $offsets `strides` $strides attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Nn_ConcatOp : Nn_Op<"concat", [Pure, Nn_Fusible, Nn_Layout]> {
  let summary = "the inputs one after another along `axis`";
  let description = [{
    result = inputs[0], inputs[1], ... along `axis`; all other dimensions are equal.
  }];
  let arguments = (ins Variadic<Nn_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$inputs `axis` $axis attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===-- Reductions, products, images ------------------------------------------------------------------===//

def Nn_ReduceOp : Nn_Op<"reduce", [Pure, Nn_Fusible]> {
  let summary = "combines the elements along `dims`, which the result lacks";
  let description = [{
    sum: result[k] = sum of input over `dims`, 0 of nothing; max, min: the extreme, NaN if there is one. `dims` increase.
    A kernel may add in any fixed order.
  }];
  let arguments = (ins Nn_ReduceKindAttr:$kind, Nn_NumberTensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs Nn_NumberTensor:$result);
  let assemblyFormat = "$kind $input $dims attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nn_MatmulOp : Nn_Op<"matmul", [Pure, Nn_LibraryCall, Nn_SumsProducts]> {
  let summary = "op(a) @ op(b), op transposes the last two dimensions or not; rank 2, or rank 3 with a batch";
  let description = [{
    result[b, m, n] = sum over k of op(lhs)[b, m, k] op(rhs)[b, k, n]. `precision` tells what lhs and rhs are rounded to before.
  }];
  let arguments = (ins Nn_FloatTensor:$lhs, Nn_FloatTensor:$rhs, UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs,
                       Nn_CallPrecision:$precision);
  let results = (outs Nn_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

def Nn_GemmOp : Nn_Op<"gemm", [Pure, Nn_LibraryCall, Nn_SumsProducts, AttrSizedOperandSegments]> {
  let summary = "op(a) @ op(b) + addend + bias, or the relu of that: a product and what its library does on the way to memory";
  let description = [{
    result[b, m, n] = f(sum over k of op(lhs)[b, m, k] op(rhs)[b, k, n] + addend[b, m, n] + bias[n]), f the identity or with `relu` max(x, 0).
    Made by nn-fuse-epilogues, behind autodiff.
    ```mlir
    %y = nn.gemm %x, %w bias %b {relu, transpose_rhs} : (tensor<8x4xf32>, tensor<6x4xf32>, tensor<6xf32>) -> tensor<8x6xf32>
    ```
  }];
  let arguments = (ins Nn_FloatTensor:$lhs, Nn_FloatTensor:$rhs, Optional<Nn_FloatTensor>:$addend,
                       Optional<Nn_FloatTensor>:$bias, UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs, UnitAttr:$relu,
                       Nn_CallPrecision:$precision);
  let results = (outs Nn_FloatTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs (`add` $addend^)? (`bias` $bias^)? attr-dict `:` functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

class Nn_Window<string mnemonic, list<Trait> traits = []> : Nn_Op<mnemonic, [Pure, Nn_LibraryCall] # traits> {
  let hasVerifier = 1;
}

def Nn_Conv2DOp : Nn_Window<"conv2d", [Nn_SumsProducts]> {
  let summary = "cross-correlation. x: [N, H, W, I], w: [O, I / groups, KH, KW] -> [N, OH, OW, O]";
  let description = [{
    y[n, i, j, o] = sum over ky, kx, c of x[n, i * strides_y + ky * dilations_y - top, j * strides_x + kx * dilations_x - left, c] w[o, c, ky, kx],
    c over the input channels of o's group; x is zero outside. strides, dilations: [y, x]; padding: [top, left, bottom, right].
    With `channels_last` the filters are [O, KH, KW, I / groups], and so for the derivatives.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, 4DTensorOf<[F32, F64]>:$weight, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding, DenseI64ArrayAttr:$dilations, I64Attr:$groups,
                       UnitAttr:$channels_last, Nn_CallPrecision:$precision);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` functional-type(operands, $result)";
}
def Nn_Conv2DBackwardDataOp : Nn_Window<"conv2d_backward_data", [Nn_SumsProducts]> {
  let summary = "derivative of conv2d by x. dy: [N, OH, OW, O], w -> [N, H, W, I]";
  let description = [{
    dx[n, y, x, c] = sum of dy[n, i, j, o] w[o, c, ky, kx] over all (i, j, o, ky, kx) at which conv2d multiplies x[n, y, x, c] with it.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$gradient, 4DTensorOf<[F32, F64]>:$weight, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding, DenseI64ArrayAttr:$dilations, I64Attr:$groups,
                       UnitAttr:$channels_last, Nn_CallPrecision:$precision);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$gradient `,` $weight attr-dict `:` functional-type(operands, $result)";
}
def Nn_Conv2DBackwardWeightsOp : Nn_Window<"conv2d_backward_weights", [Nn_SumsProducts]> {
  let summary = "derivative of conv2d by w. x: [N, H, W, I], dy: [N, OH, OW, O] -> [O, I / groups, KH, KW]";
  let description = [{
    dw[o, c, ky, kx] = sum over n, i, j of dy[n, i, j, o] x[...], with the x that conv2d multiplies with it.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, 4DTensorOf<[F32, F64]>:$gradient, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding, DenseI64ArrayAttr:$dilations, I64Attr:$groups,
                       UnitAttr:$channels_last, Nn_CallPrecision:$precision);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `,` $gradient attr-dict `:` functional-type(operands, $result)";
}
def Nn_MaxPool2DOp : Nn_Window<"max_pool2d"> {
  let summary = "greatest of each window, padding excluded; `workspace` tells its place ky * KW + kx, of equals the first";
  let description = [{
    y[n, i, j, c] = max over (ky, kx) of x[n, i * strides_y + ky - top, j * strides_x + kx - left, c], places outside left out; workspace = ky * KW + kx of the first that has it.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result, Nn_WorkspaceTensor:$workspace);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result) `,` type($workspace)";
}
def Nn_MaxPool2DBackwardOp : Nn_Window<"max_pool2d_backward"> {
  let summary = "each gradient to the place that `workspace` names";
  let description = [{
    dx = the sum of dy[n, i, j, c] over the windows whose `workspace` names the place.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$gradient, Nn_WorkspaceTensor:$workspace, DenseI64ArrayAttr:$kernel,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$gradient `,` $workspace attr-dict `:` functional-type(operands, $result)";
}
def Nn_AvgPool2DOp : Nn_Window<"avg_pool2d"> {
  let summary = "mean of each window; padding counts as zeros";
  let description = [{
    y[n, i, j, c] = sum over the window of x / (KH KW); places outside are zeros and count.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}
def Nn_AvgPool2DBackwardOp : Nn_Window<"avg_pool2d_backward"> {
  let summary = "each gradient spread evenly over its window";
  let description = [{
    dx[n, y, x, c] = sum of dy[n, i, j, c] / (KH KW) over the windows that hold the place.
  }];
  let arguments = (ins 4DTensorOf<[F32, F64]>:$gradient, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$padding);
  let results = (outs 4DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$gradient attr-dict `:` type($gradient) `->` type($result)";
}

def Nn_BatchNormOp : Nn_Op<"batch_norm", [Pure, Nn_GoneInTrain]> {
  let summary = "(x - mean) / sqrt(var + epsilon) * scale + bias, with the batch's mean and biased variance";
  let description = [{
    Statistics are over all but the last dimension, in `groups` equal runs of the first: x [..., C] -> mean, variance [G, C]; with M values a group
    ```
    mean = sum(x) / M;  variance = sum((x - mean)^2) / M;  result = (x - mean) / sqrt(variance + epsilon) * scale + bias
    ```
    No gradient flows through `mean` and `variance` as results.
  }];
  let arguments = (ins Nn_FloatTensor:$input, Nn_FloatTensor:$scale, Nn_FloatTensor:$bias, F64Attr:$epsilon, I64Attr:$groups);
  let results = (outs Nn_FloatTensor:$result, Nn_FloatTensor:$mean, Nn_FloatTensor:$variance);
  let assemblyFormat = "$input `,` $scale `,` $bias attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def Nn_BatchNormBackwardOp : Nn_Op<"batch_norm_backward", [Pure, Nn_GoneInTrain]> {
  let summary = "derivatives of batch_norm's first result by x, scale and bias";
  let description = [{
    With xhat = (x - mean) / sqrt(variance + epsilon), sums over a group and M values in it
    ```
    bias' = sum(dy);  scale' = sum(dy * xhat);  x' = scale / sqrt(variance + epsilon) * (dy - sum(dy) / M - xhat * sum(dy * xhat) / M)
    ```
    bias' and scale' are then summed over groups.
  }];
  let arguments = (ins Nn_FloatTensor:$input, Nn_FloatTensor:$scale, Nn_FloatTensor:$mean, Nn_FloatTensor:$variance,
                       Nn_FloatTensor:$gradient, F64Attr:$epsilon, I64Attr:$groups);
  let results = (outs Nn_FloatTensor:$input_gradient, Nn_FloatTensor:$scale_gradient, Nn_FloatTensor:$bias_gradient);
  let assemblyFormat = "$input `,` $scale `,` $mean `,` $variance `,` $gradient attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===-- Rows of tables --------------------------------------------------------------------------------===//

def Nn_GatherRowsOp : Nn_Op<"gather_rows", [Pure, Nn_Fusible]> {
  let summary = "result[i] = table[indices[i]], zeros where that is outside. table: [K, ...], indices: [N] -> [N, ...]";
  let description = [{
    result[i, ...] = table[indices[i], ...]; zeros where indices[i] is not in [0, K).
  }];
  let arguments = (ins Nn_Tensor:$table, Nn_IndexTensor:$indices);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}
def Nn_ScatterRowsOp : Nn_Op<"scatter_rows", [Pure, Nn_Fusible, Nn_OwnKernel]> {
  let summary = "table with table[indices[i]] replaced by rows[i], or increased by it (`accumulate`); i in order; an index outside takes none";
  let description = [{
    result = table, then for i = 0, 1, ...: result[indices[i]] = rows[i], or += rows[i] with `accumulate`. An index that is not in [0, K) writes nothing.
  }];
  let arguments = (ins Nn_Tensor:$table, Nn_IndexTensor:$indices, Nn_Tensor:$rows, UnitAttr:$accumulate);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$table `,` $indices `,` $rows attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}
def Nn_EnqueueOp : Nn_Op<"enqueue", [Pure, Nn_Fusible, Nn_OwnKernel, Nn_ReadsRun]> {
  let summary = "the ring `queue` [K, D] with rows [N, D] written from row (step * N) mod K on; N divides K";
  let description = [{
    result[(step * N + i) mod K] = rows[i] for i < N, queue elsewhere. N divides K. No pointer is a state: the place is a function of the step.
  }];
  let arguments = (ins Nn_Tensor:$queue, Nn_Tensor:$rows);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$queue `,` $rows attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

//===-- Arenas: many tensors as one vector ------------------------------------------------------------===//

def Nn_PackOp : Nn_Op<"pack", [Pure, Nn_Layout]> {
  let summary = "a vector [P] of zeros with each input's elements from offsets[i] on";
  let description = [{
    result[offsets[i] + j] = inputs[i][j] in row-major order; gaps are zero.
  }];
  let arguments = (ins Variadic<Nn_FloatTensor>:$inputs, DenseI64ArrayAttr:$offsets);
  let results = (outs 1DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$inputs $offsets attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}
def Nn_SegmentSumOp : Nn_Op<"segment_sum", [Pure, Nn_Fusible, Nn_OwnKernel]> {
  let summary = "result[s] = sum of input[offsets[s] .. offsets[s] + sizes[s]]. [P] -> [S]";
  let description = [{
    result[s] = sum of input[p] over offsets[s] <= p < offsets[s] + sizes[s].
  }];
  let arguments = (ins 1DTensorOf<[F32, F64]>:$input, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$sizes);
  let results = (outs 1DTensorOf<[F32, F64]>:$result);
  let assemblyFormat = "$input `offsets` $offsets `sizes` $sizes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}
def Nn_SegmentBroadcastOp : Nn_Op<"segment_broadcast", [Pure, Nn_Fusible]> {
  let summary = "input[s] at offsets[s] .. offsets[s] + sizes[s], zero elsewhere. [S] -> [P]";
  let description = [{
    result[p] = input[s] for offsets[s] <= p < offsets[s] + sizes[s], zero in the gaps.
  }];
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
  let description = [{
    members[i], in row-major order, is vector[offsets[i] ...]. Offsets are multiples of 16, so each begins at 64 bytes.
    ```mlir
    nn.state_group @"online/decay" parameter [@"online.conv1.weight", @"online.fc.weight"] [0, 9408] : tensor<11456xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Nn_StateKindAttr:$kind, SymbolRefArrayAttr:$members,
                       DenseI64ArrayAttr:$offsets, TypeAttrOf<AnyRankedTensor>:$type);
  let assemblyFormat = "$sym_name $kind $members $offsets attr-dict `:` $type";
  let hasVerifier = 1;
}
def Nn_ReadOp : Nn_Op<"read", [MemoryEffects<[MemRead]>, Nn_ZeroDerivative, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a state's (or state group's) value at this point of the program";
  let description = [{
    In the phases `step` and before, the value as the last write in program order left it; from `train` on, what it was when the function began.
  }];
  let arguments = (ins FlatSymbolRefAttr:$state);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$state attr-dict `:` type($result)";
}
def Nn_WriteOp : Nn_Op<"write", [MemoryEffects<[MemWrite]>, Nn_WritesStates, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "gives a state (or a state group) its new value; never dead";
  let description = [{
    A state changes by this alone (and by the updates that are lowered to it).
  }];
  let arguments = (ins FlatSymbolRefAttr:$state, Nn_Tensor:$value);
  let assemblyFormat = "$state `,` $value attr-dict `:` type($value)";
}
def Nn_EmaUpdateOp : Nn_Op<"ema_update", [MemoryEffects<[MemRead, MemWrite]>, Nn_WritesStates, Nn_GoneInTrain,
                                           DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "target <- momentum * target + (1 - momentum) * source, for each pair, with the values at this point";
  let description = [{
    target_i <- momentum * target_i + (1 - momentum) * source_i, pair by pair in order.
  }];
  let arguments = (ins Nn_Scalar:$momentum, SymbolRefArrayAttr:$targets, SymbolRefArrayAttr:$sources);
  let assemblyFormat = "$momentum $targets `from` $sources attr-dict `:` type($momentum)";
  let hasVerifier = 1;
}

//===-- Training ------------------------------------------------------------------------------------------===//

def Nn_OptimizeOp : Nn_Op<"optimize", [MemoryEffects<[MemRead, MemWrite]>, Nn_WritesStates, Nn_GoneInTrain,
                                       DeclareOpInterfaceMethods<SymbolUserOpInterface>,
                                       AllTypesMatch<["loss", "learning_rate", "weight_decay"]>]> {
  let summary = "steps `parameters` down the gradient of `loss`; autodiff makes it an update_parameters";
  let description = [{
    decay[i], adapt[i]: whether parameter i is under weight decay and under LARS' adaptation. `options`, by rule:
    ```
    sgd    momentum, dampening, nesterov
    lars   momentum, nesterov, trust, epsilon, form: "tf" (lr inside the momentum), "byol" (lr outside) or "larc" (NVIDIA's)
    adamw  beta1, beta2, epsilon
    ```
    and of each rule, where gradients are clipped: clip, the greatest norm, and clip_by: "tensor" (each one's own norm) or "global" (that of all).
    Where `condition` is false nothing changes, the moments and what counts the optimizer's steps included.
  }];
  let arguments = (ins Nn_Scalar:$loss, Nn_Scalar:$learning_rate, Nn_Scalar:$weight_decay, Optional<Nn_Condition>:$condition,
                       Nn_OptimizerRuleAttr:$rule, SymbolRefArrayAttr:$parameters, DenseBoolArrayAttr:$decay,
                       DenseBoolArrayAttr:$adapt, DictionaryAttr:$options);
  let assemblyFormat = "$rule $loss `,` $learning_rate `,` $weight_decay (`when` $condition^)? $parameters `decay` $decay `adapt` $adapt $options attr-dict `:` type($loss)";
  let hasVerifier = 1;
}
def Nn_UpdateParametersOp : Nn_Op<"update_parameters", [MemoryEffects<[MemRead, MemWrite]>, Nn_WritesStates, Nn_GoneInTrain,
                                                        DeclareOpInterfaceMethods<SymbolUserOpInterface>,
                                                        AttrSizedOperandSegments,
                                                        AllTypesMatch<["learning_rate", "weight_decay"]>]> {
  let summary = "steps `parameters` by their gradients";
  let description = [{
    What `optimize` means, given the gradients (codegen/reference/Updates.cpp has the formulas; passes/Optimizers.cpp lowers them).
  }];
  let arguments = (ins Nn_Scalar:$learning_rate, Nn_Scalar:$weight_decay, Optional<Nn_Condition>:$condition,
                       Variadic<Nn_FloatTensor>:$gradients,
                       Nn_OptimizerRuleAttr:$rule, SymbolRefArrayAttr:$parameters, DenseBoolArrayAttr:$decay,
                       DenseBoolArrayAttr:$adapt, DictionaryAttr:$options);
  let assemblyFormat = "$rule $learning_rate `,` $weight_decay (`when` $condition^)? `(` $gradients `)` $parameters `decay` $decay `adapt` $adapt $options attr-dict `:` type($learning_rate) `,` type($gradients)";
  let hasVerifier = 1;
}
def Nn_CheckFiniteOp : Nn_Op<"check_finite", [MemoryEffects<[MemWrite]>]> {
  let summary = "stops the run before any later write if a value is not finite; `what` names it";
  let description = [{
    Stops the run if any element is infinite or NaN, before any later write; with several ranks the value is equal on all.
  }];
  let arguments = (ins Nn_FloatTensor:$value, StrAttr:$what);
  let assemblyFormat = "$value $what attr-dict `:` type($value)";
}

//===-- Collectives ---------------------------------------------------------------------------------------===//

// Every rank executes the same collectives in the same order, that of the program: a rank that left one out, or two in another order, would
// wait for the others for ever. Hence the effect on the ranks: none is dropped, made twice or moved past another. place-program numbers them.
class Nn_CollectiveOp<string mnemonic, string formula>
    : Nn_Op<mnemonic, [Nn_Collective, MemoryEffects<[MemRead<Nn_Ranks>, MemWrite<Nn_Ranks>]>]> {
  let arguments = (ins Nn_Tensor:$input);
  let results = (outs Nn_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let description = formula # " Sums grow in order of rank.";
  let hasVerifier = 1;
}
def Nn_AllReduceOp : Nn_CollectiveOp<"all_reduce", "result = sum over ranks r of input_r, on every rank."> {
  let summary = "the sum over ranks, on every rank";
}
def Nn_AllGatherOp : Nn_CollectiveOp<"all_gather", "result[r * N + i] = input_r[i] for each rank r, on every rank."> {
  let summary = "all ranks' inputs along dimension 0, in order of rank. [N, ...] -> [W * N, ...]";
}
def Nn_ReduceScatterOp : Nn_CollectiveOp<"reduce_scatter", "On rank q: result[i] = sum over ranks r of input_r[q * N + i].">  {
  let summary = "this rank's part of the sum over ranks along dimension 0. [W * N, ...] -> [N, ...]";
}

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
  let description = [{
    In nn.fused and plan.kernel.
  }];
  let arguments = (ins Variadic<Nn_Tensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif
