// Constraints of arenas, states and updates: every symbol must name a state, and types must agree.
// RUN: doppel-opt %s -split-input-file -verify-diagnostics

func.func @pack_count(%a: tensor<4xf32>) {
  // expected-error@+1 {{has 2 offsets for 1 parts}}
  %0 = nn.pack %a [0, 16] : (tensor<4xf32>) -> tensor<32xf32>
  return
}

// -----

func.func @pack_overlap(%a: tensor<4x5xf32>) {
  // expected-error@+1 {{part 1 begins at 16, before the end of the part before at 20}}
  %0 = nn.pack %a, %a [0, 16] : (tensor<4x5xf32>, tensor<4x5xf32>) -> tensor<64xf32>
  return
}

// -----

func.func @pack_overlap_of_one(%a: tensor<4x4xf32>) {
  // expected-error@+1 {{part 1 begins at 15, before the end of the part before at 16}}
  %0 = nn.pack %a, %a [0, 15] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<64xf32>
  return
}

// -----

func.func @pack_end(%a: tensor<4xf32>) {
  // expected-error@+1 {{the last part ends at 36, the vector at 32}}
  %0 = nn.pack %a [32] : (tensor<4xf32>) -> tensor<32xf32>
  return
}

// -----

func.func @pack_element(%a: tensor<4xf64>) {
  // expected-error@+1 {{input 0 is 'tensor<4xf64>', the result is 'tensor<32xf32>'}}
  %0 = nn.pack %a [0] : (tensor<4xf64>) -> tensor<32xf32>
  return
}

// -----

func.func @segment_sum(%a: tensor<32xf32>) {
  // expected-error@+1 {{has 2 offsets for 3 segments}}
  %0 = nn.segment_sum %a offsets [0, 16] sizes [4, 4] : tensor<32xf32> -> tensor<3xf32>
  return
}

// -----

func.func @segment_sum_sizes(%a: tensor<32xf32>) {
  // expected-error@+1 {{part 0 has a size of -4}}
  %0 = nn.segment_sum %a offsets [0] sizes [-4] : tensor<32xf32> -> tensor<1xf32>
  return
}

// -----

func.func @segment_broadcast(%a: tensor<2xf64>) {
  // expected-error@+1 {{the segments are 'tensor<2xf64>', the vector is 'tensor<32xf32>': the element types differ}}
  %0 = nn.segment_broadcast %a offsets [0, 16] sizes [4, 4] : tensor<2xf64> -> tensor<32xf32>
  return
}

// -----

func.func @read() {
  // expected-error@+1 {{@w is not a state or state group of this module}}
  %0 = nn.read @w : tensor<4xf32>
  return
}

// -----

// expected-note@+1 {{declared here}}
nn.state @w parameter : tensor<4xf32>
func.func @write(%a: tensor<5xf32>) {
  // expected-error@+1 {{@w is 'tensor<4xf32>', the value is 'tensor<5xf32>'}}
  nn.write @w, %a : tensor<5xf32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
// expected-error@+1 {{is 'tensor<4x4xf32>', but must be a vector}}
nn.state_group @g parameter [@w] [0] : tensor<4x4xf32>

// -----

nn.state @w parameter : tensor<4xf32>
// expected-error@+1 {{has 2 offsets for 1 members}}
nn.state_group @g parameter [@w] [0, 16] : tensor<32xf32>

// -----

nn.state @w parameter : tensor<4xf32>
// expected-error@+1 {{offset 8 is not a multiple of 16 elements}}
nn.state_group @g parameter [@w] [8] : tensor<32xf32>

// -----

// expected-error@+1 {{@w is not a state of this module}}
nn.state_group @g parameter [@w] [0] : tensor<32xf32>

// -----

// expected-note@+1 {{declared here}}
nn.state @w parameter : tensor<4xf64>
// expected-error@+1 {{is 'tensor<32xf32>', its member @w is 'tensor<4xf64>'}}
nn.state_group @g parameter [@w] [0] : tensor<32xf32>

// -----

nn.state @v parameter : tensor<20xf32>
nn.state @w parameter : tensor<4xf32>
// expected-error@+1 {{part 1 begins at 16, before the end of the part before at 20}}
nn.state_group @g parameter [@v, @w] [0, 16] : tensor<32xf32>

// -----

nn.state @w parameter : tensor<4xf32>
func.func @ema_count(%m: tensor<f32>) {
  // expected-error@+1 {{has 1 targets for 2 sources}}
  nn.ema_update %m [@w] from [@w, @w] : tensor<f32>
  return
}

// -----

nn.state @t ema : tensor<5xf32>
nn.state @w parameter : tensor<4xf32>
func.func @ema_types(%m: tensor<f32>) {
  // expected-error@+1 {{the target @t is 'tensor<5xf32>', its source @w is 'tensor<4xf32>'}}
  nn.ema_update %m [@t] from [@w] : tensor<f32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @optimize_flags(%l: tensor<f32>) {
  // expected-error@+1 {{has 2 decay and 1 adapt flags for 1 parameters}}
  nn.optimize sgd %l, %l, %l [@w] decay [true, false] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @optimize_option(%l: tensor<f32>) {
  // expected-error@+1 {{sgd lacks its option 'dampening', a number}}
  nn.optimize sgd %l, %l, %l [@w] decay [true] adapt [true] {momentum = 0.9, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @optimize_flag(%l: tensor<f32>) {
  // expected-error@+1 {{sgd lacks its option 'nesterov', true or false}}
  nn.optimize sgd %l, %l, %l [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0} : tensor<f32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @optimize_form(%l: tensor<f32>) {
  // expected-error@+1 {{lars lacks its option 'form', "tf", "byol" or "larc"}}
  nn.optimize lars %l, %l, %l [@w] decay [true] adapt [true] {momentum = 0.9, nesterov = false, trust = 0.001, epsilon = 0.0, form = "apex"} : tensor<f32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @optimize_unknown(%l: tensor<f32>) {
  // expected-error@+1 {{adamw has no option 'momentum'}}
  nn.optimize adamw %l, %l, %l [@w] decay [true] adapt [true] {beta1 = 0.9, beta2 = 0.999, epsilon = 1.0e-8, momentum = 0.9} : tensor<f32>
  return
}

// -----

func.func @optimize_symbol(%l: tensor<f32>) {
  // expected-error@+1 {{@w is not a state of this module}}
  nn.optimize sgd %l, %l, %l [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @update_count(%l: tensor<f32>, %g: tensor<4xf32>) {
  // expected-error@+1 {{has 2 gradients for 1 parameters}}
  nn.update_parameters sgd %l, %l (%g, %g) [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>, tensor<4xf32>, tensor<4xf32>
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @update_type(%l: tensor<f32>, %g: tensor<5xf32>) {
  // expected-error@+1 {{the parameter @w is 'tensor<4xf32>', its gradient is 'tensor<5xf32>'}}
  nn.update_parameters sgd %l, %l (%g) [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>, tensor<5xf32>
  return
}
