// Matrix products, and linear layers y = x Wᵀ + b with W as [O, I].
#include "binding.h"
#include "gemm.h"
#include "product-shapes.h"
#include "sums.h"
#include "threads.h"

namespace kasosei {
namespace {

Matrix rows_of(const float* data, int64_t columns) { return {data, columns, 1}; }

Precision supported(Precision precision) {
  expect(precision != Precision::tensor_float32, "expected float32 or bfloat16: this device has no tf32");
  return precision;
}

// From this batch size on, each product runs on one thread; in smaller batches each runs on all threads, in turn.
constexpr int64_t many = 8;

void forward(In x_TI, In weight_OI, In bias_O, Out y_TO, float* derivative_TO, Precision precision) {
  const auto [tokens, inputs, outputs] = linear_shape(x_TI, weight_OI, bias_O, y_TO);
  multiply({.m = tokens, .n = outputs, .k = inputs, .a = rows_of(x_TI.data, inputs),
            .b = rows_of(weight_OI.data, inputs).transposed(), .c = y_TO.data, .stride = outputs,
            .precision = supported(precision), .epilogue = {.bias = bias_O.data, .gelu_derivative = derivative_TO}});
}

}  // namespace

// C[i] = op(A[i]) op(B[i]), [m, n], for each i of a batch, which may share one A or one B.
void matmul(In a, In b, Out c, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
            Precision precision) {
  const SharedFactors shared = shared_factors(a, b, c, batch, m, n, k);
  const auto product = [&](int64_t i) {
    const float* left = a.data + (shared.a ? 0 : i * m * k);
    const float* right = b.data + (shared.b ? 0 : i * k * n);
    return Product{.m = m, .n = n, .k = k,
                   .a = transpose_a ? rows_of(left, m).transposed() : rows_of(left, k),
                   .b = transpose_b ? rows_of(right, k).transposed() : rows_of(right, n),
                   .c = c.data + i * m * n, .stride = n, .precision = supported(precision)};
  };
  if (batch < many) for (int64_t i = 0; i < batch; i++) multiply(product(i));
  else parallel_for(batch, batch * m * n * k, [&](int64_t i) { multiply_alone(product(i)); });
}
EXPORT(matmul, "matmul")

void linear(In x_TI, In weight_OI, In bias_O, Out y_TO, Precision precision) {
  forward(x_TI, weight_OI, bias_O, y_TO, nullptr, precision);
}
EXPORT(linear, "linear")

// gelu(x Wᵀ + b), and the derivative of gelu at x Wᵀ + b.
void linear_gelu(In x_TI, In weight_OI, In bias_O, Out y_TO, Out derivative_TO, Precision precision) {
  expect_size(derivative_TO, y_TO.size, "the derivative");
  forward(x_TI, weight_OI, bias_O, y_TO, derivative_TO.data, precision);
}
EXPORT(linear_gelu, "linearGelu")

// dx = dy W, or dx += dy W.
void linear_input_gradient(In dy_TO, In weight_OI, Out dx_TI, int64_t tokens, bool add, Precision precision) {
  const auto [rows, inputs, outputs] = linear_input_gradient_shape(dy_TO, weight_OI, dx_TI, tokens);
  multiply({.m = rows, .n = inputs, .k = outputs, .a = rows_of(dy_TO.data, outputs),
            .b = rows_of(weight_OI.data, inputs), .c = dx_TI.data, .stride = inputs, .add = add,
            .precision = supported(precision)});
}
EXPORT(linear_input_gradient, "linearInputGradient")

// dx = (dy W) ∘ factor.
void linear_input_gradient_times(In dy_TO, In weight_OI, In factor_TI, Out dx_TI, int64_t tokens,
                                 Precision precision) {
  const auto [rows, inputs, outputs] =
      linear_input_gradient_times_shape(dy_TO, weight_OI, factor_TI, dx_TI, tokens);
  multiply({.m = rows, .n = inputs, .k = outputs, .a = rows_of(dy_TO.data, outputs),
            .b = rows_of(weight_OI.data, inputs), .c = dx_TI.data, .stride = inputs,
            .precision = supported(precision), .epilogue = {.factor = factor_TI.data}});
}
EXPORT(linear_input_gradient_times, "linearInputGradientTimes")

// dW = dyᵀ x, db = Σ_t dy.
void linear_parameter_gradients(In dy_TO, In x_TI, Out d_weight_OI, Out d_bias_O, int64_t tokens, Precision precision) {
  const auto [rows, inputs, outputs] = linear_parameter_gradients_shape(dy_TO, x_TI, d_weight_OI, d_bias_O, tokens);
  multiply({.m = outputs, .n = inputs, .k = rows, .a = rows_of(dy_TO.data, outputs).transposed(),
            .b = rows_of(x_TI.data, inputs), .c = d_weight_OI.data, .stride = inputs,
            .precision = supported(precision)});
  sum_rows(dy_TO, d_bias_O);
}
EXPORT(linear_parameter_gradients, "linearParameterGradients")

}  // namespace kasosei
