// Matrix products, and linear layers y = x Wᵀ + b with W as [O, I].
#include "binding.h"
#include "gemm.h"
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
  const int64_t outputs = bias_O.size;
  expect(outputs > 0 && weight_OI.size % outputs == 0, "expected a weight whose size is a multiple of the bias's");
  const int64_t inputs = weight_OI.size / outputs;
  expect(inputs > 0 && x_TI.size % inputs == 0, "expected x with rows as long as those of the weight");
  const int64_t tokens = x_TI.size / inputs;
  expect_size(y_TO, tokens * outputs, "y");
  multiply({.m = tokens, .n = outputs, .k = inputs, .a = rows_of(x_TI.data, inputs),
            .b = rows_of(weight_OI.data, inputs).transposed(), .c = y_TO.data, .stride = outputs,
            .precision = supported(precision), .epilogue = {.bias = bias_O.data, .gelu_derivative = derivative_TO}});
}

}  // namespace

// C[i] = op(A[i]) op(B[i]), [m, n], for each i of a batch, which may share one A or one B.
void matmul(In a, In b, Out c, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
            Precision precision) {
  expect(batch >= 0 && m >= 0 && n >= 0 && k >= 0, "expected sizes of at least 0");
  expect_size(c, batch * m * n, "c");
  const bool one_a = a.size == m * k, one_b = b.size == k * n;
  if (!one_a) expect_size(a, batch * m * k, "a");
  if (!one_b) expect_size(b, batch * k * n, "b");
  const auto product = [&](int64_t i) {
    const float* left = a.data + (one_a ? 0 : i * m * k);
    const float* right = b.data + (one_b ? 0 : i * k * n);
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

// dx = dy W.
void linear_input_gradient(In dy_TO, In weight_OI, Out dx_TI, int64_t tokens, Precision precision) {
  if (tokens == 0) return;
  expect(tokens > 0 && dy_TO.size % tokens == 0 && dx_TI.size % tokens == 0, "expected rows of equal length");
  const int64_t outputs = dy_TO.size / tokens, inputs = dx_TI.size / tokens;
  expect_size(weight_OI, outputs * inputs, "the weight");
  multiply({.m = tokens, .n = inputs, .k = outputs, .a = rows_of(dy_TO.data, outputs),
            .b = rows_of(weight_OI.data, inputs), .c = dx_TI.data, .stride = inputs,
            .precision = supported(precision)});
}
EXPORT(linear_input_gradient, "linearInputGradient")

// dW = dyᵀ x, db = Σ_t dy.
void linear_parameter_gradients(In dy_TO, In x_TI, Out d_weight_OI, Out d_bias_O, int64_t tokens, Precision precision) {
  const int64_t outputs = d_bias_O.size;
  expect(outputs > 0 && d_weight_OI.size % outputs == 0, "expected a weight whose size is a multiple of the bias's");
  const int64_t inputs = d_weight_OI.size / outputs;
  expect_size(dy_TO, tokens * outputs, "dy");
  expect_size(x_TI, tokens * inputs, "x");
  multiply({.m = outputs, .n = inputs, .k = tokens, .a = rows_of(dy_TO.data, outputs).transposed(),
            .b = rows_of(x_TI.data, inputs), .c = d_weight_OI.data, .stride = inputs,
            .precision = supported(precision)});
  sum_rows(dy_TO, d_bias_O);
}
EXPORT(linear_parameter_gradients, "linearParameterGradients")

}  // namespace kasosei
