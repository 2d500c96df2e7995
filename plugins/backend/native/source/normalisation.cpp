// Layer normalisation over the features (Ba, Kiros and Hinton 2016), alone and of a residual sum with dropout.
#include <algorithm>
#include <cmath>

#include "binding.h"
#include "dropout.h"
#include "normalisation-shapes.h"
#include "sums.h"
#include "threads.h"

namespace kasosei {
namespace {

// y = γ x̂ + β with x̂ = (x − mean) · rstd, which overwrites x. Returns rstd = (variance + ε)^−½.
float normalise(float* x, int64_t hidden, double epsilon, const float* gamma, const float* beta, float* y) {
  Floats total{};
  for_lanes(hidden, [&](int64_t h, auto count) { total += load_some(x + h, count); });
  const float mean = sum_lanes(total) / hidden;
  Floats squares{};
  for_lanes(hidden, [&](int64_t h, auto count) {
    // Lanes beyond the end of the row hold −mean, which must not be counted.
    Floats centred = load_some(x + h, count) - mean;
    if (count < lanes) centred = load_some(reinterpret_cast<float*>(&centred), count);
    squares += centred * centred;
  });
  const float rstd = static_cast<float>(1 / std::sqrt(sum_lanes(squares) / hidden + epsilon));
  for_lanes(hidden, [&](int64_t h, auto count) {
    const Floats normalised = (load_some(x + h, count) - mean) * rstd;
    store_some(x + h, normalised, count);
    store_some(y + h, normalised * load_some(gamma + h, count) + load_some(beta + h, count), count);
  });
  return rstd;
}

// The gradient of a row from that of its normalised form.
void input_gradient(const float* gradient, const float* row, float rstd, In gamma_H, float* to) {
  const int64_t hidden = gamma_H.size;
  Floats sum{}, along{};
  for_lanes(hidden, [&](int64_t h, auto count) {
    const Floats g = load_some(gradient + h, count) * load_some(gamma_H.data + h, count);
    sum += g;
    along += g * load_some(row + h, count);
  });
  const float mean = sum_lanes(sum) / hidden, mean_along = sum_lanes(along) / hidden;
  for_lanes(hidden, [&](int64_t h, auto count) {
    const Floats g = load_some(gradient + h, count) * load_some(gamma_H.data + h, count);
    store_some(to + h, (g - mean - load_some(row + h, count) * mean_along) * rstd, count);
  });
}

}  // namespace

// The normalised rows x̂ = (x − mean) · rstd with rstd = (variance + ε)^−½, y = γ x̂ + β, and rstd.
void layer_norm(In x_TH, In gamma_H, In beta_H, double epsilon, Out y_TH, Out normalised_TH, Out rstd_T) {
  expect_layer_norm(x_TH, gamma_H, beta_H, y_TH, normalised_TH, rstd_T);
  const int64_t hidden = gamma_H.size;
  parallel_for_ranges(rstd_T.size, 4 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      float* row = normalised_TH.data + t * hidden;
      std::copy_n(x_TH.data + t * hidden, hidden, row);
      rstd_T.data[t] = normalise(row, hidden, epsilon, gamma_H.data, beta_H.data, y_TH.data + t * hidden);
    }
  });
}
EXPORT(layer_norm, "layerNorm")

// The same for residual + dropout(x). Row t of x is row indices_T[t] of the matrix that the mask covers, or row t if no
// indices are given.
void residual_norm(In x_TH, In residual_TH, In gamma_H, In beta_H, double epsilon, List<double> dropout,
                   List<int32_t> indices_T, Out y_TH, Out normalised_TH, Out rstd_T) {
  expect_residual_norm(x_TH, residual_TH, gamma_H, beta_H, indices_T, y_TH, normalised_TH, rstd_T);
  const Dropout mask(dropout);
  const int64_t hidden = gamma_H.size;
  parallel_for_ranges(rstd_T.size, 8 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      float* row = normalised_TH.data + t * hidden;
      const float* from = x_TH.data + t * hidden;
      const float* beside = residual_TH.data + t * hidden;
      if (mask.active) {
        mask.fill((indices_T.size == 0 ? t : indices_T[t]) * hidden, hidden, row);
        for_lanes(hidden, [&](int64_t h, auto count) {
          store_some(row + h, load_some(beside + h, count) + load_some(from + h, count) * load_some(row + h, count),
                     count);
        });
      } else {
        for_lanes(hidden, [&](int64_t h, auto count) {
          store_some(row + h, load_some(beside + h, count) + load_some(from + h, count), count);
        });
      }
      rstd_T.data[t] = normalise(row, hidden, epsilon, gamma_H.data, beta_H.data, y_TH.data + t * hidden);
    }
  });
}
EXPORT(residual_norm, "residualNorm")

// dx = (g − mean(g) − x̂ · mean(g · x̂)) · rstd, with g = γ · dy.
void layer_norm_input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H, Out dx_TH) {
  expect_layer_norm_input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, dx_TH);
  const int64_t hidden = gamma_H.size;
  parallel_for_ranges(rstd_T.size, 4 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      const int64_t at = t * hidden;
      input_gradient(dy_TH.data + at, normalised_TH.data + at, rstd_T.data[t], gamma_H, dx_TH.data + at);
    }
  });
}
EXPORT(layer_norm_input_gradient, "layerNormInputGradient")

// The same for the residual, and dropped as x was in `residualNorm` for x.
void residual_norm_input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H, List<double> dropout,
                                  List<int32_t> indices_T, Out dx_TH, Out d_residual_TH) {
  expect_residual_norm_input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, indices_T, dx_TH, d_residual_TH);
  const Dropout mask(dropout);
  const int64_t hidden = gamma_H.size;
  parallel_for_ranges(rstd_T.size, 8 * hidden, [&](int64_t first, int64_t end) {
    for (int64_t t = first; t < end; t++) {
      const int64_t at = t * hidden;
      float* dropped = dx_TH.data + at;
      float* whole = d_residual_TH.data + at;
      input_gradient(dy_TH.data + at, normalised_TH.data + at, rstd_T.data[t], gamma_H, whole);
      if (!mask.active) {
        std::copy_n(whole, hidden, dropped);
        continue;
      }
      mask.fill((indices_T.size == 0 ? t : indices_T[t]) * hidden, hidden, dropped);
      for_lanes(hidden, [&](int64_t h, auto count) {
        store_some(dropped + h, load_some(whole + h, count) * load_some(dropped + h, count), count);
      });
    }
  });
}
EXPORT(residual_norm_input_gradient, "residualNormInputGradient")

// dγ = Σ_t dy · x̂, dβ = Σ_t dy.
void layer_norm_parameter_gradients(In dy_TH, In normalised_TH, Out d_gamma_H, Out d_beta_H) {
  const int64_t rows = layer_norm_parameter_gradients_rows(dy_TH, normalised_TH, d_gamma_H, d_beta_H);
  const int64_t hidden = d_gamma_H.size;
  sum_columns(rows, hidden, d_gamma_H.data, [&](int64_t t, int64_t h, auto count) {
    return load_some(dy_TH.data + t * hidden + h, count) * load_some(normalised_TH.data + t * hidden + h, count);
  });
  sum_rows(dy_TH, d_beta_H);
}
EXPORT(layer_norm_parameter_gradients, "layerNormParameterGradients")

}  // namespace kasosei
