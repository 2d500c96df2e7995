// The global norm, and AdamW in one pass over memory. Each does all parameters in one job of the threads, in pieces, so
// that they wait for each other once and not once for each of hundreds of parameters.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "binding.h"
#include "optimiser-shapes.h"
#include "threads.h"
#include "vector.h"

namespace kasosei {
namespace {

// The numbers in a piece: some tens of microseconds of work.
constexpr int64_t numbers_in_a_piece = 1 << 15;

// Rows `first` … `end` − 1 of the tensor at `index`, of a list of tensors.
struct Piece {
  int64_t index, first, end;
};

// Divides rows of `width` numbers into pieces, which go to the end of `pieces`.
void divide(std::vector<Piece>& pieces, int64_t index, int64_t rows, int64_t width) {
  const int64_t length = std::max<int64_t>(1, numbers_in_a_piece / std::max<int64_t>(1, width));
  for (int64_t first = 0; first < rows; first += length)
    pieces.push_back({index, first, std::min(rows, first + length)});
}

// The sum of the squares of a row, which may be long, such as a whole vector: its parts are added in float64.
double squares_of(const float* row, int64_t width) {
  constexpr int64_t at_once = 4096;
  double total = 0;
  for (int64_t from = 0; from < width; from += at_once) {
    Floats sum{};
    for_lanes(std::min(at_once, width - from), [&](int64_t i, auto count) {
      const Floats value = load_some(row + from + i, count);
      sum += value * value;
    });
    total += sum_lanes(sum);
  }
  return total;
}

struct AdamW {
  float scale, beta1, rest1, beta2, rest2, epsilon;

  // The differences from 1 are taken in float64: 1 − 0.999 in float32 has a relative error of 5e-5.
  AdamW(const AdamWSettings& settings, float norm) {
    scale = static_cast<float>(clipping_scale(norm, settings.largest));
    beta1 = static_cast<float>(settings.beta1);
    rest1 = static_cast<float>(1 - settings.beta1);
    beta2 = static_cast<float>(settings.beta2);
    rest2 = static_cast<float>(1 - settings.beta2);
    epsilon = static_cast<float>(settings.epsilon);
  }

  // m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← (θ − step · m / (√v + ε)) (1 − decay). The arithmetic is the
  // same in every lane wherever a piece begins, so the bits do not depend on how a tensor is divided.
  void update(const ParameterUpdate& each, int64_t at, int64_t size, const float* gradient) const {
    const float step_size = static_cast<float>(each.step), kept = static_cast<float>(1 - each.decay);
    float* theta = each.theta.data + at;
    float* m = each.m.data + at;
    float* v = each.v.data + at;
    for_lanes(size, [&](int64_t i, auto count) {
      const Floats g = gradient == nullptr ? Floats{} : load_some(gradient + i, count) * scale;
      const Floats mean = load_some(m + i, count) * beta1 + rest1 * g;
      const Floats square = load_some(v + i, count) * beta2 + rest2 * (g * g);
      store_some(m + i, mean, count);
      store_some(v + i, square, count);
      const Floats step = (mean * step_size) / (square_root(square) + epsilon);
      store_some(theta + i, (load_some(theta + i, count) - step) * kept, count);
    });
  }
};

// A row of a table that is updated, and its gradient; null for zeros.
struct ActiveRow {
  int64_t row;
  const float* gradient;
};

// Marks the rows of the gradient, and gives all that are marked.
std::vector<ActiveRow> active_rows(const ParameterUpdate& each) {
  std::vector<ActiveRow> rows;
  int64_t n = 0;
  for (int64_t row = 0; row < each.active_V.size; row++) {
    const float* gradient = nullptr;
    if (n < each.ids_U.size && each.ids_U[n] == row) {
      gradient = each.gradient.data + n++ * each.width();
      each.active_V.data[row] = 1;
    }
    if (each.active_V.data[row]) rows.push_back({row, gradient});
  }
  return rows;
}

}  // namespace

// norm = √Σ x² over all gradients, a list of [handle, width of a row] each; NaN if one of the watched numbers is not
// finite. Summed in float64, row by row, so that rows of zeros change no bit of it.
void global_norm(List<double> gradients, List<double> watched, Out norm) {
  const std::vector<Measured> all = measured_of(gradients);
  const std::vector<const float*> numbers = numbers_of(watched);
  expect_size(norm, 1, "the norm");
  std::vector<Piece> pieces;
  std::vector<int64_t> starts{0};
  int64_t work = 0;
  for (const auto& [x, width] : all) {
    const int64_t rows = x.size == 0 ? 0 : x.size / width;
    divide(pieces, starts.size() - 1, rows, width);
    starts.push_back(starts.back() + rows);
    work += x.size;
  }
  std::vector<double> squares(starts.back());
  parallel_for(pieces.size(), work, [&](int64_t i) {
    const auto& [index, first, end] = pieces[i];
    const auto& [x, width] = all[index];
    for (int64_t row = first; row < end; row++)
      squares[starts[index] + row] = squares_of(x.data + row * width, width);
  });
  double sum = 0;
  for (size_t index = 0; index < all.size(); index++) {
    double total = 0;
    for (int64_t row = starts[index]; row < starts[index + 1]; row++) total += squares[row];
    sum += total;
  }
  const bool finite = std::all_of(numbers.begin(), numbers.end(), [](const float* x) { return std::isfinite(*x); });
  norm.data[0] = finite ? static_cast<float>(std::sqrt(sum)) : std::numeric_limits<float>::quiet_NaN();
}
EXPORT(global_norm, "globalNorm")

// One update of all parameters, in place; none if the norm is not finite. Where a gradient is zero except in some rows,
// only rows that ever had a gradient are updated: in the others, both moments are zero.
void adamw(List<double> updates, List<int32_t> ids, In norm, List<double> coefficients) {
  const std::vector<ParameterUpdate> all = parameter_updates(updates, ids);
  const AdamWSettings settings = adamw_settings(coefficients);
  expect_size(norm, 1, "the norm");
  if (!std::isfinite(norm.data[0])) return;
  const AdamW step(settings, norm.data[0]);
  std::vector<Piece> pieces;
  std::vector<std::vector<ActiveRow>> active(all.size());
  int64_t work = 0;
  for (size_t index = 0; index < all.size(); index++) {
    const ParameterUpdate& each = all[index];
    const int64_t width = each.sparse ? each.width() : 1;
    if (each.sparse) active[index] = active_rows(each);
    const int64_t rows = each.sparse ? active[index].size() : each.theta.size;
    divide(pieces, index, rows, width);
    work += 4 * rows * width;
  }
  parallel_for(pieces.size(), work, [&](int64_t i) {
    const auto& [index, first, end] = pieces[i];
    const ParameterUpdate& each = all[index];
    if (!each.sparse) return step.update(each, first, end - first, each.gradient.data + first);
    for (int64_t n = first; n < end; n++) {
      const auto& [row, gradient] = active[index][n];
      step.update(each, row * each.width(), each.width(), gradient);
    }
  });
}
EXPORT(adamw, "adamw")

// Marks the rows in which a moment is not zero.
void mark_active_rows(In m_VH, In v_VH, Buffer<uint8_t> active_V) {
  const int64_t width = marked_width(m_VH, v_VH, active_V);
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
