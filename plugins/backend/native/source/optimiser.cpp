// The global norm, and AdamW in one pass over memory.
#include <algorithm>
#include <vector>

#include "binding.h"
#include "threads.h"
#include "vector.h"

namespace kasosei {
namespace {

// The coefficients, from a list of the caller: [gradient scale, β₁, β₂, ε, step size, decay].
struct AdamW {
  float scale, beta1, rest1, beta2, rest2, epsilon, step, kept;

  // The differences from 1 are taken in float64: 1 − 0.999 in float32 has a relative error of 5e-5.
  explicit AdamW(const List<double>& list) {
    expect(list.size == 6, "expected 6 coefficients of AdamW");
    scale = static_cast<float>(list[0]);
    beta1 = static_cast<float>(list[1]);
    rest1 = static_cast<float>(1 - list[1]);
    beta2 = static_cast<float>(list[2]);
    rest2 = static_cast<float>(1 - list[2]);
    epsilon = static_cast<float>(list[3]);
    step = static_cast<float>(list[4]);
    kept = static_cast<float>(1 - list[5]);
  }
};

// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← (θ − step · m / (√v + ε)) (1 − decay). The arithmetic is
// the same in every lane wherever a piece begins, so the bits do not depend on how a tensor is divided.
void update(const AdamW& c, int64_t size, float* theta, const float* gradient, float* m, float* v) {
  for_lanes(size, [&](int64_t i, auto count) {
    const Floats g = gradient == nullptr ? Floats{} : load_some(gradient + i, count) * c.scale;
    const Floats mean = load_some(m + i, count) * c.beta1 + c.rest1 * g;
    const Floats square = load_some(v + i, count) * c.beta2 + c.rest2 * (g * g);
    store_some(m + i, mean, count);
    store_some(v + i, square, count);
    const Floats step = (mean * c.step) / (square_root(square) + c.epsilon);
    store_some(theta + i, (load_some(theta + i, count) - step) * c.kept, count);
  });
}

}  // namespace

// Σ x² in float64, row by row of `width` numbers, so that rows of zeros change no bit of it.
double sum_of_squares(In x, int64_t width) {
  if (x.size == 0) return 0;
  expect(width > 0 && x.size % width == 0, "expected x to consist of rows of the given width");
  const int64_t rows = x.size / width;
  std::vector<double> squares(rows);
  parallel_for_ranges(rows, width, [&](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      // A row may be long, such as a whole vector: its pieces are also added in float64.
      constexpr int64_t at_once = 4096;
      for (int64_t from = 0; from < width; from += at_once) {
        Floats sum{};
        for_lanes(std::min(at_once, width - from), [&](int64_t i, auto count) {
          const Floats value = load_some(x.data + row * width + from + i, count);
          sum += value * value;
        });
        squares[row] += sum_lanes(sum);
      }
    }
  });
  double total = 0;
  for (double value : squares) total += value;
  return total;
}
EXPORT(sum_of_squares, "sumOfSquares")

// One update, all in place.
void adamw(Out theta, In gradient, Out m, Out v, List<double> coefficients) {
  const AdamW c(coefficients);
  expect_size(gradient, theta.size, "the gradient");
  expect_size(m, theta.size, "m");
  expect_size(v, theta.size, "v");
  parallel_for_ranges(theta.size, 4, [&](int64_t first, int64_t end) {
    update(c, end - first, theta.data + first, gradient.data + first, m.data + first, v.data + first);
  });
}
EXPORT(adamw, "adamw")

// The same for a gradient that is zero except in rows ids_U. Marks these rows in active_V, and updates only marked
// rows, those that ever had a gradient.
void adamw_rows(Out theta_VH, In gradient_rows_UH, List<int32_t> ids_U, Out m_VH, Out v_VH, Buffer<uint8_t> active_V,
                List<double> coefficients) {
  const AdamW c(coefficients);
  expect(c.kept == 1, "expected no weight decay, which would change every row");
  expect(active_V.size > 0 && theta_VH.size % active_V.size == 0, "expected a mark for each row");
  const int64_t width = theta_VH.size / active_V.size;
  expect_size(gradient_rows_UH, ids_U.size * width, "the gradient's rows");
  expect_size(m_VH, theta_VH.size, "m");
  expect_size(v_VH, theta_VH.size, "v");
  expect_below(ids_U, active_V.size, "ids");
  std::vector<const float*> gradients(active_V.size, nullptr);
  for (int64_t n = 0; n < ids_U.size; n++) {
    gradients[ids_U[n]] = gradient_rows_UH.data + n * width;
    active_V.data[ids_U[n]] = 1;
  }
  std::vector<int32_t> touched;
  for (int64_t row = 0; row < active_V.size; row++)
    if (active_V.data[row]) touched.push_back(row);
  parallel_for_ranges(touched.size(), 4 * width, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++) {
      const int64_t at = touched[i] * width;
      update(c, width, theta_VH.data + at, gradients[touched[i]], m_VH.data + at, v_VH.data + at);
    }
  });
}
EXPORT(adamw_rows, "adamwRows")

// Marks the rows in which a moment is not zero.
void mark_active_rows(In m_VH, In v_VH, Buffer<uint8_t> active_V) {
  expect(active_V.size > 0 && m_VH.size % active_V.size == 0, "expected a mark for each row");
  expect_size(v_VH, m_VH.size, "v");
  const int64_t width = m_VH.size / active_V.size;
  parallel_for_ranges(active_V.size, width, [&](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      active_V.data[row] = 0;
      for (int64_t i = row * width; i < (row + 1) * width; i++)
        if (m_VH.data[i] != 0 || v_VH.data[i] != 0) active_V.data[row] = 1;
    }
  });
}
EXPORT(mark_active_rows, "markActiveRows")

}  // namespace kasosei
