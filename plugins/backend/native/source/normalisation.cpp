// Layer normalisation over the features (Ba, Kiros and Hinton 2016), alone and of a residual sum with dropout.
#include <algorithm>
#include <cmath>

#include "dropout.h"
#include "kernels.h"
#include "sums.h"
#include "threads.h"

namespace native {
namespace {

// y = γ x̂ + β with x̂ = (x − mean) · (variance + ε)^−½; x lies where x̂ will.
float normalise(float* x, int64_t hidden, double epsilon, const float* gamma, const float* beta, float* y) {
  Floats total{};
  for_lanes(hidden, [&](int64_t h, auto count) { total += load_some(x + h, count); });
  const float mean = sum_lanes(total) / hidden;
  Floats squares{};
  for_lanes(hidden, [&](int64_t h, auto count) {
    // The lanes beyond the row's end hold −mean, which must not be counted.
    Floats centred = load_some(x + h, count) - mean;
    if (count < lanes) centred = load_some(reinterpret_cast<float*>(&centred), count);
    squares += centred * centred;
  });
  const float inverse = static_cast<float>(1 / std::sqrt(sum_lanes(squares) / hidden + epsilon));
  for_lanes(hidden, [&](int64_t h, auto count) {
    const Floats normalised = (load_some(x + h, count) - mean) * inverse;
    store_some(x + h, normalised, count);
    store_some(y + h, normalised * load_some(gamma + h, count) + load_some(beta + h, count), count);
  });
  return inverse;
}

void expect_norm(In x, In gamma, In beta, Out y, Out normalised, Out inverse) {
  expect(gamma.size > 0, "rows without features");
  expect_size(beta, gamma.size, "beta");
  expect_size(x, inverse.size * gamma.size, "x");
  expect_size(y, x.size, "y");
  expect_size(normalised, x.size, "normalised");
}

}  // namespace

void layer_norm(In x, In gamma, In beta, double epsilon, Out y, Out normalised, Out inverse) {
  expect_norm(x, gamma, beta, y, normalised, inverse);
  const int64_t hidden = gamma.size;
  share_range(inverse.size, 4 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      float* row = normalised.data + t * hidden;
      std::copy_n(x.data + t * hidden, hidden, row);
      inverse.data[t] = normalise(row, hidden, epsilon, gamma.data, beta.data, y.data + t * hidden);
    }
  });
}

void residual_norm(In x, In residual, In gamma, In beta, double epsilon, List<double> draw, List<int32_t> rows, Out y,
                   Out normalised, Out inverse) {
  expect_norm(x, gamma, beta, y, normalised, inverse);
  expect_size(residual, x.size, "residual");
  expect(rows.size == 0 || rows.size == inverse.size, "as many rows as x has were expected");
  const Dropout mask(draw);
  const int64_t hidden = gamma.size;
  share_range(inverse.size, 8 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      float* row = normalised.data + t * hidden;
      const float* from = x.data + t * hidden;
      const float* beside = residual.data + t * hidden;
      if (mask.active) {
        mask.fill((rows.size == 0 ? t : rows[t]) * hidden, hidden, row);
        for_lanes(hidden, [&](int64_t h, auto count) {
          store_some(row + h, load_some(beside + h, count) + load_some(from + h, count) * load_some(row + h, count),
                     count);
        });
      } else {
        for_lanes(hidden, [&](int64_t h, auto count) {
          store_some(row + h, load_some(beside + h, count) + load_some(from + h, count), count);
        });
      }
      inverse.data[t] = normalise(row, hidden, epsilon, gamma.data, beta.data, y.data + t * hidden);
    }
  });
}

// dx = (g − mean(g) − x̂ · mean(g · x̂)) / deviation, with g = γ · dy.
void layer_norm_input_gradient(In dy, In normalised, In inverse, In gamma, Out dx) {
  const int64_t hidden = gamma.size;
  expect_size(dy, inverse.size * hidden, "dy");
  expect_size(normalised, dy.size, "normalised");
  expect_size(dx, dy.size, "dx");
  share_range(inverse.size, 4 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      const float* gradient = dy.data + t * hidden;
      const float* row = normalised.data + t * hidden;
      float* to = dx.data + t * hidden;
      Floats sum{}, along{};
      for_lanes(hidden, [&](int64_t h, auto count) {
        const Floats g = load_some(gradient + h, count) * load_some(gamma.data + h, count);
        sum += g;
        along += g * load_some(row + h, count);
      });
      const float mean = sum_lanes(sum) / hidden, mean_along = sum_lanes(along) / hidden, scale = inverse.data[t];
      for_lanes(hidden, [&](int64_t h, auto count) {
        const Floats g = load_some(gradient + h, count) * load_some(gamma.data + h, count);
        store_some(to + h, (g - mean - load_some(row + h, count) * mean_along) * scale, count);
      });
    }
  });
}

void layer_norm_parameter_gradients(In dy, In normalised, Out gamma, Out beta) {
  const int64_t hidden = gamma.size;
  expect(hidden > 0 && dy.size % hidden == 0, "dy's rows are not as long as gamma");
  expect_size(beta, hidden, "beta");
  expect_size(normalised, dy.size, "normalised");
  const int64_t rows = dy.size / hidden;
  sum_columns(rows, hidden, gamma.data, [&](int64_t t, int64_t h, auto count) {
    return load_some(dy.data + t * hidden + h, count) * load_some(normalised.data + t * hidden + h, count);
  });
  sum_rows(dy, beta);
}

}  // namespace native
