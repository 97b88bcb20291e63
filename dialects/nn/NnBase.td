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
