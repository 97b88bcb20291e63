// Rows of tables, and vectors made of parts.
#include "codegen/reference/Formulas.h"

namespace doppel::reference {

static int64_t rowSize(const Tensor &table) {
  return elementCount(Shape(table.shape.begin() + 1, table.shape.end()));
}

/// The row that `index` names, or -1: there is none.
static int64_t rowOf(const Tensor &table, double index) {
  return index >= 0 && index < static_cast<double>(table.shape[0]) ? static_cast<int64_t>(index)
                                                                   : -1;
}

Tensor gatherRows(const Tensor &table, const Tensor &indices) {
  Shape shape = table.shape;
  shape[0] = indices.size();
  Tensor result(shape);
  int64_t width = rowSize(table);
  for (int64_t i = 0; i < indices.size(); ++i)
    if (int64_t row = rowOf(table, indices[i]); row >= 0)
      for (int64_t j = 0; j < width; ++j)
        result[i * width + j] = table[row * width + j];
  return result;
}

Tensor scatterRows(const Tensor &table, const Tensor &indices, const Tensor &rows,
                   bool accumulate) {
  Tensor result = table;
  int64_t width = rowSize(table);
  for (int64_t i = 0; i < indices.size(); ++i)
    if (int64_t row = rowOf(table, indices[i]); row >= 0)
      for (int64_t j = 0; j < width; ++j) {
        double &place = result[row * width + j];
        place = accumulate ? place + rows[i * width + j] : rows[i * width + j];
      }
  return result;
}

Tensor enqueue(const Tensor &queue, const Tensor &rows, int64_t step) {
  Tensor result = queue;
  int64_t width = rowSize(queue), length = queue.shape[0], count = rows.shape[0];
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < width; ++j)
      result[(step * count + i) % length * width + j] = rows[i * width + j];
  return result;
}

Tensor pack(llvm::ArrayRef<const Tensor *> inputs, Numbers offsets, int64_t length) {
  Tensor result(Shape{length});
  for (size_t part = 0; part < inputs.size(); ++part)
    for (int64_t i = 0; i < inputs[part]->size(); ++i)
      result[offsets[part] + i] = (*inputs[part])[i];
  return result;
}

Tensor segmentSum(const Tensor &input, Numbers offsets, Numbers sizes) {
  Tensor result(Shape{static_cast<int64_t>(sizes.size())});
  for (size_t s = 0; s < sizes.size(); ++s)
    for (int64_t i = 0; i < sizes[s]; ++i)
      result[s] += input[offsets[s] + i];
  return result;
}

Tensor segmentBroadcast(const Tensor &input, Numbers offsets, Numbers sizes, int64_t length) {
  Tensor result(Shape{length});
  for (size_t s = 0; s < sizes.size(); ++s)
    for (int64_t i = 0; i < sizes[s]; ++i)
      result[offsets[s] + i] = input[s];
  return result;
}

} // namespace doppel::reference
