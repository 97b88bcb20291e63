// Grids follow the target: what a workgroup takes is the machine's to say. So do the parts of long sums.
// RUN: doppel-opt %s --to-fused=target=cpu --to-plan | FileCheck %s --check-prefixes=CPU
// RUN: doppel-opt %s --to-fused=target=cuda --to-plan | FileCheck %s --check-prefixes=CUDA
// RUN: doppel-opt %s --to-fused=target=cuda-sim --to-plan | FileCheck %s --check-prefixes=CUDA
// RUN: doppel-opt %s --to-fused=target=cuda:sm_86 --to-plan | FileCheck %s --check-prefixes=OTHER

// A large map: 16,384 elements a workgroup on a CPU, 4,096 on a GPU.
// CPU: plan.kernel @map_0 map grid 64 scratch 0
// CUDA: plan.kernel @map_0 map grid 342 scratch 0
// OTHER: plan.kernel @map_0 map grid 256 scratch 0
nn.state @x parameter : tensor<1048576xf32>
nn.state @small parameter : tensor<300x40xf32>
nn.state @tall parameter : tensor<65536x256xf32>
nn.state @rows parameter : tensor<512x128xf32>
func.func @large() -> (tensor<1048576xf32> {nn.name = "y"}) {
  %x = nn.read @x : tensor<1048576xf32>
  %y = nn.relu %x : tensor<1048576xf32>
  return %y : tensor<1048576xf32>
}

// A small one: one workgroup on a CPU; on a GPU 1,024 elements each.
// CPU: plan.kernel @map_1 map grid 1 scratch 0
// CUDA: plan.kernel @map_1 map grid 12 scratch 0
// OTHER: plan.kernel @map_1 map grid 12 scratch 0
func.func @small_one() -> (tensor<300x40xf32> {nn.name = "y"}) {
  %x = nn.read @small : tensor<300x40xf32>
  %t = nn.transpose %x [1, 0] : tensor<300x40xf32> -> tensor<40x300xf32>
  %y = nn.exp %t : tensor<40x300xf32>
  %z = nn.transpose %y [1, 0] : tensor<40x300xf32> -> tensor<300x40xf32>
  return %z : tensor<300x40xf32>
}

// The sums of tall columns: 64 parts of 256 columns on a CPU; on a GPU parts for four blocks an SM, in tiles of 128 columns.
// CPU: plan.kernel @column_2 column grid 64 scratch 0
// CPU: tensor<64x1024x256xf32>
// CPU: plan.kernel @column_3 column grid 1 scratch 0
// CUDA: plan.kernel @column_2 column grid 256 scratch 0
// CUDA: tensor<128x512x256xf32>
// CUDA: plan.kernel @column_3 column grid 2 scratch 0
// OTHER: plan.kernel @column_2 column grid 256 scratch 0
func.func @columns() -> (tensor<256xf32> {nn.name = "y"}) {
  %x = nn.read @tall : tensor<65536x256xf32>
  %y = nn.reduce sum %x [0] : tensor<65536x256xf32> -> tensor<256xf32>
  return %y : tensor<256xf32>
}

// Rows: as many as fill a workgroup.
// CPU: plan.kernel @row_4 row grid 4 scratch 0
// CUDA: plan.kernel @row_4 row grid 64 scratch 0
// OTHER: plan.kernel @row_4 row grid 64 scratch 0
func.func @rows_of() -> (tensor<512xf32> {nn.name = "y"}) {
  %x = nn.read @rows : tensor<512x128xf32>
  %y = nn.reduce max %x [1] : tensor<512x128xf32> -> tensor<512xf32>
  return %y : tensor<512xf32>
}

// Sums of columns, 32 of them: enough for a CPU as they are, cut into tiles for a GPU.
// CPU: plan.kernel @column_5 column grid 32 scratch 0
// CUDA: plan.kernel @column_5 column grid 128 scratch 0
// OTHER: plan.kernel @column_5 column grid 128 scratch 0
nn.state @many parameter : tensor<32x128x512xf32>
func.func @columns_of_many() -> (tensor<32x512xf32> {nn.name = "y"}) {
  %x = nn.read @many : tensor<32x128x512xf32>
  %y = nn.reduce sum %x [1] : tensor<32x128x512xf32> -> tensor<32x512xf32>
  return %y : tensor<32x512xf32>
}
