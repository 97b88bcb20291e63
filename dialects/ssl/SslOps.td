// The ssl dialect: the method, declarative: what the user said. README.md tells how each statement of the language maps to it.
#ifndef DOPPEL_SSL_OPS
#define DOPPEL_SSL_OPS

include "dialects/nn/NnBase.td"
include "dialects/ssl/SslEnums.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"

def Ssl_Dialect : Dialect {
  let name = "ssl";
  let cppNamespace = "::doppel::ssl";
  let summary = "A self-supervised method as written";
  let dependentDialects = ["::doppel::nn::NnDialect"];
  let useDefaultAttributePrinterParser = 1;
}

class Ssl_Op<string mnemonic, list<Trait> traits = []> : Op<Ssl_Dialect, mnemonic, traits>;

def Ssl_WhenAttr : EnumAttr<Ssl_Dialect, Ssl_When, "when">;

def Ssl_MethodOp : Ssl_Op<"method", [Symbol, SymbolTable, SingleBlock, NoTerminator, HasParent<"::mlir::ModuleOp">]> {
  let summary = "a method: its states, networks and the step";
  let description = [{
    Holds ssl.state, ssl.net, one ssl.step, ssl.optimize and one ssl.represent. `batch` is the number of images of one step over all
    ranks; `params` are the values that it was compiled with.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$batch, I64Attr:$epochs, OptionalAttr<I64Attr>:$samples, DictionaryAttr:$params);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `batch` $batch `epochs` $epochs (`samples` $samples^)? $params attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}
def Ssl_StateOp : Ssl_Op<"state", [Symbol, SingleBlock]> {
  let summary = "a tensor that persists, and its initial value";
  let description = [{
    The region computes the initial value from nothing (random draws, constants) or from other states' initial values (nn.read).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Nn_StateKindAttr:$kind, TypeAttrOf<AnyRankedTensor>:$type);
  let regions = (region SizedRegion<1>:$init);
  let assemblyFormat = "$sym_name $kind `:` $type attr-dict-with-keyword $init";
}
def Ssl_NetOp : Ssl_Op<"net", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "a network's forward function";
  let description = [{
    A network at one set of input types; its states are found by name below `path` of the apply that calls it: nn.read @".conv1.weight" is
    relative (leading dot).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, UnitAttr:$training);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `:` $function_type attr-dict-with-keyword $body";
}
def Ssl_ApplyOp : Ssl_Op<"apply"> {
  let summary = "a network applied with the states below `path`: apply @net as \"online\" (%x)";
  let description = [{
    The network's relative names are completed by `path`: @".conv1.weight" below "online" is @"online.conv1.weight".
  }];
  let arguments = (ins FlatSymbolRefAttr:$net, StrAttr:$path, Variadic<Nn_Tensor>:$inputs);
  let results = (outs Variadic<Nn_Tensor>:$outputs);
  let assemblyFormat = "$net `as` $path `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}
def Ssl_EmaOp : Ssl_Op<"ema", [SingleBlock]> {
  let summary = "the exponential moving average of a network's parameters, and when it moves";
  let description = [{
    The region yields the momentum (a scalar). Each parameter below `target` follows the one of the same relative name below `source`.
  }];
  let arguments = (ins StrAttr:$target, StrAttr:$source, Ssl_WhenAttr:$when);
  let regions = (region SizedRegion<1>:$momentum);
  let assemblyFormat = "$target `of` $source $when attr-dict-with-keyword $momentum";
}
def Ssl_StepOp : Ssl_Op<"step", [SingleBlock, NoTerminator]> {
  let summary = "the forward computation of one step";
  let description = [{
    Argument: the images. Holds nn ops, ssl.apply, ssl.view, ssl.loss, ssl.metric, and in the order of the text ssl.update and ssl.ema.
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "attr-dict-with-keyword $body";
}
def Ssl_ViewOp : Ssl_Op<"view", [Pure]> {
  let summary = "names a view";
  let description = [{
    What `doppel preview` shows; the value is one that the step uses.
  }];
  let arguments = (ins StrAttr:$name, Nn_Tensor:$value);
  let assemblyFormat = "$name $value attr-dict `:` type($value)";
}
def Ssl_LossOp : Ssl_Op<"loss"> {
  let summary = "a term of the loss";
  let description = [{
    The step's loss is the sum of all.
  }];
  let arguments = (ins Nn_Scalar:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}
def Ssl_MetricOp : Ssl_Op<"metric"> {
  let summary = "a scalar to report each step";
  let description = [{
    Its mean over ranks is reported.
  }];
  let arguments = (ins StrAttr:$name, Nn_Scalar:$value);
  let assemblyFormat = "$name $value attr-dict `:` type($value)";
}
def Ssl_UpdateOp : Ssl_Op<"update", [SingleBlock, HasParent<"StepOp">]> {
  let summary = "a state's new value and when it is written";
  let description = [{
    The region yields the new value. It is evaluated at its moment: what it reads are the states as they are then; values of the step above
    that it uses are those of the forward computation (none before forward).
  }];
  let arguments = (ins StrAttr:$state, Ssl_WhenAttr:$when);
  let regions = (region SizedRegion<1>:$value);
  let assemblyFormat = "$state $when attr-dict-with-keyword $value";
}
def Ssl_OptimizeOp : Ssl_Op<"optimize", [SingleBlock]> {
  let summary = "an optimizer and the parameters that it steps";
  let description = [{
    The region yields (learning rate, weight decay), and where the optimizer does not step each time the condition, i1. decay and adapt: one for
    each parameter, as in nn.optimize.
  }];
  let arguments = (ins Nn_OptimizerRuleAttr:$rule, StrArrayAttr:$parameters, DenseBoolArrayAttr:$decay,
                       DenseBoolArrayAttr:$adapt, DictionaryAttr:$options);
  let regions = (region SizedRegion<1>:$schedule);
  let assemblyFormat = "$rule $parameters `decay` $decay `adapt` $adapt $options attr-dict-with-keyword $schedule";
}
def Ssl_RepresentOp : Ssl_Op<"represent", [SingleBlock]> {
  let summary = "what the method is for: features of a batch of images in inference mode";
  let description = [{
    Argument: the images; yields features [batch, D].
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "attr-dict-with-keyword $body";
}

#endif
