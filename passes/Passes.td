// Every pass, with its rewrite as an equation. In the order in which the pipelines run them.
#ifndef DOPPEL_PASSES
#define DOPPEL_PASSES

include "mlir/Pass/PassBase.td"

//===-- To the step phase ---------------------------------------------------------------------------===//

def CheckMethod : Pass<"ssl-check-method", "::mlir::ModuleOp"> {
  let summary = "warns of methods that collapse, leak or overflow; changes nothing";
  let description = [{
    ```
    W0504  the loss decomposes into images, and no target or no predictor   a constant output minimises it
    W0505  loss <- apply ema(apply net)                                      gradient through an average
    W0506  queue in the loss, batch norm of one group in the key network     statistics tell the positive
    W0507  exp(x), x bounded above 88                                        overflow in f32
    W0508  loss <- enqueue                                                   positives among the negatives
    W0509  apply without uses
    W0512  a term of the loss <- networks, none with gradient                it changes no parameter
    ```
  }];
}

def SslToStep : Pass<"ssl-to-step", "::mlir::ModuleOp"> {
  let summary = "ssl.method => nn.state..., @init, @step, @represent, @preview";
  let description = [{
    ```
    state(s, init)                 => nn.state s;  @init: write s, init
    y = apply net as p (x)         => the body of net, read @".w" => read @"p.w"
    ema t of s before_forward      => ema_update m, t from s     first of all
    update s, v after_loss         => write s, v                 after the loss, before the optimizers
    optimize r parameters          => optimize r (sum of losses), learning rate, weight decay
    update s, v after_step         => write s, v                 after the optimizers
    ```
    A read of a state in the forward computation gives its value from before the `after_loss` updates.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect", "::mlir::func::FuncDialect"];
}

//===-- To the train phase --------------------------------------------------------------------------===//

def MixedPrecision : Pass<"nn-mixed-precision", "::mlir::func::FuncOp"> {
  let summary = "matmul, conv2d => the same {precision = tf32}";
  let description = [{
    What convolutions and products round their operands to; autodiff gives it to their derivatives. Only the calls of libraries have a
    precision: what kernels compute is f32.
  }];
  let options = [Option<"precision", "precision", "std::string", [{"f32"}], "f32 or tf32">];
}

def Differentiate : Pass<"nn-differentiate", "::mlir::func::FuncOp"> {
  let summary = "optimize(loss, w...) => update_parameters(d loss / d w...)";
  let description = [{
    Reverse mode over the function's one block. Each operation has a rule (DerivativeRules.cpp), a derivative that is exactly
    zero, or none, which is an error that lists every such operation on a path from a parameter to the loss. Nothing is made
    for a branch without such a path. `stop_gradient(x) => x` at the end.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def DecomposeBatchNorm : Pass<"nn-decompose-batch-norm", "::mlir::func::FuncOp"> {
  let summary = "batch_norm(x) => a * x + b with statistics by reduce; its derivative by sum(dy), sum(dy * xhat)";
  let description = [{
    ```
    mean = sum(x) / M;  var = sum((x - mean)^2) / M;  rstd = 1 / sqrt(var + epsilon)
    batch_norm(x, scale, bias)  => x * a + b                 a = scale * rstd, b = bias - mean * a
    batch_norm_backward         => dbias = sum(dy), dscale = sum(dy * xhat),
                                   dx = a * (dy - dbias / M - xhat * dscale / M)    xhat = (x - mean) * rstd
    ```
    Sums are over all but the last dimension, so that one column kernel makes those of one x in one sweep.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def PackStates : Pass<"nn-pack-states", "::mlir::ModuleOp"> {
  let summary = "update_parameters(g...) => write @group, w - lr * f(pack(g...)); ema_update likewise";
  let description = [{
    Parameters of one network, optimizer and class (under decay or not, under adaptation or not) become one vector, and so do
    their gradients, moments and EMA copies, in the same order. An optimizer is then a few element-wise operations over vectors.
    ```
    read @w                        => reshape(slice(read @group))
    update_parameters sgd          => v' = m v + (1 - dampening) (g + wd w);  w' = w - lr v'
    update_parameters lars, adamw  => see README.md
    ema_update m, t from s         => t' = m t + (1 - m) s
    ```
    Packed gradients, the loss, and rates and momenta that are no constants get a check_finite.
    With `world` > 1 each packed gradient becomes its mean over ranks by one all_reduce.
  }];
  let options = [Option<"world", "world", "int64_t", "1", "number of ranks">];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def StatesToSsa : Pass<"nn-states-to-ssa", "::mlir::func::FuncOp"> {
  let summary = "write s, v; ...; read s => v: each state is read once, at the top, and written once, at the end";
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def Simplify : Pass<"nn-simplify", "::mlir::func::FuncOp"> {
  let summary = "matmul(transpose(a), b) => matmul(a, b) transpose_lhs; pad(a) + pad(b) => concat(a, b); x + -y => x - y";
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def VerifyPhase : Pass<"nn-verify-phase", "::mlir::ModuleOp"> {
  let summary = "checks a phase's postcondition; an error names the phase";
  let options = [Option<"phase", "phase", "std::string", "", "step, train, fused or plan">];
}

//===-- To the fused phase --------------------------------------------------------------------------===//

def SetTarget : Pass<"plan-set-target", "::mlir::ModuleOp"> {
  let summary = "module => module attributes {plan.target = #plan.target<...>}, which fusion and all that follows ask";
  let options = [Option<"target", "target", "std::string", [{"cpu"}], "as --target of doppel compile takes it; without a processor's features">];
  let dependentDialects = ["::doppel::plan::PlanDialect"];
}

def DecomposePools : Pass<"nn-decompose-pools", "::mlir::func::FuncOp"> {
  let summary = "max_pool2d(x) => max over the places k of a window of slice(pad(x), k); its derivative by the number of the place";
  let description = [{
    ```
    max_pool2d(x)               => y = max_k x_k, place = the first k that has it           x_k = slice(pad(x), k, strides)
    max_pool2d_backward(dy)     => slice(sum_k pad(select(place == k, dy, 0), k, strides))
    avg_pool2d(x)               => sum_kx slice(sum_ky slice(pad(x), ky), kx) / (KH KW)
    avg_pool2d_backward(dy)     => slice(sum_ky pad(sum_kx pad(dy / (KH KW), kx), ky))
    ```
    For targets that have no calls of pools.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def LayOutConvolutions : Pass<"nn-lay-out-convolutions", "::mlir::func::FuncOp"> {
  let summary = "conv2d(x, w) => conv2d(pad(x), pad(transpose(w))) channels_last, as the target's library wants them";
  let description = [{
    ```
    conv2d(x, w)                   => conv2d(x, w') channels_last                   w' = transpose(w) [O, KH, KW, I]
    conv2d_backward_data(dy, w)    => conv2d_backward_data(dy, w') channels_last
    conv2d_backward_weights(x, dy) => transpose(conv2d_backward_weights(x, dy) channels_last)
    I no multiple                  => x and w' padded with zeros, derivatives cut
    ```
    The states keep their order; transposes are fused with what makes and reads filters. Groups are not padded.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def FuseEpilogues : Pass<"nn-fuse-epilogues", "::mlir::func::FuncOp"> {
  let summary = "relu(matmul(a, b) + c + broadcast(bias)) => gemm(a, b, c, bias) relu";
  let description = [{
    ```
    matmul(a, b) + broadcast(v)    => gemm(a, b) bias v                v [N], one for each column
    matmul(a, b) + c               => gemm(a, b) add c                 where c is in memory anyway
    relu(...)                      => gemm(...) {relu}
    ```
    In any order that ends in relu, through reshapes. Each value on the way has one reader, so nothing is lost. For targets whose library
    does that before it stores. README.md tells what is left to kernels.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
  let statistics = [Statistic<"fused", "epilogues-fused", "products that took something">];
}

def RemakeUpdates : Pass<"nn-remake-updates", "::mlir::func::FuncOp"> {
  let summary = "v = f(read...); use v; write s, v => v = f(read...); use v; v' = f(read...); write s, v'";
  let description = [{
    States are written behind the commit point alone. What an update `before forward` gives the forward is then a value that dies there, and the write
    has one of its own, which fusion puts into the sweep that steps the network:
    ```
    t' = m t + (1 - m) w;  y = f(t');  write t, t'  =>  t' = m t + (1 - m) w;  y = f(t');  t'' = m t + (1 - m) w;  write t, t''
    ```
    `f` is element-wise in states and single numbers; other values are copied behind the commit point.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
  let statistics = [Statistic<"remade", "updates-remade", "updates made again for their write">];
}

def Fuse : Pass<"nn-fuse", "::mlir::func::FuncOp"> {
  let summary = "y = f(x); z = g(y, x) => y, z = fused(x): kernels of kind map, row, column, gather, scatter, segment, random, augment";
  let description = [{
    ```
    sum(x), sum((x - mean)^2)      => s1, s2 - s1^2 / M   with s1 = sum(x), s2 = sum(x^2) in f64
    reduce(x, [0, 2])              => reduce(reduce(x, [2]), [0])
    reduce(x [R, C]) of long R     => reduce(reduce(x [parts, R / parts, C])): partial results, then their sum in order
    segment_sum of long segments   => segment_sum(segment_sum of parts)
    ```
    Then groups operations. A value is stored only where that costs less traffic than computing it again in each kernel that reads it.
    Library calls, views (reshape, slice of neighbours), pack, concat along the first dimension, states, checks and collectives stay.
    New values of states that can wait until the commit point (Updates.h) have kernels of their own, those of small states together.
    What is long, small or too much is the target's to say (dialects/plan/Machine.h).
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

//===-- To the plan phase ---------------------------------------------------------------------------===//

def OrderUpdates : Pass<"nn-order-updates", "::mlir::func::FuncOp"> {
  let summary = "v = f(...); ...; write s, v => ...; v = f(...); write s, v. A check follows the value that it checks at once";
  let description = [{
    So that a state is still unchanged where its old value is read, and an update can happen in place, behind the commit point. A value sinks only if
    nothing but writes uses it and what it needs is no larger than it is (Updates.h). Collectives stay: their order is the program's.
  }];
  let dependentDialects = ["::doppel::nn::NnDialect"];
}

def PlaceProgram : Pass<"place-program", "::mlir::ModuleOp"> {
  let summary = "nn functions => plan functions over buffers, with a copy wherever a value gets another place";
  let description = [{
    ```
    nn.state, nn.state_group  => plan.state at its offset in @state: equal kinds together, in the order of declaration
    fused body (x) -> y       => kernel body (equal bodies once);  y = alloc;  launch (x) -> (y)
    conv2d x, w ...           => y = alloc;  call conv2d (x, w) -> (y)
    read s                    => v = alloc;  copy s -> v
    write s, v                => copy v -> s
    reshape x                 => view x[0];   slice of neighbours => view x[offset]
    pack, concat of parts     => v = alloc;  copy part -> view v[offset] ...;  launch zeros () -> (gap) ...
    check_finite              => check
    n-th collective           => collective_start order n;  collective_wait order n
    behind the last check     => commit, where states are written
    ```
    Copies are made without a thought; plan-elide-copies takes away those that nobody needs. The value that a write gives a state is a storage of
    its own in @state.
  }];
  let dependentDialects = ["::doppel::plan::PlanDialect"];
}

def ElideCopies : Pass<"plan-elide-copies", "::mlir::ModuleOp"> {
  let summary = "copy a -> b; use b => use a;  write a; copy a -> b => write b: where no one else touches a or b in between";
  let description = [{
    The second holds also where the launch that writes `a` reads `b` itself, if the kernel is element-wise in it: an update in place. Where `b` is a
    state, `a` is made behind the commit point, by launches and copies.
  }];
  let dependentDialects = ["::doppel::plan::PlanDialect"];
  let statistics = [Statistic<"elided", "copies-elided", "copies taken away">,
                    Statistic<"kept", "copies-kept", "copies that are needed">];
}

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "alloc, view => buffer @transient[offset]: allocations that are never alive at once share bytes";
  let description = [{
    An element-wise launch whose input dies there writes its output over it. Blocks then go to the lowest offset that is free for their whole
    life, in several orders of which the one with the lowest peak wins. One transient arena serves all functions.
  }];
  let options = [Option<"reuse", "reuse", "bool", "true", "let allocations share bytes">];
  let dependentDialects = ["::doppel::plan::PlanDialect"];
}

def VerifyMemory : Pass<"plan-verify-memory", "::mlir::ModuleOp"> {
  let summary = "checks that each instruction reads the bytes that were written for it";
  let description = [{
    Walks each function once and keeps for each byte of every arena which storage wrote it last. Errors are
    ```
    a read of bytes that another storage wrote, or that no one has     an old value behind its update, a new one before it
    a write of @state without a storage, or over another's             a state has one new value
    a state of which only a part has its new value at the end
    an output over another, or over an input that the kernel may not share
    a write of @state before the commit point, or by a library or other ranks; a check behind it
    states that overlap or end behind the arena
    ```
    Where a kernel may write over what it reads, it decides from the operations of its body (VerifySharing.h), more strictly than the planner does
    from its loops. It knows nothing of liveness, so it and the planner fail apart.
  }];
}

#endif
