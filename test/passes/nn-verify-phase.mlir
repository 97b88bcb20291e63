// RUN: doppel-opt %s --nn-verify-phase=phase=train --split-input-file --verify-diagnostics

nn.state @w parameter : tensor<2xf32>
nn.state @v parameter : tensor<2xf32>

func.func @fine() -> tensor<2xf32> {
  %c = nn.constant dense<1.0> : tensor<2xf32>
  %w = nn.read @w : tensor<2xf32>
  %v = nn.read @v : tensor<2xf32>
  %s = nn.add %w, %c : tensor<2xf32>
  nn.check_finite %s "sum" : tensor<2xf32>
  nn.write @w, %s : tensor<2xf32>
  nn.write @v, %w : tensor<2xf32>
  return %s : tensor<2xf32>
}

// -----

func.func @stop_gradient(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{phase 'train': 'nn.stop_gradient' should be lowered}}
  %s = nn.stop_gradient %x : tensor<2xf32>
  return %s : tensor<2xf32>
}

// -----

nn.state @w parameter : tensor<2xf32>
func.func @late_read(%x: tensor<2xf32>) -> tensor<2xf32> {
  %y = nn.exp %x : tensor<2xf32>
  // expected-error @below {{phase 'train': 'nn.read' stands behind other operations}}
  %w = nn.read @w : tensor<2xf32>
  %s = nn.add %w, %y : tensor<2xf32>
  return %s : tensor<2xf32>
}

// -----

nn.state @w parameter : tensor<2xf32>
func.func @twice(%x: tensor<2xf32>) {
  nn.write @w, %x : tensor<2xf32>
  // expected-error @below {{phase 'train': 'nn.write' accesses 'w' a second time}}
  nn.write @w, %x : tensor<2xf32>
  return
}

// -----

nn.state @w parameter : tensor<2xf32>
func.func @late_check(%x: tensor<2xf32>) {
  nn.write @w, %x : tensor<2xf32>
  // expected-error @below {{phase 'train': 'nn.check_finite' stands behind a write}}
  nn.check_finite %x "x" : tensor<2xf32>
  return
}

// -----

nn.state @w parameter : tensor<2xf32>
nn.state_group @group parameter [@w] [0] : tensor<16xf32>
func.func @member() -> tensor<2xf32> {
  // expected-error @below {{phase 'train': 'nn.read' accesses 'w', which is a member of a group}}
  %w = nn.read @w : tensor<2xf32>
  return %w : tensor<2xf32>
}
