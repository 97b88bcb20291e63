// Every constraint of the nn dialect's verifiers is broken once. Each message names both sides.
// RUN: doppel-opt %s -split-input-file -verify-diagnostics

func.func @iota() {
  // expected-error@+1 {{dimension 2 is not one of the 2 of 'tensor<2x3xi64>'}}
  %0 = nn.iota 2 : tensor<2x3xi64>
  return
}

// -----

func.func @random_stream() {
  // expected-error@+1 {{stream is 16777216, but must be in [0, 2^24)}}
  %0 = nn.random uniform stream 16777216 : tensor<4xf32>
  return
}

// -----

func.func @permutation_stream() {
  // expected-error@+1 {{stream is -1, but must be in [0, 2^24)}}
  %0 = nn.random_permutation stream -1 : tensor<4xi32>
  return
}

// -----

func.func @permutation_shape() {
  // expected-error@+1 {{the result's shape is not static: 'tensor<?xi32>'}}
  %0 = nn.random_permutation stream 1 : tensor<?xi32>
  return
}

// -----

func.func @sample_index(%images: !nn.images<4>) {
  // expected-error@+1 {{the batch is of 4 images, the result is 'tensor<5xi64>'}}
  %0 = nn.sample_index %images : !nn.images<4> -> tensor<5xi64>
  return
}

// -----

func.func @equal_types(%a: tensor<2xf32>, %b: tensor<3xf32>) {
  // expected-note@-1 {{prior use here}}
  // expected-error@+1 {{use of value '%b' expects different type than prior uses: 'tensor<2xf32>' vs 'tensor<3xf32>'}}
  %0 = nn.add %a, %b : tensor<2xf32>
  return
}

// -----

func.func @broadcast_count(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{names 1 dimensions, but the input 'tensor<2x3xf32>' has 2}}
  %0 = nn.broadcast %a [0] : tensor<2x3xf32> -> tensor<2x3x4xf32>
  return
}

// -----

func.func @broadcast_range(%a: tensor<2xf32>) {
  // expected-error@+1 {{dimension 2 is not one of the 2 of the result}}
  %0 = nn.broadcast %a [2] : tensor<2xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast_order(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{dimensions must increase, but 0 follows 1}}
  %0 = nn.broadcast %a [1, 0] : tensor<2x3xf32> -> tensor<3x2xf32>
  return
}

// -----

func.func @broadcast_extent(%a: tensor<2xf32>) {
  // expected-error@+1 {{dimension 0 of the input is 2, dimension 1 of the result is 3}}
  %0 = nn.broadcast %a [1] : tensor<2xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast_element(%a: tensor<2xf32>) {
  // expected-error@+1 {{the input has elements of 'f32', the result of 'f64'}}
  %0 = nn.broadcast %a [0] : tensor<2xf32> -> tensor<2x3xf64>
  return
}

// -----

func.func @reshape(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{the input 'tensor<2x3xf32>' has 6 elements, the result 'tensor<5xf32>' has 5}}
  %0 = nn.reshape %a : tensor<2x3xf32> -> tensor<5xf32>
  return
}

// -----

func.func @transpose_permutation(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{[0, 0] is not a permutation of the 2 dimensions of 'tensor<2x3xf32>'}}
  %0 = nn.transpose %a [0, 0] : tensor<2x3xf32> -> tensor<2x2xf32>
  return
}

// -----

func.func @transpose_shape(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{the transposed input is [3, 2], the result is 'tensor<2x3xf32>'}}
  %0 = nn.transpose %a [1, 0] : tensor<2x3xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @slice_rank(%a: tensor<4x4xf32>) {
  // expected-error@+1 {{the result 'tensor<4xf32>', the input 'tensor<4x4xf32>', 2 offsets and 2 strides differ in rank}}
  %0 = nn.slice %a offsets [0, 0] strides [1, 1] : tensor<4x4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @slice_reach(%a: tensor<8xf32>) {
  // expected-error@+1 {{dimension 0 reaches element 9, but the input 'tensor<8xf32>' has 8}}
  %0 = nn.slice %a offsets [1] strides [2] : tensor<8xf32> -> tensor<5xf32>
  return
}

// -----

func.func @slice_stride(%a: tensor<8xf32>) {
  // expected-error@+1 {{dimension 0 has offset 0 and stride 0, but must have at least 0 and 1}}
  %0 = nn.slice %a offsets [0] strides [0] : tensor<8xf32> -> tensor<2xf32>
  return
}

// -----

func.func @pad_reach(%a: tensor<4xf32>) {
  // expected-error@+1 {{dimension 0 reaches element 8, but the result 'tensor<8xf32>' has 8}}
  %0 = nn.pad %a offsets [2] strides [2] : tensor<4xf32> -> tensor<8xf32>
  return
}

// -----

func.func @concat_none() {
  // expected-error@+1 {{has no inputs}}
  %0 = "nn.concat"() <{axis = 0 : i64}> : () -> tensor<2xf32>
  return
}

// -----

func.func @concat_axis(%a: tensor<2xf32>) {
  // expected-error@+1 {{axis 1 is not one of the 1 dimensions of 'tensor<2xf32>'}}
  %0 = nn.concat %a axis 1 : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @concat_rank(%a: tensor<2xf32>) {
  // expected-error@+1 {{input 0 is 'tensor<2xf32>', the result is 'tensor<2x1xf32>'}}
  %0 = nn.concat %a axis 0 : (tensor<2xf32>) -> tensor<2x1xf32>
  return
}

// -----

func.func @concat_extent(%a: tensor<2x3xf32>, %b: tensor<2x4xf32>) {
  // expected-error@+1 {{input 1 is 'tensor<2x4xf32>', the result is 'tensor<4x3xf32>': dimension 1 differs}}
  %0 = nn.concat %a, %b axis 0 : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @concat_length(%a: tensor<2xf32>, %b: tensor<2xf32>) {
  // expected-error@+1 {{the inputs are 4 long along axis 0, the result 'tensor<5xf32>' is 5}}
  %0 = nn.concat %a, %b axis 0 : (tensor<2xf32>, tensor<2xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @reduce_dims(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{dimension 2 is not one of the 2 of the input}}
  %0 = nn.reduce sum %a [2] : tensor<2x3xf32> -> tensor<2xf32>
  return
}

// -----

func.func @reduce_shape(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{the reduced input is [2], the result is 'tensor<3xf32>'}}
  %0 = nn.reduce max %a [1] : tensor<2x3xf32> -> tensor<3xf32>
  return
}

// -----

func.func @reduce_empty(%a: tensor<2x0xf32>) {
  // expected-error@+1 {{dimension 1 of 'tensor<2x0xf32>' is empty and has no greatest or least element}}
  %0 = nn.reduce max %a [1] : tensor<2x0xf32> -> tensor<2xf32>
  return
}

// -----

func.func @matmul_rank(%a: tensor<2x3xf32>, %b: tensor<1x3x4xf32>) {
  // expected-error@+1 {{lhs is 'tensor<2x3xf32>', rhs is 'tensor<1x3x4xf32>', the result is 'tensor<2x4xf32>': all must have rank 2, or all rank 3}}
  %0 = nn.matmul %a, %b : (tensor<2x3xf32>, tensor<1x3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @matmul_inner(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) {
  // expected-error@+1 {{lhs is 'tensor<2x3xf32>', rhs is 'tensor<3x4xf32>' (transposed): the inner dimensions 3 and 4 differ}}
  %0 = nn.matmul %a, %b {transpose_rhs} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @matmul_batch(%a: tensor<2x2x3xf32>, %b: tensor<3x3x4xf32>) {
  // expected-error@+1 {{lhs is 'tensor<2x2x3xf32>', rhs is 'tensor<3x3x4xf32>': the batch differs}}
  %0 = nn.matmul %a, %b : (tensor<2x2x3xf32>, tensor<3x3x4xf32>) -> tensor<2x2x4xf32>
  return
}

// -----

func.func @matmul_result(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) {
  // expected-error@+1 {{the product is [2, 4], the result is 'tensor<4x2xf32>'}}
  %0 = nn.matmul %a, %b : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @gemm_of_nothing(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) {
  // expected-error@+1 {{has neither addend nor bias nor relu: that is a matmul}}
  %0 = nn.gemm %a, %b : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @gemm_inner(%a: tensor<2x3xf32>, %b: tensor<4x4xf32>) {
  // expected-error@+1 {{the inner dimensions 3 and 4 differ}}
  %0 = nn.gemm %a, %b {relu} : (tensor<2x3xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @gemm_addend(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>, %c: tensor<4x2xf32>) {
  // expected-error@+1 {{the addend is 'tensor<4x2xf32>', the result is 'tensor<2x4xf32>'}}
  %0 = nn.gemm %a, %b add %c : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @gemm_bias(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>, %v: tensor<2xf32>) {
  // expected-error@+1 {{the bias is 'tensor<2xf32>', but the result 'tensor<2x4xf32>' has 4 columns}}
  %0 = nn.gemm %a, %b bias %v : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @gather_rows(%table: tensor<8x4xf32>, %indices: tensor<3xi32>) {
  // expected-error@+1 {{the table is 'tensor<8x4xf32>', the result is 'tensor<3x5xf32>': they must differ in dimension 0 alone}}
  %0 = nn.gather_rows %table, %indices : (tensor<8x4xf32>, tensor<3xi32>) -> tensor<3x5xf32>
  return
}

// -----

func.func @gather_indices(%table: tensor<8x4xf32>, %indices: tensor<3xi32>) {
  // expected-error@+1 {{the indices are 'tensor<3xi32>', the result is 'tensor<2x4xf32>': there must be one index a row}}
  %0 = nn.gather_rows %table, %indices : (tensor<8x4xf32>, tensor<3xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_rows(%table: tensor<8x4xf32>, %indices: tensor<3xi32>, %rows: tensor<3x4xf32>) {
  // expected-error@+1 {{the table is 'tensor<8x4xf32>', the result is 'tensor<9x4xf32>'}}
  %0 = nn.scatter_rows %table, %indices, %rows : (tensor<8x4xf32>, tensor<3xi32>, tensor<3x4xf32>) -> tensor<9x4xf32>
  return
}

// -----

func.func @scatter_rows_adds_numbers(%table: tensor<8x4xi1>, %indices: tensor<3xi32>, %rows: tensor<3x4xi1>) {
  // expected-error @+1 {{with accumulate the table must be of numbers, but got 'tensor<8x4xi1>'}}
  %0 = nn.scatter_rows %table, %indices, %rows {accumulate} : (tensor<8x4xi1>, tensor<3xi32>, tensor<3x4xi1>) -> tensor<8x4xi1>
  return
}

// -----

func.func @enqueue(%queue: tensor<8x4xf32>, %rows: tensor<3x4xf32>) {
  // expected-error@+1 {{the queue has 8 rows, which the batch of 3 does not divide}}
  %0 = nn.enqueue %queue, %rows : (tensor<8x4xf32>, tensor<3x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @all_reduce(%a: tensor<4xf32>) {
  // expected-error@+1 {{the input is 'tensor<4xf32>', the result is 'tensor<8xf32>'}}
  %0 = nn.all_reduce %a : tensor<4xf32> -> tensor<8xf32>
  return
}

// -----

func.func @all_gather(%a: tensor<4x2xf32>) {
  // expected-error@+1 {{one rank's part is 'tensor<4x2xf32>', the whole is 'tensor<6x2xf32>'}}
  %0 = nn.all_gather %a : tensor<4x2xf32> -> tensor<6x2xf32>
  return
}

// -----

func.func @reduce_scatter(%a: tensor<4x2xf32>) {
  // expected-error@+1 {{one rank's part is 'tensor<3x2xf32>', the whole is 'tensor<4x2xf32>'}}
  %0 = nn.reduce_scatter %a : tensor<4x2xf32> -> tensor<3x2xf32>
  return
}

// -----

func.func @fused_arguments(%a: tensor<4xf32>) {
  // expected-error@+1 {{the body takes ('tensor<5xf32>'), the inputs are ('tensor<4xf32>')}}
  %0 = nn.fused map(%a) : (tensor<4xf32>) -> tensor<5xf32> {
  ^bb0(%x: tensor<5xf32>):
    nn.yield %x : tensor<5xf32>
  }
  return
}

// -----

func.func @fused_results(%a: tensor<4xf32>) {
  // expected-error@+1 {{the body yields ('tensor<4xf32>'), the results are ('tensor<5xf32>')}}
  %0 = nn.fused map(%a) : (tensor<4xf32>) -> tensor<5xf32> {
  ^bb0(%x: tensor<4xf32>):
    nn.yield %x : tensor<4xf32>
  }
  return
}

// -----

nn.state @w parameter : tensor<4xf32>
func.func @fused_effects(%a: tensor<4xf32>) {
  // expected-error@+1 {{is pure, but its body has effects}}
  nn.fused map(%a) : (tensor<4xf32>) -> () {
  ^bb0(%x: tensor<4xf32>):
    nn.check_finite %x "x" : tensor<4xf32> // expected-note {{here}}
    nn.yield
  }
  return
}

// -----

// A kernel is executed by one rank alone.
func.func @collective_in_kernel(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{is pure, but its body has effects}}
  %0 = nn.fused map(%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    // expected-note @below {{here}}
    %1 = nn.all_reduce %a : tensor<4xf32> -> tensor<4xf32>
    nn.yield %1 : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
