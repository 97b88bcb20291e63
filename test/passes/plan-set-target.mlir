// The text of --target becomes the module's attribute; from the fused phase on a module without one is an error.
// RUN: doppel-opt %s --plan-set-target | FileCheck %s --check-prefix=CPU
// RUN: doppel-opt %s --plan-set-target=target=cpu:znver5 | FileCheck %s --check-prefix=NAMED
// RUN: doppel-opt %s --plan-set-target=target=cuda | FileCheck %s --check-prefix=CUDA
// RUN: doppel-opt %s --plan-set-target=target=cuda:sm_120,sm_86 | FileCheck %s --check-prefix=TWO
// RUN: doppel-opt %s --plan-set-target=target=cuda-sim | FileCheck %s --check-prefix=SIM
// RUN: doppel-opt %s --plan-set-target=target=cuda-sim:check | FileCheck %s --check-prefix=CHECKED
// RUN: doppel-opt %s --plan-set-target=target=cuda --plan-set-target=target=cuda:sm_90,sm_80 | FileCheck %s --check-prefix=CUDA
//
// CPU: module attributes {plan.target = #plan.target<kind = "cpu">}
// NAMED: #plan.target<kind = "cpu", name = "znver5">
// CUDA: #plan.target<kind = "cuda", architectures = ["sm_80", "sm_90"]>
// TWO: #plan.target<kind = "cuda", architectures = ["sm_86", "sm_120"]>
// SIM: #plan.target<kind = "cuda-sim", architectures = ["sm_80"]>
// CHECKED: #plan.target<kind = "cuda-sim", architectures = ["sm_80"], check = true>
//
// RUN: for wrong in tpu cdua cpu: cuda: cuda:sm_12 cuda:sm_75 cuda:sm_80, cuda:sm_90,sm_80,sm_90 cuda-sim:chek cuda-sim: CUDA ""; do \
// RUN:   not doppel-opt %s --plan-set-target="target=$wrong" 2>&1 || exit 1; done | FileCheck %s --check-prefix=WRONG
// WRONG: error: 'tpu' is no target; targets are cpu, cpu:NAME, cuda, cuda:ARCHITECTURE,..., cuda-sim and cuda-sim:check; did you mean cpu?
// WRONG: error: 'cdua' is no target; {{.*}}; did you mean cuda?
// WRONG: error: 'cpu:' names no processor; cpu alone is this machine's
// WRONG: error: 'cuda:' names no architecture; cuda alone is cuda:sm_80,sm_90
// WRONG: error: 'sm_12' in 'cuda:sm_12' is no architecture that code can be made for; there are sm_80, sm_86, sm_89, sm_90, sm_100, sm_120; did you mean sm_120?
// WRONG: error: 'sm_75' in 'cuda:sm_75' is no architecture{{.*}}
// WRONG: error: '' in 'cuda:sm_80,' is no architecture
// WRONG: error: 'cuda:sm_90,sm_80,sm_90' names sm_90 twice
// WRONG: error: 'cuda-sim:chek' is no target; {{.*}}; did you mean cuda-sim:check?
// WRONG: error: 'cuda-sim:' is no target
// WRONG: error: 'CUDA' is no target
// WRONG: error: '' is no target
//
// One module has one target.
// RUN: not doppel-opt %s --plan-set-target --plan-set-target=target=cuda 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: error: the module has the target #plan.target<kind = "cpu"> already, not #plan.target<kind = "cuda",
//
// Without one nothing is fused, placed, or of a phase from `fused` on.
// RUN: not doppel-opt %s --nn-fuse 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not doppel-opt %s --place-program 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not doppel-opt %s --nn-verify-phase=phase=fused 2>&1 | FileCheck %s --check-prefix=FUSED
// RUN: not doppel-opt %s --nn-verify-phase=phase=plan 2>&1 | FileCheck %s --check-prefix=PLAN
// RUN: doppel-opt %s --nn-verify-phase=phase=train
// RUN: doppel-opt %s --to-fused=target=cuda | doppel-opt --to-plan | FileCheck %s --check-prefix=CUDA
// NONE: error: the module has no plan.target, which says how kernels are cut
// FUSED: error: phase 'fused': 'builtin.module' has no plan.target
// PLAN: error: phase 'plan': 'builtin.module' has no plan.target

func.func @step(%x: tensor<2xf32>) -> (tensor<2xf32> {nn.name = "y"}) {
  return %x : tensor<2xf32>
}
