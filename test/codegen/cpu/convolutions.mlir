// Convolutions and their derivatives, in the layouts that the library chooses, against the oracle.
// The numbers: side of the image, of the kernel, stride, padding, dilation. 3x3 and 3x3 at every
// second place as in residual blocks, also with a last row that is not read; 7x7 as in a stem; 1x1;
// a shortcut's 1x1, of which most of the input has no gradient; a dilated 3x3. Then channels: fewer
// than a block of the layout has, a block and a part of one, whole blocks.
// RUN: for geometry in "9 3 1 1 1" "9 3 2 1 1" "8 3 2 1 1" "15 7 2 3 1" "5 1 1 0 1" "7 1 2 0 1" \
// RUN:     "9 3 1 2 2"; do \
// RUN:   for channels in "4 8" "2 12" "5 16" "16 32" "3 64"; do \
// RUN:     set -- $geometry $channels; out=$((($1 + 2 * $4 - $5 * ($2 - 1) - 1) / $3 + 1)); \
// RUN:     sed "s/SIDE/$1/g; s/KERNEL/$2/g; s/STRIDE/$3/g; s/PAD/$4/g; s/DILATION/$5/g" %s \
// RUN:       | sed "s/FROM/$6/g; s/TO/$7/g; s/OUT/$out/g" | doppel-verify kernels - \
// RUN:       | FileCheck %s --implicit-check-not=WRONG || exit 1; \
// RUN:   done; done

!x = tensor<2xSIDExSIDExFROMxf32>
!w = tensor<TOxFROMxKERNELxKERNELxf32>
!y = tensor<2xOUTxOUTxTOxf32>

// CHECK-LABEL: @convolution
// CHECK-COUNT-3: ok
func.func @convolution(%x: !x, %w: !w, %dy: !y) -> (!y, !x, !w) {
  %y = nn.conv2d %x, %w
      {strides = array<i64: STRIDE, STRIDE>, padding = array<i64: PAD, PAD, PAD, PAD>,
       dilations = array<i64: DILATION, DILATION>, groups = 1 : i64} : (!x, !w) -> !y
  %dx = nn.conv2d_backward_data %dy, %w
      {strides = array<i64: STRIDE, STRIDE>, padding = array<i64: PAD, PAD, PAD, PAD>,
       dilations = array<i64: DILATION, DILATION>, groups = 1 : i64} : (!y, !w) -> !x
  %dw = nn.conv2d_backward_weights %x, %dy
      {strides = array<i64: STRIDE, STRIDE>, padding = array<i64: PAD, PAD, PAD, PAD>,
       dilations = array<i64: DILATION, DILATION>, groups = 1 : i64} : (!x, !y) -> !w
  return %y, %dx, %dw : !y, !x, !w
}
