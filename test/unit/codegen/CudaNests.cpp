// Kernels over the threads of a block, one or more of each kind.
#include "test/unit/codegen/CudaFixture.h"

using namespace doppel;
using namespace doppel::cuda;

namespace {

class CudaNests : public CudaKernels {};

/// Replaces names of sizes in a text.
std::string with(std::string text, std::initializer_list<std::pair<const char *, int>> sizes) {
  for (auto [name, size] : sizes)
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, std::strlen(name), std::to_string(size));
  return text;
}

TEST_F(CudaNests, MapsOfOneLoop) {
  for (int size : {1, 3, 4, 255, 1024, 4097, 9000})
    check(with(R"(
func.func @map(%x: tensor<SIZExf32>, %y: tensor<SIZExf32>) -> (tensor<SIZExf32>, tensor<SIZExi1>) {
  %e = nn.exp %x : tensor<SIZExf32>
  %s = nn.add %e, %y : tensor<SIZExf32>
  %c = nn.compare lt %x, %y : tensor<SIZExf32> -> tensor<SIZExi1>
  return %s, %c : tensor<SIZExf32>, tensor<SIZExi1>
})",
               {{"SIZE", size}}));
}

TEST_F(CudaNests, MapsOfRows) {
  for (auto [rows, columns] : {std::pair{3, 5}, {300, 8}, {7, 132}, {2, 9001}, {2, 9000}})
    check(with(R"(
func.func @map(%x: tensor<ROWSxCOLSxf32>, %r: tensor<ROWSxf32>, %c: tensor<COLSxf32>) -> tensor<ROWSxCOLSxf32> {
  %a = nn.broadcast %r [0] : tensor<ROWSxf32> -> tensor<ROWSxCOLSxf32>
  %b = nn.broadcast %c [1] : tensor<COLSxf32> -> tensor<ROWSxCOLSxf32>
  %p = nn.mul %x, %a : tensor<ROWSxCOLSxf32>
  %s = nn.add %p, %b : tensor<ROWSxCOLSxf32>
  return %s : tensor<ROWSxCOLSxf32>
})",
               {{"ROWS", rows}, {"COLS", columns}}));
}

TEST_F(CudaNests, MapsInPlace) {
  check(R"(
func.func @step(%w: tensor<5003xf32>, %g: tensor<5003xf32>) -> tensor<5003xf32> {
  %n = nn.sub %w, %g : tensor<5003xf32>
  return %n : tensor<5003xf32>
})",
        1, /*inPlace=*/true);
}

TEST_F(CudaNests, RowsOfEveryLength) {
  // By threads, warps and blocks; in vectors and not.
  for (auto [rows, columns] : {std::pair{70, 4},
                               {9, 3},
                               {40, 16},
                               {33, 17},
                               {12, 128},
                               {5, 300},
                               {3, 1028},
                               {2, 4099},
                               {1, 6}})
    check(with(R"(
func.func @softmax(%x: tensor<ROWSxCOLSxf32>) -> (tensor<ROWSxCOLSxf32>, tensor<ROWSxf32>) {
  %m = nn.reduce max %x [1] : tensor<ROWSxCOLSxf32> -> tensor<ROWSxf32>
  %b = nn.broadcast %m [0] : tensor<ROWSxf32> -> tensor<ROWSxCOLSxf32>
  %d = nn.sub %x, %b : tensor<ROWSxCOLSxf32>
  %e = nn.exp %d : tensor<ROWSxCOLSxf32>
  %s = nn.reduce sum %e [1] : tensor<ROWSxCOLSxf32> -> tensor<ROWSxf32>
  %t = nn.broadcast %s [0] : tensor<ROWSxf32> -> tensor<ROWSxCOLSxf32>
  %p = nn.div %e, %t : tensor<ROWSxCOLSxf32>
  %l = nn.log %s : tensor<ROWSxf32>
  return %p, %l : tensor<ROWSxCOLSxf32>, tensor<ROWSxf32>
})",
               {{"ROWS", rows}, {"COLS", columns}}));
}

TEST_F(CudaNests, ColumnsOfEveryShape) {
  for (auto [rows, columns] :
       {std::pair{50, 3}, {7, 64}, {300, 20}, {40, 515}, {3, 1000}, {2000, 1}})
    check(with(R"(
func.func @columns(%x: tensor<ROWSxCOLSxf32>, %c: tensor<COLSxf32>) -> (tensor<COLSxf32>, tensor<COLSxf32>, tensor<ROWSxCOLSxf32>) {
  %o = nn.broadcast %c [1] : tensor<COLSxf32> -> tensor<ROWSxCOLSxf32>
  %p = nn.mul %x, %o : tensor<ROWSxCOLSxf32>
  %s = nn.reduce sum %p [0] : tensor<ROWSxCOLSxf32> -> tensor<COLSxf32>
  %m = nn.reduce max %x [0] : tensor<ROWSxCOLSxf32> -> tensor<COLSxf32>
  %b = nn.broadcast %s [1] : tensor<COLSxf32> -> tensor<ROWSxCOLSxf32>
  %d = nn.sub %x, %b : tensor<ROWSxCOLSxf32>
  return %s, %m, %d : tensor<COLSxf32>, tensor<COLSxf32>, tensor<ROWSxCOLSxf32>
})",
               {{"ROWS", rows}, {"COLS", columns}}));
}

TEST_F(CudaNests, ColumnsBetweenOuterLoops) {
  check(R"(
func.func @middle(%x: tensor<6x9x5x4xf32>) -> tensor<6x5x4xf32> {
  %s = nn.reduce sum %x [1] : tensor<6x9x5x4xf32> -> tensor<6x5x4xf32>
  return %s : tensor<6x5x4xf32>
})");
}

TEST_F(CudaNests, SegmentsOfPackedVectors) {
  check(R"(
func.func @segments(%v: tensor<2000xf32>, %w: tensor<4xf32>) -> (tensor<2000xf32>) {
  %c = nn.segment_broadcast %w offsets [0, 16, 32, 1112] sizes [1, 16, 1073, 317] : tensor<4xf32> -> tensor<2000xf32>
  %y = nn.add %v, %c : tensor<2000xf32>
  return %y : tensor<2000xf32>
}
func.func @sums(%v: tensor<2000xf32>) -> tensor<4xf32> {
  %q = nn.mul %v, %v : tensor<2000xf32>
  %s = nn.segment_sum %q offsets [0, 16, 32, 1112] sizes [1, 16, 1073, 317] : tensor<2000xf32> -> tensor<4xf32>
  return %s : tensor<4xf32>
})");
}

TEST_F(CudaNests, RowsOfTables) {
  for (auto [table, count, width] : {std::tuple{7, 37, 5}, {100, 32, 16}, {700, 90, 64}})
    check(with(R"(
func.func @gather(%t: tensor<TABLExWIDTHxf32>, %i: tensor<COUNTxi32>) -> tensor<COUNTxWIDTHxf32> {
  %g = nn.gather_rows %t, %i : (tensor<TABLExWIDTHxf32>, tensor<COUNTxi32>) -> tensor<COUNTxWIDTHxf32>
  %n = nn.neg %g : tensor<COUNTxWIDTHxf32>
  return %n : tensor<COUNTxWIDTHxf32>
}
func.func @replace(%t: tensor<TABLExWIDTHxf32>, %i: tensor<COUNTxi32>, %r: tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32> {
  %s = nn.scatter_rows %t, %i, %r : (tensor<TABLExWIDTHxf32>, tensor<COUNTxi32>, tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32>
  return %s : tensor<TABLExWIDTHxf32>
}
func.func @accumulate(%t: tensor<TABLExWIDTHxf32>, %i: tensor<COUNTxi32>, %r: tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32> {
  %s = nn.scatter_rows %t, %i, %r {accumulate} : (tensor<TABLExWIDTHxf32>, tensor<COUNTxi32>, tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32>
  return %s : tensor<TABLExWIDTHxf32>
})",
               {{"TABLE", table}, {"COUNT", count}, {"WIDTH", width}}),
          table);
}

TEST_F(CudaNests, QueuesKeepTheirOtherRows) {
  for (int width : {16, 5})
    check(with(R"(
func.func @enqueue(%q: tensor<24xWIDTHxf32>, %r: tensor<8xWIDTHxf32>) -> tensor<24xWIDTHxf32> {
  %e = nn.exp %r : tensor<8xWIDTHxf32>
  %n = nn.enqueue %q, %e : (tensor<24xWIDTHxf32>, tensor<8xWIDTHxf32>) -> tensor<24xWIDTHxf32>
  return %n : tensor<24xWIDTHxf32>
})",
               {{"WIDTH", width}}));
}

TEST_F(CudaNests, DrawsAreThoseOfOtherTargets) {
  check(R"(
func.func @draws() -> (tensor<1003xf32>, tensor<17x8xf32>) {
  %u = nn.random uniform stream 3 : tensor<1003xf32>
  %n = nn.random normal stream 4 : tensor<17x8xf32>
  return %u, %n : tensor<1003xf32>, tensor<17x8xf32>
})");
}

TEST_F(CudaNests, WindowsReadZerosBesideTheirEdges) {
  check(R"(
func.func @pad(%x: tensor<9x12xf32>) -> tensor<13x20xf32> {
  %p = nn.pad %x offsets [1, 4] strides [1, 1] : tensor<9x12xf32> -> tensor<13x20xf32>
  %e = nn.exp %p : tensor<13x20xf32>
  return %e : tensor<13x20xf32>
}
func.func @concat(%x: tensor<9x12xf32>, %y: tensor<9x3xf32>) -> tensor<9x15xf32> {
  %c = nn.concat %x, %y axis 1 : (tensor<9x12xf32>, tensor<9x3xf32>) -> tensor<9x15xf32>
  return %c : tensor<9x15xf32>
}
func.func @slice(%x: tensor<33x6xf32>, %y: tensor<5x12xf32>) -> (tensor<33x4xf32>, tensor<5x8xf32>) {
  %s = nn.slice %x offsets [0, 2] strides [1, 1] : tensor<33x6xf32> -> tensor<33x4xf32>
  %t = nn.slice %y offsets [0, 2] strides [1, 1] : tensor<5x12xf32> -> tensor<5x8xf32>
  return %s, %t : tensor<33x4xf32>, tensor<5x8xf32>
}
func.func @narrow(%x: tensor<33x6xf32>) -> tensor<33x4xf32> {
  %s = nn.slice %x offsets [0, 0] strides [1, 1] : tensor<33x6xf32> -> tensor<33x4xf32>
  %e = nn.exp %s : tensor<33x4xf32>
  return %e : tensor<33x4xf32>
}
func.func @transpose(%x: tensor<33x12xf32>) -> tensor<12x33xf32> {
  %c = nn.transpose %x [1, 0] : tensor<33x12xf32> -> tensor<12x33xf32>
  return %c : tensor<12x33xf32>
})");
}

} // namespace
