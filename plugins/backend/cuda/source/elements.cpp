// Elementwise kernels, and the transpose.
#include "element-arguments.h"

#include "binding.h"
#include "element-shapes.h"
#include "grid.h"
#include "mask-list.h"

namespace kasosei {
namespace {

void combine(In a, In b, Out out, Operation operation) {
  expect_combinable(a, b, out);
  if (a.size == 0) return;
  const bool repeats = b.size > 1 && b.size < a.size;
  const bool fours = in_fours(a.data, out.data) && (b.size == 1 || in_fours(b.data)) && !(repeats && b.size % 4 != 0);
  launch(for_numbers(a.size, fours), CombineElements{a.data, b.data, out.data, a.size, b.size, operation, fours});
}

}  // namespace

void add(In a, In b, Out out) { combine(a, b, out, Operation::add); }
EXPORT(add, "add")

void subtract(In a, In b, Out out) { combine(a, b, out, Operation::subtract); }
EXPORT(subtract, "subtract")

void multiply_elements(In a, In b, Out out) { combine(a, b, out, Operation::multiply); }
EXPORT(multiply_elements, "multiply")

void fill(Out out, double value) {
  const bool fours = in_fours(out.data);
  launch(for_numbers(out.size, fours), FillElements{out.data, out.size, static_cast<float>(value), fours});
}
EXPORT(fill, "fill")

void tanh_elements(In x, Out y) {
  expect_tanh(x, y);
  launch(for_items(x.size), TanhElements{x.data, y.data, x.size});
}
EXPORT(tanh_elements, "tanh")

// (1 − y²) dy.
void tanh_gradient(In dy, In y, Out dx) {
  expect_tanh_gradient(dy, y, dx);
  launch(for_items(y.size), TanhGradient{dy.data, y.data, dx.data, y.size});
}
EXPORT(tanh_gradient, "tanhGradient")

// Row n of x is row indices_N[n] of the matrix that the mask covers, or row n if no indices are given.
void dropout(In x, Out y, List<double> dropout, List<int32_t> indices_N) {
  const Mask mask = mask_of(dropout);
  expect_dropout(x, y, indices_N);
  if (x.size == 0) return;
  if (!mask.active) return copy(y.data, x.data, x.size * static_cast<int64_t>(sizeof(float)));
  const bool whole = indices_N.size == 0;
  const int64_t width = whole ? x.size : x.size / indices_N.size;
  const bool fours = in_fours(x.data, y.data) && (whole || width % 4 == 0);
  const int32_t* rows_at = whole ? nullptr : upload(indices_N);
  launch(for_numbers(x.size, fours), DropElements{x.data, y.data, rows_at, x.size, width, mask, fours});
}
EXPORT(dropout, "dropout")

void transpose_matrix(In x_TH, Out y_HT, int64_t rows) {
  const int64_t columns = transpose_columns(x_TH, y_HT, rows);
  if (columns == 0) return;
  constexpr int64_t tile = TransposeMatrix::tile;
  const int64_t across = divide_up(columns, tile), down = divide_up(rows, tile);
  launch({.blocks = {across * down}, .threads = TransposeMatrix::threads},
         TransposeMatrix{x_TH.data, y_HT.data, rows, columns, across});
}
EXPORT(transpose_matrix, "transpose")

}  // namespace kasosei
