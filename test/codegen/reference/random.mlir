// Draws by their keys. Philox4x32-10's known answer (Salmon et al. 2011, kat_vectors) for counter and key zero begins 6627e8d5 e169c58d
// bc57ac4c 9b00dbd8; the others were computed by a second implementation.
// RUN: doppel-verify run %s --function known_answer --seed 0 | FileCheck %s --check-prefix=ANSWER
// RUN: doppel-verify run %s --function draws --step 7 | FileCheck %s --check-prefix=STEP7
// RUN: doppel-verify run %s --function draws --step 8 | FileCheck %s --check-prefix=STEP8
// RUN: doppel-verify run %s --function moments | FileCheck %s --check-prefix=MOMENTS

// ANSWER: result 0 [4] = 0.399046 0.88052 0.735713 0.605482
func.func @known_answer() -> tensor<4xf32> {
  %0 = nn.random uniform stream 0 : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// An element's draw is a function of its linear index, not of the shape; the same stream gives the same draws.
// STEP7: result 0 [2, 3] = 0.506799 0.700964 0.691834 0.951632 0.392739 0.348751
// STEP7: result 1 [6] = 0.506799 0.700964 0.691834 0.951632 0.392739 0.348751
// STEP7: result 2 [6] = -0.298343 -0.358325 -0.192682 0.150957 -1.1514 0.947903
// STEP7: result 3 [16] = 4 5 12 10 7 9 13 6 2 11 14 3 1 15 8 0
// STEP8-NOT: = 0.506799 0.700964 0.691834 0.951632 0.392739 0.348751
// STEP8: result 0 [2, 3] = {{0\.[0-9]+ 0\.[0-9]+ 0\.[0-9]+ 0\.[0-9]+ 0\.[0-9]+ 0\.[0-9]+}}
func.func @draws() -> (tensor<2x3xf32>, tensor<6xf32>, tensor<6xf32>, tensor<16xi32>) {
  %0 = nn.random uniform stream 5 : tensor<2x3xf32>
  %1 = nn.random uniform stream 5 : tensor<6xf32>
  %2 = nn.random normal stream 6 : tensor<6xf32>
  %3 = nn.random_permutation stream 9 : tensor<16xi32>
  return %0, %1, %2, %3 : tensor<2x3xf32>, tensor<6xf32>, tensor<6xf32>, tensor<16xi32>
}

// Mean and mean square of 100,000 draws: 1/2 and 1/3, 0 and 1.
// MOMENTS: result 0 [] = 0.{{49[89]|50[01]}}
// MOMENTS: result 1 [] = 0.33{{[234]}}
// MOMENTS: result 2 [] = {{-?0\.00|-?[0-9.]+e-0}}
// MOMENTS: result 3 [] = {{0\.99[0-9]|1\.00}}
func.func @moments() -> (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) {
  %scale = nn.constant dense<1.0e-5> : tensor<f32>
  %u = nn.random uniform stream 1 : tensor<100000xf32>
  %n = nn.random normal stream 2 : tensor<100000xf32>
  %uu = nn.mul %u, %u : tensor<100000xf32>
  %nn = nn.mul %n, %n : tensor<100000xf32>
  %0 = nn.reduce sum %u [0] : tensor<100000xf32> -> tensor<f32>
  %1 = nn.reduce sum %uu [0] : tensor<100000xf32> -> tensor<f32>
  %2 = nn.reduce sum %n [0] : tensor<100000xf32> -> tensor<f32>
  %3 = nn.reduce sum %nn [0] : tensor<100000xf32> -> tensor<f32>
  %4 = nn.mul %0, %scale : tensor<f32>
  %5 = nn.mul %1, %scale : tensor<f32>
  %6 = nn.mul %2, %scale : tensor<f32>
  %7 = nn.mul %3, %scale : tensor<f32>
  return %4, %5, %6, %7 : tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
}
