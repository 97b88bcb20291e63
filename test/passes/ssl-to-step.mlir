// RUN: doppel-opt %S/Inputs/momentum-contrast.mlir --ssl-to-step | FileCheck %s

// CHECK: module attributes {nn.batch = 8 : i64, nn.epochs = 3 : i64, nn.fingerprint = {{-?[0-9]+}} : i64, nn.method = "Tiny", nn.params = {dim = "4"}}
// CHECK-DAG: nn.state @online.fc.weight {{ *}}parameter : tensor<4x12xf32>
// CHECK-DAG: nn.state @key.fc.weight {{ *}}ema : tensor<4x12xf32>
// CHECK-DAG: nn.state @key.bn.mean {{ *}}buffer : tensor<4xf32>
// CHECK-DAG: nn.state @queue {{ *}}queue : tensor<16x4xf32>
// CHECK-NOT: ssl.

// States are initialised in the order of their declaration; a copy reads what was written before.
// CHECK-LABEL: func.func @init()
// CHECK: nn.write @online.fc.weight
// CHECK: %[[W:.+]] = nn.read @online.fc.weight
// CHECK: nn.write @key.fc.weight, %[[W]]

// The average moves before the forward computation, parameters only; the queue is written after the loss; the optimizer comes last.
// CHECK-LABEL: func.func @step
// CHECK-SAME: (tensor<f32> {nn.name = "loss"}, tensor<f32> {nn.name = "learning_rate"})
// CHECK: nn.ema_update %{{.+}} [@key.fc.weight, @key.fc.bias, @key.bn.weight] from [@online.fc.weight, @online.fc.bias, @online.bn.weight]
// CHECK: nn.augment %{{.+}} stream 3
// CHECK: nn.read @online.fc.weight
// CHECK: nn.write @online.bn.mean
// CHECK: nn.read @key.fc.weight
// CHECK: nn.write @key.bn.mean
// CHECK: %[[LOSS:.+]] = nn.reduce {{ *}}sum %{{.+}} [0] : tensor<8xf32> -> tensor<f32>
// CHECK: %[[OLD:.+]] = nn.read @queue
// CHECK: nn.enqueue %[[OLD]]
// CHECK: nn.write @queue
// CHECK: %[[RATE:.+]] = nn.constant dense<1.250000e-01>
// CHECK: nn.optimize {{ *}}sgd %[[LOSS]], %[[RATE]], %{{.+}} [@online.fc.weight, @online.fc.bias, @online.bn.weight] decay [true, false, false]
// CHECK: return %[[LOSS]], %[[RATE]]

// Views come with the random numbers of the step, and nothing else is computed.
// CHECK-LABEL: func.func @preview
// CHECK-SAME: {nn.name = "q"}, tensor<8x2x2x3xf32> {nn.name = "k"}
// CHECK: %[[Q:.+]] = nn.augment %{{.+}} stream 3
// CHECK: %[[K:.+]] = nn.augment %{{.+}} stream 4
// CHECK-NEXT: return %[[Q]], %[[K]]

// CHECK-LABEL: func.func @represent
// CHECK-SAME: {nn.name = "features"}
// CHECK: nn.read @online.fc.weight
