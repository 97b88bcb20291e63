// What only moves data has become addresses, guards and choices of the kernels that read it: each
// alone, each with others around it, as compiled code against the oracle. Every number must be the
// same.
// RUN: for shape in "1 1" "3 7" "7 37" "37 16" "129 5"; do set -- $shape; \
// RUN:   sed "s/ROWS/$1/g; s/COLS/$2/g; s/TALLER/$(($1 + 1))/g; s/WIDER/$(($2 + 9))/g" %s \
// RUN:     | doppel-verify kernels - --tolerance 1e-30 \
// RUN:     | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!matrix = tensor<ROWSxCOLSxf32>
!turned = tensor<COLSxROWSxf32>
!cube = tensor<3xROWSxCOLSxf32>

// CHECK-LABEL: @transpose
// CHECK-COUNT-4: ok
func.func @transpose(%x: !matrix, %c: !cube, %b: tensor<ROWSxCOLSxi1>)
    -> (!turned, tensor<COLSx3xROWSxf32>, tensor<ROWSx3xCOLSxf32>, tensor<COLSxROWSxi1>) {
  %0 = nn.transpose %x [1, 0] : !matrix -> !turned
  %1 = nn.transpose %c [2, 0, 1] : !cube -> tensor<COLSx3xROWSxf32>
  %2 = nn.transpose %c [1, 0, 2] : !cube -> tensor<ROWSx3xCOLSxf32>
  %3 = nn.transpose %b [1, 0] : tensor<ROWSxCOLSxi1> -> tensor<COLSxROWSxi1>
  return %0, %1, %2, %3
      : !turned, tensor<COLSx3xROWSxf32>, tensor<ROWSx3xCOLSxf32>, tensor<COLSxROWSxi1>
}

// CHECK-LABEL: @broadcast
// CHECK-COUNT-4: ok
func.func @broadcast(%s: tensor<f32>, %r: tensor<COLSxf32>, %c: tensor<ROWSxf32>, %x: !matrix)
    -> (!matrix, !matrix, !cube, tensor<ROWSx5xCOLSxf32>) {
  %0 = nn.broadcast %s [] : tensor<f32> -> !matrix
  %1 = nn.broadcast %r [1] : tensor<COLSxf32> -> !matrix
  %2 = nn.broadcast %c [1] : tensor<ROWSxf32> -> !cube
  %3 = nn.broadcast %x [0, 2] : !matrix -> tensor<ROWSx5xCOLSxf32>
  return %0, %1, %2, %3 : !matrix, !matrix, !cube, tensor<ROWSx5xCOLSxf32>
}

// CHECK-LABEL: @concat
// CHECK-COUNT-4: ok
!nine = tensor<3xROWSx9xf32>
func.func @concat(%x: !cube, %a: tensor<2xROWSxCOLSxf32>, %b: tensor<3x1xCOLSxf32>, %c: !nine)
    -> (tensor<8xROWSxCOLSxf32>, tensor<3xTALLERxCOLSxf32>, tensor<3xROWSxWIDERxf32>,
        tensor<3xROWSx27xf32>) {
  %0 = nn.concat %x, %a, %x axis 0
      : (!cube, tensor<2xROWSxCOLSxf32>, !cube) -> tensor<8xROWSxCOLSxf32>
  %1 = nn.concat %b, %x axis 1 : (tensor<3x1xCOLSxf32>, !cube) -> tensor<3xTALLERxCOLSxf32>
  %2 = nn.concat %x, %c axis 2 : (!cube, !nine) -> tensor<3xROWSxWIDERxf32>
  %n = nn.neg %c : !nine
  %3 = nn.concat %c, %n, %c axis 2
      : (!nine, !nine, !nine) -> tensor<3xROWSx27xf32>
  return %0, %1, %2, %3
      : tensor<8xROWSxCOLSxf32>, tensor<3xTALLERxCOLSxf32>, tensor<3xROWSxWIDERxf32>,
        tensor<3xROWSx27xf32>
}

// CHECK-LABEL: @slice
// CHECK-COUNT-5: ok
!long = tensor<9xROWSx25xf32>
func.func @slice(%x: !long) -> (tensor<3xROWSx25xf32>, tensor<9xROWSx5xf32>, tensor<2xROWSx8xf32>,
                                tensor<9x1x25xf32>, tensor<4xROWSx25xf32>) {
  %0 = nn.slice %x offsets [6, 0, 0] strides [1, 1, 1] : !long -> tensor<3xROWSx25xf32>
  %1 = nn.slice %x offsets [0, 0, 20] strides [1, 1, 1] : !long -> tensor<9xROWSx5xf32>
  %2 = nn.slice %x offsets [1, 0, 2] strides [5, 1, 3] : !long -> tensor<2xROWSx8xf32>
  %3 = nn.slice %x offsets [0, 0, 0] strides [1, 1, 1] : !long -> tensor<9x1x25xf32>
  %4 = nn.slice %x offsets [2, 0, 0] strides [2, 1, 1] : !long -> tensor<4xROWSx25xf32>
  return %0, %1, %2, %3, %4
      : tensor<3xROWSx25xf32>, tensor<9xROWSx5xf32>, tensor<2xROWSx8xf32>, tensor<9x1x25xf32>,
        tensor<4xROWSx25xf32>
}

// CHECK-LABEL: @pad
// CHECK-COUNT-3: ok
func.func @pad(%x: tensor<3xCOLSx4xf32>)
    -> (tensor<5xCOLSx4xf32>, tensor<3xCOLSx14xf32>, tensor<8xCOLSx9xf32>) {
  %0 = nn.pad %x offsets [1, 0, 0] strides [1, 1, 1] : tensor<3xCOLSx4xf32> -> tensor<5xCOLSx4xf32>
  %1 = nn.pad %x offsets [0, 0, 2] strides [1, 1, 3] : tensor<3xCOLSx4xf32> -> tensor<3xCOLSx14xf32>
  %2 = nn.pad %x offsets [1, 0, 5] strides [3, 1, 1] : tensor<3xCOLSx4xf32> -> tensor<8xCOLSx9xf32>
  return %0, %1, %2 : tensor<5xCOLSx4xf32>, tensor<3xCOLSx14xf32>, tensor<8xCOLSx9xf32>
}

// A reshape between two moves asks for a loop to be split, or for a division at each element.
// CHECK-LABEL: @reshape
// CHECK-COUNT-3: ok
func.func @reshape(%x: !cube) -> (!turned, tensor<ROWSx3xCOLSxf32>, tensor<COLSx4x3xROWSxf32>) {
  %t = nn.transpose %x [1, 2, 0] : !cube -> tensor<ROWSxCOLSx3xf32>
  %r = nn.reshape %t : tensor<ROWSxCOLSx3xf32> -> tensor<COLSx3xROWSxf32>
  %s = nn.slice %r offsets [0, 1, 0] strides [1, 1, 1]
      : tensor<COLSx3xROWSxf32> -> tensor<COLSx1xROWSxf32>
  %0 = nn.reshape %s : tensor<COLSx1xROWSxf32> -> !turned
  %n = nn.neg %t : tensor<ROWSxCOLSx3xf32>
  %1 = nn.reshape %n : tensor<ROWSxCOLSx3xf32> -> tensor<ROWSx3xCOLSxf32>
  %b = nn.broadcast %r [0, 2, 3] : tensor<COLSx3xROWSxf32> -> tensor<COLSx4x3xROWSxf32>
  return %0, %1, %b : !turned, tensor<ROWSx3xCOLSxf32>, tensor<COLSx4x3xROWSxf32>
}

// All of them in one kernel, and a reduction over the result.
// CHECK-LABEL: @together
// CHECK-COUNT-2: ok
func.func @together(%x: !matrix, %y: tensor<COLSx2xf32>)
    -> (tensor<COLSxf32>, tensor<COLSx3xROWSxf32>) {
  %t = nn.transpose %x [1, 0] : !matrix -> !turned
  %b = nn.broadcast %t [0, 2] : !turned -> tensor<COLSx3xROWSxf32>
  %p = nn.pad %y offsets [0, 0] strides [1, 2] : tensor<COLSx2xf32> -> tensor<COLSx3xf32>
  %q = nn.broadcast %p [0, 1] : tensor<COLSx3xf32> -> tensor<COLSx3xROWSxf32>
  %s = nn.sub %b, %q : tensor<COLSx3xROWSxf32>
  %m = nn.reduce max %s [1, 2] : tensor<COLSx3xROWSxf32> -> tensor<COLSxf32>
  return %m, %s : tensor<COLSxf32>, tensor<COLSx3xROWSxf32>
}
