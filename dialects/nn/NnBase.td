// The nn dialect, its types' constraints and the classes of its operations.
#ifndef DOPPEL_NN_BASE
#define DOPPEL_NN_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "dialects/nn/NnEnums.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Nn_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::doppel::nn";
  let summary = "Differentiable tensor operations of one training step";
  let description = [{
    Pure operations on statically shaped tensors, forward and backward; states, which are read and written by name; collectives;
    and regions of operations fused into one kernel. Images are NHWC, convolution weights OIHW. README.md has the table of all
    operations with shapes, derivative and reference.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
}

class Nn_Op<string mnemonic, list<Trait> traits = []> : Op<Nn_Dialect, mnemonic, traits>;

//===-- What an operation is to the passes ----------------------------------------------------------===//

class Nn_Trait<string name> : NativeOpTrait<name> { let cppNamespace = "::doppel::nn"; }

// A kernel may hold it.
def Nn_Fusible : Nn_Trait<"Fusible">;
// Fusible, and nothing but what is computed for it stands in its kernel.
def Nn_OwnKernel : Nn_Trait<"OwnKernel">;
// Asks for a scalar of the run: its kernel or call gets the run's buffer.
def Nn_ReadsRun : Nn_Trait<"ReadsRun">;
// A library executes it, by one plan.call.
def Nn_LibraryCall : Nn_Trait<"LibraryCall">;
// Sums products: has an attribute `precision`.
def Nn_SumsProducts : Nn_Trait<"SumsProducts">;
// All ranks execute it together, in one order. An effect on the ranks comes with it.
def Nn_Collective : Nn_Trait<"Collective">;
// Says where bytes lie: placement names or copies parts of buffers for it.
def Nn_Layout : Nn_Trait<"Layout">;
// Gives states new values.
def Nn_WritesStates : Nn_Trait<"WritesStates">;
// Lowered on the way to the phase `train`.
def Nn_GoneInTrain : Nn_Trait<"GoneInTrain">;
// Its derivative is exactly zero: piecewise constant, without an operand, or asked for by the spec.
def Nn_ZeroDerivative : Nn_Trait<"ZeroDerivative">;
// Costs a kernel about eight times what a sum does.
def Nn_Transcendental : Nn_Trait<"Transcendental">;
// Can make a number that is not finite of numbers that are.
def Nn_CanLeaveFinite : Nn_Trait<"CanLeaveFinite">;

def Nn_Ranks : Resource<"::doppel::nn::RanksResource">;

def Nn_Tensor : StaticShapeTensorOf<[F32, F64, I64, I32, I1]>;
def Nn_FloatTensor : StaticShapeTensorOf<[F32, F64]>;
def Nn_NumberTensor : StaticShapeTensorOf<[F32, F64, I64, I32]>;
def Nn_BoolTensor : StaticShapeTensorOf<[I1]>;
def Nn_IndexTensor : StaticShapeTensorOf<[I32, I64]>;
def Nn_Scalar : 0DTensorOf<[F32, F64]>;
def Nn_Condition : Type<0DTensorOf<[I1]>.predicate, "a scalar i1 tensor", "::mlir::RankedTensorType">,
                   BuildableType<"::mlir::RankedTensorType::get({}, $_builder.getI1Type())">;
def Nn_WorkspaceTensor : StaticShapeTensorOf<[I8]>;

def Nn_ReduceKindAttr : EnumAttr<Nn_Dialect, Nn_ReduceKind, "reduce_kind">;

def Nn_ComparePredicateAttr : EnumAttr<Nn_Dialect, Nn_ComparePredicate, "predicate">;

def Nn_StateKindAttr : EnumAttr<Nn_Dialect, Nn_StateKind, "state_kind">;

def Nn_DistributionAttr : EnumAttr<Nn_Dialect, Nn_Distribution, "distribution">;

def Nn_RunValueAttr : EnumAttr<Nn_Dialect, Nn_RunValue, "run_value">;

def Nn_OptimizerRuleAttr : EnumAttr<Nn_Dialect, Nn_OptimizerRule, "optimizer_rule">;

def Nn_PrecisionAttr : EnumAttr<Nn_Dialect, Nn_Precision, "precision">;
// Of each operation that sums products; not printed where it is f32.
def Nn_CallPrecision : DefaultValuedAttr<Nn_PrecisionAttr, "::doppel::nn::Precision::F32">;

def Nn_KernelKindAttr : EnumAttr<Nn_Dialect, Nn_KernelKind, "kernel_kind">;

def Nn_TransformAttr : AttrDef<Nn_Dialect, "Stage"> {
  let mnemonic = "stage";
  let summary = "one stage of an augmentation pipeline and its arguments";
  let parameters = (ins EnumParameter<Nn_Transform>:$transform, "::mlir::DictionaryAttr":$arguments);
  let assemblyFormat = "`<` $transform `,` $arguments `>`";
  let genVerifyDecl = 1;
  // Arguments by name; the verifier holds that each one of the README's table is there, and has this type.
  let extraClassDeclaration = [{
    double getNumber(::llvm::StringRef name) const;
    ::llvm::ArrayRef<double> getNumbers(::llvm::StringRef name) const;
    int64_t getInteger(::llvm::StringRef name) const;
    ::llvm::StringRef getString(::llvm::StringRef name) const;
  }];
}
def Nn_PipelineAttr : TypedArrayAttrBase<Nn_TransformAttr, "augmentation pipeline">;

def Nn_ImagesType : TypeDef<Nn_Dialect, "Images"> {
  let mnemonic = "images";
  let summary = "a batch of decoded 8-bit RGB images of any sizes: [batch] of abi::ImageRef";
  let parameters = (ins "int64_t":$batch);
  let assemblyFormat = "`<` $batch `>`";
}

#endif
