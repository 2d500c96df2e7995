// Matrix products, and linear layers y = x Wᵀ + b with W as [O, I].
#include "products.h"

#include <algorithm>
#include <optional>

#include "binding.h"
#include "blas.h"
#include "device.h"
#include "product-arguments.h"
#include "product-shapes.h"
#include "reduction.h"
#include "rounded.h"

namespace kasosei {
namespace {

Precision factors = Precision::float32;

bool aligned(const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }

// The largest y of a grid.
constexpr int64_t largest_y = 65535;

void finish_product(const Product& p, const float* x, int64_t parts, int64_t x_row, int64_t x_part, int64_t x_step,
                    bool add, bool with_bias) {
  FinishProduct a{.x = x, .parts = parts, .x_row = x_row, .x_part = x_part, .x_step = x_step, .batch = p.batch,
                  .m = p.m, .n = p.n, .c = p.c, .row = p.stride, .step = p.step,
                  .bias = with_bias ? p.bias : nullptr, .derivative = p.gelu_derivative, .factor = p.factor,
                  .rounded = p.rounded, .add = add};
  a.vectors = (p.n | x_row | x_part | x_step | p.stride | p.step) % 4 == 0 && aligned(x) && aligned(p.c) &&
              aligned(p.gelu_derivative) && aligned(p.factor);
  launch({.blocks = {divide_up(p.m * p.n, 1024), std::min(p.batch, largest_y)}, .threads = 256}, a);
}

// Whether a factor [rows, columns] is there as bfloat16 numbers that can be read 16 bytes at a time.
bool is_rounded(const Factor& x, int64_t rows, int64_t columns) {
  return x.rounded != nullptr && ((x.transposed ? rows : columns) | x.stride | x.step) % 8 == 0 && aligned(x.rounded);
}

// Such a factor: as it is given, or a copy, whose rows end with zeros.
class Rounded {
 public:
  Rounded(const Factor& given, int64_t rows, int64_t columns, int64_t batch) : factor(given) {
    if (is_rounded(given, rows, columns)) return;
    if (given.transposed) std::swap(rows, columns);
    const int64_t matrices = given.step == 0 ? 1 : batch, stride = divide_up(columns, 8) * 8;
    memory.emplace(matrices * rows * stride * 2);
    factor.rounded = memory->as<uint16_t>();
    factor.stride = stride;
    factor.step = given.step == 0 ? 0 : rows * stride;
    const bool vectors = (given.stride | given.step) % 4 == 0 && aligned(given.data);
    launch({.blocks = {divide_up(rows * (stride / 8), 256), std::min(matrices, largest_y)}, .threads = 256},
           RoundMatrix{.x = given.data, .batch = matrices, .rows = rows, .columns = columns, .x_row = given.stride,
                       .x_step = given.step, .y = memory->as<uint16_t>(), .y_row = stride, .vectors = vectors});
  }
  // Not to be read as float32: the distances are those of `rounded`.
  Factor factor;

 private:
  std::optional<Scratch> memory;
};

// op(A), or op(B) transposed, as the kernels read it: rows of k numbers.
ProductFactor tiled(const Factor& x, bool rows_are_rows, int64_t k, Precision precision) {
  const bool rounded = precision == Precision::bfloat16 && x.rounded != nullptr;
  const void* data = rounded ? static_cast<const void*>(x.rounded) : x.data;
  const int64_t vector = rounded ? 8 : 4;
  return {.data = data, .row = rows_are_rows ? x.stride : 1, .depth = rows_are_rows ? 1 : x.stride, .step = x.step,
          .is_bfloat16 = rounded,
          .vectors = rows_are_rows && (x.stride | x.step | k) % vector == 0 && aligned(data)};
}

// Of the sum over k, numbers that a block takes at a time at most.
constexpr int64_t deepest = 32;

int64_t tiles(const Product& p, int64_t size) { return divide_up(p.m, size) * divide_up(p.n, size) * p.batch; }

// Whether our own kernels work with large tiles: not if the device had too few of them.
bool in_large_tiles(const Product& p) { return tiles(p, 128) >= multiprocessors(); }

// By our own kernels. How the work is divided depends on the sizes and the device only.
//
// @param rounded whether the factors are `Rounded`: those of a bfloat16 product in large tiles are
void multiply_by_tiles(const Product& p, bool rounded) {
  const bool large = in_large_tiles(p);
  const int64_t blocks = tiles(p, large ? 128 : 64);
  // Parts of the sum, if there are still too few: such that the device has about two blocks a multiprocessor, and
  // blocks that sum over at least 256 numbers.
  const int64_t wanted = std::min({2 * multiprocessors() / blocks, p.k / 256, int64_t{32}});
  const int64_t part_k = wanted < 2 ? p.k : divide_up(divide_up(p.k, wanted), deepest) * deepest;
  const int64_t parts = wanted < 2 ? 1 : divide_up(p.k, part_k);

  const char* kernels[3][2] = {{"product_float32_64", "product_float32_128"},
                               {"product_tf32_64", "product_tf32_128"},
                               {"product_bfloat16_64", nullptr}};
  const char* kernel = kernels[static_cast<int>(p.precision)][large];
  if (rounded) kernel = large ? "product_rounded_128" : "product_rounded_64";
  const Launch shape{.blocks = {blocks * parts}, .threads = large && !rounded ? 256 : 128};
  TiledProduct a{.a = tiled(p.a, !p.a.transposed, p.k, p.precision), .b = tiled(p.b, p.b.transposed, p.k, p.precision),
                 .m = p.m, .n = p.n, .k = p.k, .parts = parts, .part_k = part_k, .c = p.c, .row = p.stride, .part = 0,
                 .step = p.step, .bias = p.bias, .derivative = p.gelu_derivative, .factor = p.factor,
                 .rounded = p.rounded, .add = p.add};
  a.vectors = (p.n | p.stride | p.step) % 4 == 0 && aligned(p.c) && aligned(p.gelu_derivative) && aligned(p.factor);
  if (parts == 1) return launch(kernel, shape, &a);

  const Scratch sums(p.batch * parts * p.m * p.n * static_cast<int64_t>(sizeof(float)));
  a.c = sums.as<float>();
  a.row = p.n;
  a.part = p.m * p.n;
  a.step = parts * a.part;
  a.bias = nullptr;
  a.derivative = nullptr;
  a.factor = nullptr;
  a.rounded = nullptr;
  a.add = false;
  a.vectors = p.n % 4 == 0 && aligned(a.c);
  launch(kernel, shape, &a);
  finish_product(p, a.c, parts, a.row, a.part, a.step, p.add, true);
}

}  // namespace

Precision precision_of_factors() { return factors; }

// How the factors of products are rounded from now on where a call does not say it. At first they are not.
void set_precision(Precision wanted) { factors = wanted; }
EXPORT(set_precision, "setPrecision")

void multiply(const Product& p) {
  if (p.batch == 0 || p.m == 0 || p.n == 0) return;
  const bool by_blas = has_blas() && p.k > 0;
  // Small products of our own round the factors on the way to shared memory, unless that has been done.
  const bool rounded = p.precision == Precision::bfloat16 &&
                       (by_blas || in_large_tiles(p) || (is_rounded(p.a, p.m, p.k) && is_rounded(p.b, p.k, p.n)));
  std::optional<Rounded> a, b;
  Product product = p;
  if (rounded) {
    product.a = a.emplace(p.a, p.m, p.k, p.batch).factor;
    product.b = b.emplace(p.b, p.k, p.n, p.batch).factor;
  }
  if (!by_blas) return multiply_by_tiles(product, rounded);
  bool with_bias;
  if (!multiply_by_blas(product, with_bias)) return multiply_by_tiles(product, rounded);
  if (p.gelu_derivative != nullptr || p.factor != nullptr || p.rounded != nullptr || (p.bias != nullptr && !with_bias))
    finish_product(p, p.c, 1, p.stride, 0, p.step, false, !with_bias);
}

// C[i] = op(A[i]) op(B[i]), [m, n], for each i of a batch, which may share one A or one B.
void matmul(In a, In b, Out c, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
            Precision precision) {
  const SharedFactors shared = shared_factors(a, b, c, batch, m, n, k);
  multiply({.m = m, .n = n, .k = k,
            .a = {.data = a.data, .stride = transpose_a ? m : k, .transposed = transpose_a,
                  .step = shared.a ? 0 : m * k},
            .b = {.data = b.data, .stride = transpose_b ? k : n, .transposed = transpose_b,
                  .step = shared.b ? 0 : k * n},
            .c = c.data, .stride = n, .batch = batch, .step = m * n, .precision = precision});
}
EXPORT(matmul, "matmul")

namespace {

// A tensor [rows, columns] of a linear layer.
Factor factor(In x, int64_t columns, bool transposed, Precision precision) {
  return {.data = x.data, .stride = columns, .transposed = transposed,
          .rounded = precision == Precision::bfloat16 ? rounded_copy(x, columns) : nullptr};
}

void forward(In x_TI, In weight_OI, In bias_O, Out y_TO, float* derivative_TO, Precision precision) {
  const auto [tokens, inputs, outputs] = linear_shape(x_TI, weight_OI, bias_O, y_TO);
  std::optional<RoundedOutput> rounded;
  if (derivative_TO != nullptr) rounded.emplace(precision, y_TO, outputs);
  multiply({.m = tokens, .n = outputs, .k = inputs, .a = factor(x_TI, inputs, false, precision),
            .b = factor(weight_OI, inputs, true, precision), .c = y_TO.data, .stride = outputs,
            .precision = precision, .bias = bias_O.data, .gelu_derivative = derivative_TO,
            .rounded = rounded ? rounded->data() : nullptr});
  if (rounded) rounded->written();
}

}  // namespace

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
  multiply({.m = rows, .n = inputs, .k = outputs, .a = factor(dy_TO, outputs, false, precision),
            .b = factor(weight_OI, inputs, false, precision), .c = dx_TI.data, .stride = inputs,
            .precision = precision, .add = add});
}
EXPORT(linear_input_gradient, "linearInputGradient")

// dx = (dy W) ∘ factor.
void linear_input_gradient_times(In dy_TO, In weight_OI, In factor_TI, Out dx_TI, int64_t tokens,
                                 Precision precision) {
  const auto [rows, inputs, outputs] =
      linear_input_gradient_times_shape(dy_TO, weight_OI, factor_TI, dx_TI, tokens);
  RoundedOutput rounded(precision, dx_TI, inputs);
  multiply({.m = rows, .n = inputs, .k = outputs, .a = factor(dy_TO, outputs, false, precision),
            .b = factor(weight_OI, inputs, false, precision), .c = dx_TI.data, .stride = inputs,
            .precision = precision, .factor = factor_TI.data, .rounded = rounded.data()});
  rounded.written();
}
EXPORT(linear_input_gradient_times, "linearInputGradientTimes")

// dW = dyᵀ x, db = Σ_t dy.
void linear_parameter_gradients(In dy_TO, In x_TI, Out d_weight_OI, Out d_bias_O, int64_t tokens, Precision precision) {
  const auto [rows, inputs, outputs] = linear_parameter_gradients_shape(dy_TO, x_TI, d_weight_OI, d_bias_O, tokens);
  multiply({.m = outputs, .n = inputs, .k = rows, .a = factor(dy_TO, outputs, true, precision),
            .b = factor(x_TI, inputs, false, precision), .c = d_weight_OI.data, .stride = inputs,
            .precision = precision});
  column_sums(dy_TO.data, rows, outputs, d_bias_O.data);
}
EXPORT(linear_parameter_gradients, "linearParameterGradients")

}  // namespace kasosei
