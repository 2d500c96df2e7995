// The arguments of layer normalisations, checked.
#pragma once

#include "buffer.h"

namespace kasosei {

inline void expect_layer_norm(In x_TH, In gamma_H, In beta_H, Out y_TH, Out normalised_TH, Out rstd_T) {
  expect(gamma_H.size > 0, "expected at least one feature");
  expect_size(beta_H, gamma_H.size, "beta");
  expect_size(x_TH, rstd_T.size * gamma_H.size, "x");
  expect_size(y_TH, x_TH.size, "y");
  expect_size(normalised_TH, x_TH.size, "normalised");
}

inline void expect_residual_norm(In x_TH, In residual_TH, In gamma_H, In beta_H, const List<int32_t>& indices_T,
                                 Out y_TH, Out normalised_TH, Out rstd_T) {
  expect_layer_norm(x_TH, gamma_H, beta_H, y_TH, normalised_TH, rstd_T);
  expect_size(residual_TH, x_TH.size, "residual");
  expect(indices_T.size == 0 || indices_T.size == rstd_T.size, "expected an index for each row of x, or none");
}

inline void expect_layer_norm_input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H, Out dx_TH) {
  expect_size(dy_TH, rstd_T.size * gamma_H.size, "dy");
  expect_size(normalised_TH, dy_TH.size, "normalised");
  expect_size(dx_TH, dy_TH.size, "dx");
}

inline void expect_residual_norm_input_gradient(In dy_TH, In normalised_TH, In rstd_T, In gamma_H,
                                                const List<int32_t>& indices_T, Out dx_TH, Out d_residual_TH) {
  expect_layer_norm_input_gradient(dy_TH, normalised_TH, rstd_T, gamma_H, d_residual_TH);
  expect_size(dx_TH, dy_TH.size, "the gradient of x");
  expect(indices_T.size == 0 || indices_T.size == rstd_T.size, "expected an index for each row of x, or none");
}

// The number of rows.
inline int64_t layer_norm_parameter_gradients_rows(In dy_TH, In normalised_TH, Out d_gamma_H, Out d_beta_H) {
  const int64_t hidden = d_gamma_H.size;
  expect(hidden > 0 && dy_TH.size % hidden == 0, "expected rows of dy as long as the gradient of gamma");
  expect_size(d_beta_H, hidden, "the gradient of beta");
  expect_size(normalised_TH, dy_TH.size, "normalised");
  return dy_TH.size / hidden;
}

}  // namespace kasosei
