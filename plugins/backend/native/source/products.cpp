// The products of the table: of matrices, and of linear layers y = x Wᵀ + b with W as [O, I].
#include "kernels.h"
#include "threads.h"

namespace native {
namespace {

Matrix rows_of(const float* data, int64_t columns) { return {data, columns, 1}; }

Precision precision_of(bool bfloat16) { return bfloat16 ? Precision::bfloat16 : Precision::float32; }

// The products of a batch go side by side where there are many, and each on all threads where there are few.
constexpr int64_t many = 8;

void forward(In x, In weight, In bias, Out y, float* slope, bool bfloat16) {
  const int64_t outputs = bias.size;
  expect(outputs > 0 && weight.size % outputs == 0, "the weight's size is no multiple of the bias's");
  const int64_t inputs = weight.size / outputs;
  expect(inputs > 0 && x.size % inputs == 0, "x's size is no multiple of the weight's inputs");
  const int64_t tokens = x.size / inputs;
  expect_size(y, tokens * outputs, "y");
  multiply({.m = tokens, .n = outputs, .k = inputs, .a = rows_of(x.data, inputs),
            .b = rows_of(weight.data, inputs).transposed(), .c = y.data, .stride = outputs,
            .precision = precision_of(bfloat16), .epilogue = {.bias = bias.data, .gelu_slope = slope}});
}

}  // namespace

void matmul(In a, In b, Out c, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
            bool bfloat16) {
  expect(batch >= 0 && m >= 0 && n >= 0 && k >= 0, "a size is negative");
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
                   .c = c.data + i * m * n, .stride = n, .precision = precision_of(bfloat16)};
  };
  if (batch < many) for (int64_t i = 0; i < batch; i++) multiply(product(i));
  else share(batch, batch * m * n * k, [&](int64_t i) { multiply_alone(product(i)); });
}

void linear(In x, In weight, In bias, Out y, bool bfloat16) { forward(x, weight, bias, y, nullptr, bfloat16); }

void linear_gelu(In x, In weight, In bias, Out y, Out slope, bool bfloat16) {
  expect_size(slope, y.size, "slope");
  forward(x, weight, bias, y, slope.data, bfloat16);
}

void linear_input_gradient(In dy, In weight, Out dx, int64_t tokens, bool bfloat16) {
  if (tokens == 0) return;
  expect(tokens > 0 && dy.size % tokens == 0 && dx.size % tokens == 0, "rows of different lengths");
  const int64_t outputs = dy.size / tokens, inputs = dx.size / tokens;
  expect_size(weight, outputs * inputs, "the weight");
  multiply({.m = tokens, .n = inputs, .k = outputs, .a = rows_of(dy.data, outputs), .b = rows_of(weight.data, inputs),
            .c = dx.data, .stride = inputs, .precision = precision_of(bfloat16)});
}

void linear_parameter_gradients(In dy, In x, Out weight, Out bias, int64_t tokens, bool bfloat16) {
  const int64_t outputs = bias.size;
  expect(outputs > 0 && weight.size % outputs == 0, "the weight's size is no multiple of the bias's");
  const int64_t inputs = weight.size / outputs;
  expect_size(dy, tokens * outputs, "dy");
  expect_size(x, tokens * inputs, "x");
  multiply({.m = outputs, .n = inputs, .k = tokens, .a = rows_of(dy.data, outputs).transposed(),
            .b = rows_of(x.data, inputs), .c = weight.data, .stride = inputs, .precision = precision_of(bfloat16)});
  sum_rows(dy, bias);
}

}  // namespace native
