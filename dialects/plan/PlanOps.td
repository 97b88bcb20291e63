// The plan dialect: the program, one to one with the artifact. README.md tells the operands of each library call.
#ifndef DOPPEL_PLAN_OPS
#define DOPPEL_PLAN_OPS

include "dialects/nn/NnBase.td"
include "dialects/plan/PlanEnums.td"
include "dialects/plan/PlanInterfaces.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::doppel::plan";
  let summary = "The compiled program: arenas, buffers, launches, library calls, collectives";
  let description = [{
    What a device executes, in order. Nothing is a value here but buffers: typed ranges of arenas at fixed offsets. The artifact's
    schema has one table an operation; codegen/artifact writes them one to one.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
  let hasOperationAttrVerify = 1;
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

// An operation that names symbols of the module and is checked against them.
class Plan_SymbolUserOp<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, [DeclareOpInterfaceMethods<SymbolUserOpInterface>] # traits>;

// Reads or writes buffers.
class Plan_InstructionOp<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, [DeclareOpInterfaceMethods<Plan_Instruction>] # traits>;

def Plan_ArenaKindAttr : EnumAttr<Plan_Dialect, Plan_ArenaKind, "arena_kind">;

def Plan_LibraryOpAttr : EnumAttr<Plan_Dialect, Plan_LibraryOp, "library_op">;

def Plan_CollectiveKindAttr : EnumAttr<Plan_Dialect, Plan_CollectiveKind, "collective_kind">;

def Plan_TargetAttr : AttrDef<Plan_Dialect, "Target"> {
  let mnemonic = "target";
  let summary = "what the program is made for";
  let description = [{
    The attribute `plan.target` of a module, which passes ask from fusion on, through plan::Machine. `kind` is "cpu", "cuda" or "cuda-sim" (CUDA's
    kernels on a CPU; `check` finds races and accesses out of bounds). A processor has a `name`, LLVM's, and `features`, as in /proc/cpuinfo; both
    are absent where no code will be made. `architectures` are those of the GPUs, the least first.
    ```mlir
    module attributes {plan.target = #plan.target<kind = "cpu", name = "znver5", features = ["avx", "avx2"]>} {}
    module attributes {plan.target = #plan.target<kind = "cuda", architectures = ["sm_80", "sm_90"]>} {}
    ```
  }];
  let parameters = (ins StringRefParameter<"">:$kind, StringRefParameter<"", [{""}]>:$name,
                        OptionalParameter<"::mlir::ArrayAttr">:$features, OptionalParameter<"::mlir::ArrayAttr">:$architectures,
                        OptionalParameter<"::mlir::BoolAttr">:$check);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Plan_BufferType : TypeDef<Plan_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "a dense row-major tensor, !nn.images or the run's scalars in an arena";
  let parameters = (ins "::mlir::Type":$value);
  let assemblyFormat = "`<` $value `>`";
}
def Plan_RunType : TypeDef<Plan_Dialect, "Run"> {
  let mnemonic = "run";
  let summary = "abi::RunScalars";
}

def Plan_ArenaOp : Plan_Op<"arena", [Symbol]> {
  let summary = "memory of `bytes` bytes, aligned to 64";
  let description = [{
    @state holds all that persists, @transient what lives within one function, @io what the host writes: the images, the run's scalars, inputs.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Plan_ArenaKindAttr:$kind, I64Attr:$bytes);
  let assemblyFormat = "$sym_name $kind $bytes attr-dict";
  let hasVerifier = 1;
}
def Plan_StateOp : Plan_Op<"state", [Symbol]> {
  let summary = "a named state at a fixed place of the state arena";
  let description = [{
    Bytes [offset, offset + bytes of the type) of @state. The names are those of a checkpoint.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Nn_StateKindAttr:$kind, I64Attr:$offset, TypeAttrOf<AnyRankedTensor>:$type);
  let assemblyFormat = "$sym_name $kind `at` $offset attr-dict `:` $type";
}
def Plan_KernelOp : Plan_Op<"kernel", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "a kernel of `grid` workgroups";
  let description = [{
    The body is the fused region of nn; a target's code generation makes a function abi::KernelFunction of it. The block arguments are the
    launch's inputs, the yielded values its outputs. A kernel that reads the run's scalars (`uses_run`) has the `run` buffer as its last input in
    the launch, without a block argument. `scratch_bytes` is the memory that each workgroup that runs needs for itself. Both are
    of the module's target (Machine.h).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Nn_KernelKindAttr:$kind, I64Attr:$grid, I64Attr:$scratch_bytes,
                       UnitAttr:$uses_run);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $kind `grid` $grid `scratch` $scratch_bytes attr-dict-with-keyword $body";
  let hasVerifier = 1;
}
def Plan_BufferOp : Plan_SymbolUserOp<"buffer", [Pure]> {
  let summary = "the range of `arena` from byte `offset` on, as the place of one value";
  let description = [{
    `storage` numbers values: ranges of one storage of an arena hold parts of one value. Without it, the buffer is what its bytes were when the
    function began: a state's old value, an image, an input. So an update in place is two buffers of the same bytes, and plan-verify-memory can
    tell which value an instruction asks for:
    ```mlir
    %old = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
    %new = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<64xf32>>
    plan.launch @step(%old, %g) -> (%new) : ...
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$arena, I64Attr:$offset, OptionalAttr<I64Attr>:$storage);
  let results = (outs Plan_BufferType:$result);
  let assemblyFormat = "$arena `[` $offset `]` (`storage` $storage^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}
def Plan_AllocOp : Plan_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "transient memory without a place yet; its bytes are unknown until they are written";
  let description = [{
    Before the pass plan-memory only, which gives each allocation its bytes of @transient.
  }];
  let results = (outs Plan_BufferType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}
def Plan_ViewOp : Plan_Op<"view", [Pure]> {
  let summary = "the bytes of `source` from byte `offset` on, under another type";
  let description = [{
    Part of the source's value. Before the pass plan-memory only.
  }];
  let arguments = (ins Plan_BufferType:$source, I64Attr:$offset);
  let results = (outs Plan_BufferType:$result);
  let assemblyFormat = "$source `[` $offset `]` attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}
def Plan_LaunchOp : Plan_InstructionOp<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>, AttrSizedOperandSegments]> {
  let summary = "runs a kernel's workgroups";
  let description = [{
    In any order, on any number of threads. An output lies on no byte of an input, but exactly on one that the kernel reads element by element
    (README.md, "Launches").
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Plan_BufferType>:$inputs, Variadic<Plan_BufferType>:$outputs);
  let assemblyFormat = "$kernel `(` $inputs `)` `->` `(` $outputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}
def Plan_CallOp : Plan_InstructionOp<"call", [AttrSizedOperandSegments]> {
  let summary = "a library operation";
  let description = [{
    README.md, "Calls", has the operands and `ints` of each. Outputs overlap no input. `precision` is what a call that sums products rounds its
    operands to, f32 of all others.
  }];
  let arguments = (ins Plan_LibraryOpAttr:$callee, Variadic<Plan_BufferType>:$inputs, Variadic<Plan_BufferType>:$outputs,
                       DenseI64ArrayAttr:$ints, Nn_CallPrecision:$precision);
  let assemblyFormat = "$callee `(` $inputs `)` `->` `(` $outputs `)` $ints attr-dict `:` functional-type($inputs, $outputs)";
  let hasVerifier = 1;
}
def Plan_CopyOp : Plan_InstructionOp<"copy"> {
  let summary = "target <- source";
  let description = [{
    Byte by byte; both have as many, and do not overlap.
  }];
  let arguments = (ins Plan_BufferType:$source, Plan_BufferType:$target);
  let assemblyFormat = "$source `->` $target attr-dict `:` type($source) `->` type($target)";
  let hasVerifier = 1;
}
def Plan_CollectiveStartOp : Plan_InstructionOp<"collective_start"> {
  let summary = "begins an operation of all ranks; `order` numbers them";
  let description = [{
    A function's collectives have the numbers 0, 1, ... in the order in which they start: every rank executes the same list, and knows by the number
    that it does. Each has one wait, behind it. Until then nothing writes the input, and nothing reads or writes the output.
    ```mlir
    plan.collective_start all_reduce %g -> %sum order 0 : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
    plan.launch @meanwhile(%x) -> (%y) : ...
    plan.collective_wait %g -> %sum order 0 : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
    ```
  }];
  let arguments = (ins Plan_CollectiveKindAttr:$kind, Plan_BufferType:$input, Plan_BufferType:$output, I64Attr:$order);
  let assemblyFormat = "$kind $input `->` $output `order` $order attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}
def Plan_CollectiveWaitOp : Plan_InstructionOp<"collective_wait"> {
  let summary = "the output of the collective `order` is there, and its input free";
  let description = [{
    Names the buffers again, since they are in use until here.
  }];
  let arguments = (ins Plan_BufferType:$input, Plan_BufferType:$output, I64Attr:$order);
  let assemblyFormat = "$input `->` $output `order` $order attr-dict `:` type($input) `->` type($output)";
}
def Plan_CommitOp : Plan_InstructionOp<"commit"> {
  let summary = "from here on states are written, and nothing is checked";
  let description = [{
    At most once in a function; touches no buffer itself. Before it, states are what they were when the function began, so a step that a check has stopped has changed nothing.
    A function without it writes no state.
  }];
  let assemblyFormat = "attr-dict";
}
def Plan_CheckOp : Plan_InstructionOp<"check"> {
  let summary = "stops the run where a value of the buffer is not finite";
  let description = [{
    No later instruction is executed then. `what` names the value to the user.
  }];
  let arguments = (ins Plan_BufferType:$buffer, StrAttr:$what);
  let assemblyFormat = "$buffer $what attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}
def Plan_FuncOp : Plan_Op<"func", [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator]> {
  let summary = "a function of the program: init, step, represent or preview";
  let description = [{
    Definitions of memory, then instructions in order. Inputs and outputs are named: step gives "loss" and metrics, represent "features", preview
    the views.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}
def Plan_InputOp : Plan_InstructionOp<"input"> {
  let summary = "names a buffer that the host writes before the function runs";
  let description = [{
    In @io; without a storage, since that is what its bytes are when the function begins.
  }];
  let arguments = (ins StrAttr:$name, Plan_BufferType:$buffer);
  let assemblyFormat = "$name $buffer attr-dict `:` type($buffer)";
}
def Plan_OutputOp : Plan_InstructionOp<"output"> {
  let summary = "names a buffer as an output of the function";
  let description = [{
    The host reads it when the last instruction has run.
  }];
  let arguments = (ins StrAttr:$name, Plan_BufferType:$buffer);
  let assemblyFormat = "$name $buffer attr-dict `:` type($buffer)";
}

#endif
