// The sizes of matrix products and linear layers, from those of their arguments, which are checked.
#pragma once

#include "buffer.h"

namespace kasosei {

// Whether all products of a batch have the same A, or the same B.
struct SharedFactors {
  bool a, b;
};

inline SharedFactors shared_factors(In a, In b, Out c, int64_t batch, int64_t m, int64_t n, int64_t k) {
  expect(batch >= 0 && m >= 0 && n >= 0 && k >= 0, "expected sizes of at least 0");
  expect_size(c, batch * m * n, "c");
  const SharedFactors shared{.a = a.size == m * k, .b = b.size == k * n};
  if (!shared.a) expect_size(a, batch * m * k, "a");
  if (!shared.b) expect_size(b, batch * k * n, "b");
  return shared;
}

struct LinearShape {
  int64_t tokens, inputs, outputs;
};

inline LinearShape linear_shape(In x_TI, In weight_OI, In bias_O, Out y_TO) {
  const int64_t outputs = bias_O.size;
  expect(outputs > 0 && weight_OI.size % outputs == 0, "expected a weight whose size is a multiple of the bias's");
  const int64_t inputs = weight_OI.size / outputs;
  expect(inputs > 0 && x_TI.size % inputs == 0, "expected x with rows as long as those of the weight");
  const int64_t tokens = x_TI.size / inputs;
  expect_size(y_TO, tokens * outputs, "y");
  return {tokens, inputs, outputs};
}

// Without tokens, no argument is looked at.
inline LinearShape linear_input_gradient_shape(In dy_TO, In weight_OI, Out dx_TI, int64_t tokens) {
  if (tokens == 0) return {};
  expect(tokens > 0 && dy_TO.size % tokens == 0 && dx_TI.size % tokens == 0, "expected rows of equal length");
  const int64_t outputs = dy_TO.size / tokens, inputs = dx_TI.size / tokens;
  expect_size(weight_OI, outputs * inputs, "the weight");
  return {tokens, inputs, outputs};
}

inline LinearShape linear_input_gradient_times_shape(In dy_TO, In weight_OI, In factor_TI, Out dx_TI, int64_t tokens) {
  expect_size(factor_TI, dx_TI.size, "the factor");
  return linear_input_gradient_shape(dy_TO, weight_OI, dx_TI, tokens);
}

inline LinearShape linear_parameter_gradients_shape(In dy_TO, In x_TI, Out d_weight_OI, Out d_bias_O, int64_t tokens) {
  const int64_t outputs = d_bias_O.size;
  expect(outputs > 0 && d_weight_OI.size % outputs == 0, "expected a weight whose size is a multiple of the bias's");
  const int64_t inputs = d_weight_OI.size / outputs;
  expect_size(dy_TO, tokens * outputs, "dy");
  expect_size(x_TI, tokens * inputs, "x");
  return {tokens, inputs, outputs};
}

}  // namespace kasosei
