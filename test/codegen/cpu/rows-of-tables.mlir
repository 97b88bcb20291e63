// Gathers, scatters and queues as compiled code against the oracle. The numbers: rows of the table,
// rows of the other tensor, elements of a row, step.
// RUN: for shape in "1 5 33 0" "7 37 5 1" "100 32 16 2" "129 43 1 3" "37 300 129 4" \
// RUN:     "5000 4999 3 5" "700 900 65 7"; do set -- $shape; \
// RUN:   sed "s/TABLE/$1/g; s/COUNT/$2/g; s/WIDTH/$3/g; s/QUEUE/$(($2 * 3))/g" %s \
// RUN:     | doppel-verify kernels - --step $4 \
// RUN:     | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!table = tensor<TABLExWIDTHxf32>
!indices = tensor<COUNTxi32>
!rows = tensor<COUNTxWIDTHxf32>
!queue = tensor<QUEUExWIDTHxf32>

nn.state @queue queue {nn.range = [-1.0, 1.0]} : !queue
nn.state @table other {nn.range = [-1.0, 1.0]} : !table

// CHECK-LABEL: @gather
// CHECK-COUNT-3: ok
func.func @gather(%t: !table, %i: !indices {nn.range = [0.0, TABLE.0]}, %r: !rows,
                  %v: tensor<TABLExi64>, %j: tensor<COUNTxi64> {nn.range = [0.0, TABLE.0]},
                  %m: tensor<TABLEx3xWIDTHxf32>)
    -> (!rows, tensor<COUNTxi64>, tensor<COUNTx3xWIDTHxf32>) {
  %g = nn.gather_rows %t, %i : (!table, !indices) -> !rows
  %p = nn.mul %g, %r : !rows
  %h = nn.gather_rows %v, %j : (tensor<TABLExi64>, tensor<COUNTxi64>) -> tensor<COUNTxi64>
  %k = nn.gather_rows %m, %i : (tensor<TABLEx3xWIDTHxf32>, !indices) -> tensor<COUNTx3xWIDTHxf32>
  return %p, %h, %k : !rows, tensor<COUNTxi64>, tensor<COUNTx3xWIDTHxf32>
}

// Where there are more rows than places some go to the same one: the last of them stays.
// CHECK-LABEL: @replace
// CHECK-COUNT-2: ok
func.func @replace(%t: !table, %i: !indices {nn.range = [0.0, TABLE.0]}, %r: !rows)
    -> (!table, tensor<TABLExf32>) {
  %s = nn.scatter_rows %t, %i, %r : (!table, !indices, !rows) -> !table
  %n = nn.neg %s : !table
  %zero = nn.constant dense<0.0> : tensor<TABLExf32>
  %first = nn.slice %r offsets [0, 0] strides [1, 1] : !rows -> tensor<COUNTx1xf32>
  %v = nn.reshape %first : tensor<COUNTx1xf32> -> tensor<COUNTxf32>
  %one = nn.scatter_rows %zero, %i, %v
      : (tensor<TABLExf32>, !indices, tensor<COUNTxf32>) -> tensor<TABLExf32>
  return %n, %one : !table, tensor<TABLExf32>
}

// All of them are added, in order.
// CHECK-LABEL: @accumulate
// CHECK-COUNT-2: ok
func.func @accumulate(%t: !table, %i: !indices {nn.range = [0.0, TABLE.0]}, %r: !rows)
    -> (!table, !table) {
  %e = nn.exp %r : !rows
  %s = nn.scatter_rows %t, %i, %e {accumulate} : (!table, !indices, !rows) -> !table
  %zero = nn.constant dense<0.0> : !table
  %d = nn.scatter_rows %zero, %i, %r {accumulate} : (!table, !indices, !rows) -> !table
  return %s, %d : !table, !table
}

// An index outside of the table gives zeros, and takes no row.
// CHECK-LABEL: @outside
// CHECK-COUNT-4: ok
func.func @outside(%t: !table, %i: !indices {nn.range = [-2000000000.0, 2000000000.0]},
                   %j: tensor<COUNTxi64> {nn.range = [-TABLE.0, 1.0]}, %r: !rows)
    -> (!rows, !rows, !table, !table) {
  %0 = nn.gather_rows %t, %i : (!table, !indices) -> !rows
  %1 = nn.gather_rows %t, %j : (!table, tensor<COUNTxi64>) -> !rows
  %2 = nn.scatter_rows %t, %i, %r : (!table, !indices, !rows) -> !table
  %3 = nn.scatter_rows %t, %j, %r {accumulate}
      : (!table, tensor<COUNTxi64>, !rows) -> !table
  return %0, %1, %2, %3 : !rows, !rows, !table, !table
}

// The queue is a state and changes in place; a table of which the old value is needed cannot.
// CHECK-LABEL: @in_place
// CHECK: result 0: ok
// CHECK: state queue: ok
// CHECK: state table: ok
func.func @in_place(%i: !indices {nn.range = [0.0, TABLE.0]}, %r: !rows) -> !table {
  %q = nn.read @queue : !queue
  %t = nn.read @table : !table
  %x = nn.abs %r : !rows
  %q2 = nn.enqueue %q, %x : (!queue, !rows) -> !queue
  %t2 = nn.scatter_rows %t, %i, %r : (!table, !indices, !rows) -> !table
  %d = nn.sub %t2, %t : !table
  nn.write @queue, %q2 : !queue
  nn.write @table, %t2 : !table
  return %d : !table
}

// A queue that is no state is copied; the old and the new one are both read.
// CHECK-LABEL: @copied_queue
// CHECK-COUNT-2: ok
func.func @copied_queue(%q: !queue, %r: !rows) -> (!queue, !queue) {
  %e = nn.enqueue %q, %r : (!queue, !rows) -> !queue
  %d = nn.sub %e, %q : !queue
  return %e, %d : !queue, !queue
}
