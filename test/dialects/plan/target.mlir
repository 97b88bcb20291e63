// RUN: doppel-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{'tpu' is no kind of target; kinds are cpu, cuda and cuda-sim}}
module attributes {plan.target = #plan.target<kind = "tpu">} {}

// -----

// expected-error @below {{a target 'cuda' has to name its architectures}}
module attributes {plan.target = #plan.target<kind = "cuda">} {}

// -----

// expected-error @below {{a target 'cuda' has to name its architectures}}
module attributes {plan.target = #plan.target<kind = "cuda", architectures = []>} {}

// -----

// expected-error @below {{a target 'cpu' has no architectures}}
module attributes {plan.target = #plan.target<kind = "cpu", architectures = ["sm_80"]>} {}

// -----

// expected-error @below {{"sm_12" is no architecture}}
module attributes {plan.target = #plan.target<kind = "cuda", architectures = ["sm_12"]>} {}

// -----

// expected-error @below {{the least first, not ["sm_90", "sm_80"]}}
module attributes {plan.target = #plan.target<kind = "cuda", architectures = ["sm_90", "sm_80"]>} {}

// -----

// expected-error @below {{a target 'cuda' has no processor}}
module attributes {plan.target = #plan.target<kind = "cuda", name = "znver5", architectures = ["sm_90"]>} {}

// -----

// expected-error @below {{features and architectures of a target are strings}}
module attributes {plan.target = #plan.target<kind = "cpu", features = [1]>} {}

// -----

// expected-error @below {{only a target 'cuda-sim' checks}}
module attributes {plan.target = #plan.target<kind = "cpu", check = true>} {}

// -----

// expected-error @below {{'plan.target' is a #plan.target, not "cpu"}}
module attributes {plan.target = "cpu"} {}

// -----

// expected-error @below {{'plan.aim' is no attribute of the plan dialect}}
module attributes {plan.aim = "cpu"} {}

// -----

// expected-error @below {{'plan.target' is an attribute of a module}}
func.func private @f() attributes {plan.target = #plan.target<kind = "cpu">}
