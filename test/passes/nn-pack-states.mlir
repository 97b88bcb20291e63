// RUN: doppel-opt %S/Inputs/momentum-contrast.mlir --ssl-to-step --nn-differentiate --nn-pack-states --cse | FileCheck %s
// Three steps give the same states as the updates of one state after another.
// RUN: doppel-opt %S/Inputs/momentum-contrast.mlir --to-step --nn-differentiate | doppel-verify run --function step --steps 3 - > %t.whole
// RUN: doppel-opt %S/Inputs/momentum-contrast.mlir --to-step --to-train | doppel-verify run --function step --steps 3 - > %t.packed
// RUN: diff %t.whole %t.packed

// Parameters under decay and those that are not lie in two groups; averages and moments have the same offsets, of 64 bytes.
// CHECK: nn.state @online.fc.weight.momentum moment : tensor<4x12xf32>
// CHECK: nn.state_group @"online/decay" parameter [@online.fc.weight] [0] : tensor<48xf32>
// CHECK: nn.state_group @"key/decay" ema [@key.fc.weight] [0] : tensor<48xf32>
// CHECK: nn.state_group @"online/decay/momentum" moment [@online.fc.weight.momentum] [0] : tensor<48xf32>
// CHECK: nn.state_group @"online/no_decay" parameter [@online.fc.bias, @online.bn.weight] [0, 16] : tensor<32xf32>
// CHECK: nn.state_group @"key/no_decay" ema [@key.fc.bias, @key.bn.weight] [0, 16] : tensor<32xf32>

// The copies begin as the parameters, in one vector; moments begin at zero.
// CHECK-LABEL: func.func @init
// CHECK: %[[W:.+]] = nn.pack
// CHECK: nn.write @"online/decay", %[[W]]
// CHECK: nn.write @"key/decay", %[[W]]
// CHECK: nn.write @"online/decay/momentum"
// CHECK: %[[B:.+]] = nn.pack %{{.+}}, %{{.+}} [0, 16]
// CHECK: nn.write @"online/no_decay", %[[B]]

// CHECK-LABEL: func.func @step
// The average is one sweep over each vector.
// CHECK: %[[KEY:.+]] = nn.read @"key/decay"
// CHECK: %[[ONLINE:.+]] = nn.read @"online/decay"
// CHECK: nn.write @"key/decay"
// A member is a part of its group's vector.
// CHECK: %[[PARTS:.+]] = nn.read @"online/no_decay"
// CHECK: nn.slice %[[PARTS]] offsets [0] strides [1] : tensor<32xf32> -> tensor<4xf32>
// CHECK: nn.slice %[[PARTS]] offsets [16] strides [1] : tensor<32xf32> -> tensor<4xf32>
// Gradients are packed and checked.
// CHECK: %[[G:.+]] = nn.pack %{{.+}} [0] : (tensor<4x12xf32>) -> tensor<48xf32>
// CHECK: nn.check_finite %[[G]] "gradient of online"
// CHECK: nn.write @"online/decay"
// CHECK: nn.write @"online/decay/momentum"
// CHECK: nn.check_finite %{{.+}} "loss"
// CHECK-NOT: nn.read @online.fc
// CHECK-NOT: nn.update_parameters
// CHECK-LABEL: func.func @represent
// CHECK: nn.read @"online/decay"
