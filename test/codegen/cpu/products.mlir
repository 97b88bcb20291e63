// Matrix products of the library, with and without transposes and a batch, against the oracle:
// scalars, vectors, sizes that are no multiple of a tile, a long sum. The numbers: rows, columns,
// length of the sum.
// RUN: for sizes in "1 1 1" "7 37 129" "129 7 37" "1 37 5" "37 1 5" "64 64 64" "5 3 5000"; do \
// RUN:   set -- $sizes; sed "s/ROWS/$1/g; s/COLS/$2/g; s/SUM/$3/g" %s | doppel-verify kernels - \
// RUN:     | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!c = tensor<ROWSxCOLSxf32>
!batch = tensor<3xROWSxCOLSxf32>

// CHECK-LABEL: @matrices
// CHECK-COUNT-4: ok
func.func @matrices(%a: tensor<ROWSxSUMxf32>, %at: tensor<SUMxROWSxf32>,
                    %b: tensor<SUMxCOLSxf32>, %bt: tensor<COLSxSUMxf32>) -> (!c, !c, !c, !c) {
  %0 = nn.matmul %a, %b : (tensor<ROWSxSUMxf32>, tensor<SUMxCOLSxf32>) -> !c
  %1 = nn.matmul %at, %b {transpose_lhs} : (tensor<SUMxROWSxf32>, tensor<SUMxCOLSxf32>) -> !c
  %2 = nn.matmul %a, %bt {transpose_rhs} : (tensor<ROWSxSUMxf32>, tensor<COLSxSUMxf32>) -> !c
  %3 = nn.matmul %at, %bt {transpose_lhs, transpose_rhs}
      : (tensor<SUMxROWSxf32>, tensor<COLSxSUMxf32>) -> !c
  return %0, %1, %2, %3 : !c, !c, !c, !c
}

// CHECK-LABEL: @batches
// CHECK-COUNT-4: ok
func.func @batches(%a: tensor<3xROWSxSUMxf32>, %at: tensor<3xSUMxROWSxf32>,
                   %b: tensor<3xSUMxCOLSxf32>, %bt: tensor<3xCOLSxSUMxf32>)
    -> (!batch, !batch, !batch, !batch) {
  %0 = nn.matmul %a, %b : (tensor<3xROWSxSUMxf32>, tensor<3xSUMxCOLSxf32>) -> !batch
  %1 = nn.matmul %at, %b {transpose_lhs}
      : (tensor<3xSUMxROWSxf32>, tensor<3xSUMxCOLSxf32>) -> !batch
  %2 = nn.matmul %a, %bt {transpose_rhs}
      : (tensor<3xROWSxSUMxf32>, tensor<3xCOLSxSUMxf32>) -> !batch
  %3 = nn.matmul %at, %bt {transpose_lhs, transpose_rhs}
      : (tensor<3xSUMxROWSxf32>, tensor<3xCOLSxSUMxf32>) -> !batch
  return %0, %1, %2, %3 : !batch, !batch, !batch, !batch
}

// A kernel before the product, one after it that reads it turned, and a product of a matrix with
// itself.
// CHECK-LABEL: @between_kernels
// CHECK-COUNT-2: ok
func.func @between_kernels(%a: tensor<ROWSxSUMxf32>, %b: tensor<SUMxCOLSxf32>)
    -> (tensor<COLSxROWSxf32>, tensor<ROWSxROWSxf32>) {
  %x = nn.tanh %a : tensor<ROWSxSUMxf32>
  %c = nn.matmul %x, %b : (tensor<ROWSxSUMxf32>, tensor<SUMxCOLSxf32>) -> !c
  %n = nn.neg %c : !c
  %t = nn.transpose %n [1, 0] : !c -> tensor<COLSxROWSxf32>
  %g = nn.matmul %x, %x {transpose_rhs}
      : (tensor<ROWSxSUMxf32>, tensor<ROWSxSUMxf32>) -> tensor<ROWSxROWSxf32>
  return %t, %g : tensor<COLSxROWSxf32>, tensor<ROWSxROWSxf32>
}

// What a product adds before it stores, as programs for GPUs have it.
// CHECK-LABEL: @epilogues
// CHECK-COUNT-7: ok
func.func @epilogues(%a: tensor<ROWSxSUMxf32>, %bt: tensor<COLSxSUMxf32>, %c: !c, %v: tensor<COLSxf32>,
                     %s: tensor<3xROWSxSUMxf32>, %st: tensor<3xSUMxCOLSxf32>, %sc: !batch) -> (!c, !c, !c, !c, !c, !batch, !batch) {
  %0 = nn.gemm %a, %bt add %c {transpose_rhs} : (tensor<ROWSxSUMxf32>, tensor<COLSxSUMxf32>, !c) -> !c
  %1 = nn.gemm %a, %bt bias %v {transpose_rhs} : (tensor<ROWSxSUMxf32>, tensor<COLSxSUMxf32>, tensor<COLSxf32>) -> !c
  %2 = nn.gemm %a, %bt {relu, transpose_rhs} : (tensor<ROWSxSUMxf32>, tensor<COLSxSUMxf32>) -> !c
  %3 = nn.gemm %a, %bt bias %v {relu, transpose_rhs} : (tensor<ROWSxSUMxf32>, tensor<COLSxSUMxf32>, tensor<COLSxf32>) -> !c
  %4 = nn.gemm %a, %bt add %c bias %v {relu, transpose_rhs}
      : (tensor<ROWSxSUMxf32>, tensor<COLSxSUMxf32>, !c, tensor<COLSxf32>) -> !c
  %5 = nn.gemm %s, %st add %sc bias %v
      : (tensor<3xROWSxSUMxf32>, tensor<3xSUMxCOLSxf32>, !batch, tensor<COLSxf32>) -> !batch
  %6 = nn.gemm %s, %st {relu} : (tensor<3xROWSxSUMxf32>, tensor<3xSUMxCOLSxf32>) -> !batch
  return %0, %1, %2, %3, %4, %5, %6 : !c, !c, !c, !c, !c, !batch, !batch
}
