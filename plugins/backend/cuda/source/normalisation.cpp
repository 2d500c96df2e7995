// Layer normalisation over the features (Ba, Kiros and Hinton 2016), alone and of a residual sum with dropout.
#include "normalisation-arguments.h"

#include "binding.h"
#include "grid.h"
#include "mask-list.h"
#include "normalisation-shapes.h"
#include "products.h"
#include "reduction.h"
#include "rounded.h"

namespace kasosei {
namespace {

bool can_be_kept(int64_t hidden) { return hidden % 4 == 0 && hidden <= largest_kept_row; }

// A block for each row, with two fours for each thread where that makes whole warps.
Launch for_rows(int64_t rows, int64_t hidden, bool kept) {
  const int64_t threads = divide_up(kept ? divide_up(hidden, 8) : hidden, 32) * 32;
  return {.blocks = {rows}, .threads = static_cast<int>(std::min<int64_t>(threads, threads_of_a_row))};
}

void normalise(In x_TH, const float* residual_TH, In gamma_H, In beta_H, double epsilon, const Mask& mask,
               const List<int32_t>& indices_T, Out y_TH, Out normalised_TH, Out rstd_T) {
  const int64_t hidden = gamma_H.size, rows = rstd_T.size;
  if (rows == 0) return;
  const bool kept = can_be_kept(hidden) && in_fours(x_TH.data, residual_TH, gamma_H.data, beta_H.data, y_TH.data) &&
                    in_fours(normalised_TH.data);
  const int32_t* rows_at = indices_T.size == 0 || !mask.active ? nullptr : upload(indices_T);
  RoundedOutput rounded(precision_of_factors(), y_TH, hidden);
  launch(for_rows(rows, hidden, kept),
         LayerNorm{x_TH.data, residual_TH, rows_at, gamma_H.data, beta_H.data, y_TH.data, rounded.data(),
                   normalised_TH.data, rstd_T.data, hidden, static_cast<float>(epsilon), mask, kept});
  rounded.written();
}

// @param dropped_TH what flows on into a linear layer: the gradient dropped or, if it is empty, dx itself
void input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H, Out dx_TH, Out dropped_TH, const Mask& mask,
                    const List<int32_t>& indices_T) {
  const int64_t hidden = gamma_H.size;
  if (dy_TH.size == 0) return;
  const bool kept = can_be_kept(hidden) && in_fours(dy_TH.data, normalised_TH.data, gamma_H.data, dx_TH.data) &&
                    in_fours(dropped_TH.data);
  const int32_t* rows_at = indices_T.size == 0 || !mask.active ? nullptr : upload(indices_T);
  RoundedOutput rounded(precision_of_factors(), dropped_TH.size > 0 ? dropped_TH : dx_TH, hidden);
  launch(for_rows(rstd_T.size, hidden, kept),
         LayerNormInputGradient{dy_TH.data, normalised_TH.data, rstd_T.data, gamma_H.data, dx_TH.data, rounded.data(),
                                hidden, kept, dropped_TH.data, rows_at, mask});
  rounded.written();
}

}  // namespace

// The normalised rows x̂ = (x − mean) · rstd with rstd = (variance + ε)^−½, y = γ x̂ + β, and rstd.
void layer_norm(In x_TH, In gamma_H, In beta_H, double epsilon, Out y_TH, Out normalised_TH, Out rstd_T) {
  expect_layer_norm(x_TH, gamma_H, beta_H, y_TH, normalised_TH, rstd_T);
  normalise(x_TH, nullptr, gamma_H, beta_H, epsilon, {}, {}, y_TH, normalised_TH, rstd_T);
}
EXPORT(layer_norm, "layerNorm")

// The same for residual + dropout(x). Row t of x is row indices_T[t] of the matrix that the mask covers, or row t if no
// indices are given.
void residual_norm(In x_TH, In residual_TH, In gamma_H, In beta_H, double epsilon, List<double> dropout,
                   List<int32_t> indices_T, Out y_TH, Out normalised_TH, Out rstd_T) {
  expect_residual_norm(x_TH, residual_TH, gamma_H, beta_H, indices_T, y_TH, normalised_TH, rstd_T);
  normalise(x_TH, residual_TH.data, gamma_H, beta_H, epsilon, mask_of(dropout), indices_T, y_TH, normalised_TH, rstd_T);
}
EXPORT(residual_norm, "residualNorm")

// dx = (g − mean(g) − x̂ · mean(g · x̂)) · rstd, with g = γ · dy.
void layer_norm_input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H, Out dx_TH) {
  expect_layer_norm_input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, dx_TH);
  input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, dx_TH, {}, {}, {});
}
EXPORT(layer_norm_input_gradient, "layerNormInputGradient")

// The same for the residual, and dropped as x was in `residualNorm` for x.
void residual_norm_input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H, List<double> dropout,
                                  List<int32_t> indices_T, Out dx_TH, Out d_residual_TH) {
  expect_residual_norm_input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, indices_T, dx_TH, d_residual_TH);
  input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, d_residual_TH, dx_TH, mask_of(dropout), indices_T);
}
EXPORT(residual_norm_input_gradient, "residualNormInputGradient")

// dγ = Σ_t dy · x̂, dβ = Σ_t dy.
void layer_norm_parameter_gradients(In dy_TH, In normalised_TH, Out d_gamma_H, Out d_beta_H) {
  const int64_t rows = layer_norm_parameter_gradients_rows(dy_TH, normalised_TH, d_gamma_H, d_beta_H);
  column_sums(dy_TH.data, rows, d_beta_H.size, d_beta_H.data, normalised_TH.data, d_gamma_H.data);
}
EXPORT(layer_norm_parameter_gradients, "layerNormParameterGradients")

}  // namespace kasosei
