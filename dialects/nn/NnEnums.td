// The enums of the nn dialect. In a file of their own, since mlir-tblgen writes out every enum that it meets.
#ifndef DOPPEL_NN_ENUMS
#define DOPPEL_NN_ENUMS

include "mlir/IR/EnumAttr.td"

class Nn_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::doppel::nn";
  let genSpecializedAttr = 0;
}

def Nn_ReduceKind : Nn_Enum<"ReduceKind", "how a reduction combines", [
  I32EnumAttrCase<"Sum", 1, "sum">, I32EnumAttrCase<"Max", 2, "max">, I32EnumAttrCase<"Min", 3, "min">]>;

def Nn_ComparePredicate : Nn_Enum<"ComparePredicate", "ordered comparison", [
  I32EnumAttrCase<"EQ", 1, "eq">, I32EnumAttrCase<"NE", 2, "ne">, I32EnumAttrCase<"LT", 3, "lt">,
  I32EnumAttrCase<"LE", 4, "le">, I32EnumAttrCase<"GT", 5, "gt">, I32EnumAttrCase<"GE", 6, "ge">]>;

// Same numbers as schema.StateKind.
def Nn_StateKind : Nn_Enum<"StateKind", "what a state is for", [
  I32EnumAttrCase<"Parameter", 1, "parameter">, I32EnumAttrCase<"Buffer", 2, "buffer">,
  I32EnumAttrCase<"Moment", 3, "moment">, I32EnumAttrCase<"Ema", 4, "ema">,
  I32EnumAttrCase<"Queue", 5, "queue">, I32EnumAttrCase<"Other", 6, "other">]>;

def Nn_Distribution : Nn_Enum<"Distribution", "what a random draw follows", [
  I32EnumAttrCase<"Uniform", 1, "uniform">, I32EnumAttrCase<"Normal", 2, "normal">]>;

def Nn_RunValue : Nn_Enum<"RunValue", "a scalar of the run", [
  I32EnumAttrCase<"Step", 1, "step">, I32EnumAttrCase<"StepsPerEpoch", 2, "steps_per_epoch">,
  I32EnumAttrCase<"Epochs", 3, "epochs">, I32EnumAttrCase<"Samples", 4, "samples">]>;

def Nn_OptimizerRule : Nn_Enum<"OptimizerRule", "an update rule", [
  I32EnumAttrCase<"Sgd", 1, "sgd">, I32EnumAttrCase<"Lars", 2, "lars">, I32EnumAttrCase<"AdamW", 3, "adamw">]>;

// Same numbers as schema.Precision.
def Nn_Precision : Nn_Enum<"Precision", "what a product rounds its operands to", [
  I32EnumAttrCase<"F32", 1, "f32">, I32EnumAttrCase<"TF32", 2, "tf32">, I32EnumAttrCase<"BF16", 3, "bf16">]>;

// Same numbers as schema.KernelKind.
def Nn_KernelKind : Nn_Enum<"KernelKind", "the shape of a kernel's loops", [
  I32EnumAttrCase<"Map", 1, "map">, I32EnumAttrCase<"Row", 2, "row">, I32EnumAttrCase<"Column", 3, "column">,
  I32EnumAttrCase<"Gather", 4, "gather">, I32EnumAttrCase<"Scatter", 5, "scatter">,
  I32EnumAttrCase<"Segment", 6, "segment">, I32EnumAttrCase<"Random", 7, "random">,
  I32EnumAttrCase<"Augment", 8, "augment">]>;

def Nn_Transform : Nn_Enum<"Transform", "one stage of an augmentation pipeline", [
  I32EnumAttrCase<"RandomResizedCrop", 1, "random_resized_crop">, I32EnumAttrCase<"CenterCrop", 2, "center_crop">,
  I32EnumAttrCase<"HorizontalFlip", 3, "horizontal_flip">, I32EnumAttrCase<"ColorJitter", 4, "color_jitter">,
  I32EnumAttrCase<"Grayscale", 5, "grayscale">, I32EnumAttrCase<"GaussianBlur", 6, "gaussian_blur">,
  I32EnumAttrCase<"Solarize", 7, "solarize">, I32EnumAttrCase<"Rotation", 8, "rotation">,
  I32EnumAttrCase<"Normalize", 9, "normalize">]>;

#endif
