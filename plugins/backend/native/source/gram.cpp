// The Gram matrix K_ij = ⟨Gᵢ, Gⱼ⟩ of per-sample gradients of a linear layer's weight, Gᵢ = Σ_t b_t a_tᵀ over the tokens
// of sample i with inputs a and output gradients b, by the two methods of plugins/probe/shared/gram/linear.ts. Products are
// summed in float32 over at most some thousand terms; longer sums are accumulated in float64.
#include <algorithm>
#include <vector>

#include "binding.h"
#include "gemm.h"
#include "gram-shapes.h"
#include "threads.h"

namespace kasosei {
namespace {

// Samples first … end − 1, whose tokens are multiplied in one product; one of this size runs at full speed.
struct Tile {
  int64_t first, end;
};
constexpr int64_t tokens_in_tile = 256;

std::vector<Tile> tiles_of(const Samples& samples) {
  std::vector<Tile> tiles;
  for (int64_t i = 0; i < samples.count; i++) {
    if (!tiles.empty() && samples.offsets[i + 1] - samples.offsets[tiles.back().first] <= tokens_in_tile)
      tiles.back().end = i + 1;
    else tiles.push_back({i, i + 1});
  }
  return tiles;
}

// Σ x ∘ y over a block of two matrices.
double dot_of_blocks(const float* x, const float* y, int64_t rows, int64_t columns, int64_t stride) {
  double total = 0;
  for (int64_t row = 0; row < rows; row++) {
    Floats sum{};
    for_lanes(columns, [&](int64_t i, auto count) {
      sum += load_some(x + row * stride + i, count) * load_some(y + row * stride + i, count);
    });
    total += sum_lanes(sum);
  }
  return total;
}

// Dot products of `left` with `right` vectors (at most four each) that are `stride` apart: 16 sums in registers.
constexpr int block = 4;
template <int left, int right>
void dot_block(const float* a, const float* b, int64_t stride, int64_t size, double* gram, int64_t n) {
  Floats sum[left][right] = {};
  for_lanes(size, [&](int64_t k, auto count) {
    Floats other[right];
#pragma GCC unroll 4
    for (int j = 0; j < right; j++) other[j] = load_some(b + j * stride + k, count);
#pragma GCC unroll 4
    for (int i = 0; i < left; i++) {
      const Floats one = load_some(a + i * stride + k, count);
#pragma GCC unroll 4
      for (int j = 0; j < right; j++) sum[i][j] += one * other[j];
    }
  });
  for (int i = 0; i < left; i++)
    for (int j = 0; j < right; j++) gram[i * n + j] += sum_lanes(sum[i][j]);
}

// gram[i, j] += ⟨vectorᵢ, vectorⱼ⟩ on and above the diagonal, for N vectors of `size` numbers.
void add_products(const float* vectors, int64_t n, int64_t stride, int64_t size, double* gram) {
  const int64_t whole = n / block * block;
  for (int64_t i = 0; i < whole; i += block)
    for (int64_t j = i; j < whole; j += block)
      dot_block<block, block>(vectors + i * stride, vectors + j * stride, stride, size, gram + i * n + j, n);
  for (int64_t j = whole; j < n; j++)
    for (int64_t i = 0; i <= j; i++)
      dot_block<1, 1>(vectors + i * stride, vectors + j * stride, stride, size, gram + i * n + j, n);
}

// Copies the upper triangle to the lower one, of which at most the diagonal blocks were computed.
void mirror(double* gram, int64_t n) {
  for (int64_t i = 1; i < n; i++)
    for (int64_t j = 0; j < i; j++) gram[i * n + j] = gram[j * n + i];
}

}  // namespace

// K_ij = Σ_{t,u} (a_t·a_u)(b_t·b_u) over tokens t of sample i and u of j, [N, N]: no gradient is ever formed.
void gram_by_tokens(In input_TI, In output_gradient_TO, List<int32_t> offsets, Buffer<double> grams, int64_t at) {
  const Samples samples(input_TI, output_gradient_TO, offsets, grams, at);
  const int64_t n = samples.count;
  double* const gram = samples.gram;
  const std::vector<Tile> tiles = tiles_of(samples);
  std::vector<std::pair<Tile, Tile>> pairs;
  for (size_t i = 0; i < tiles.size(); i++)
    for (size_t j = i; j < tiles.size(); j++) pairs.push_back({tiles[i], tiles[j]});
  const int64_t work = samples.tokens * samples.tokens * (samples.inputs + samples.outputs) / 2;
  parallel_for(pairs.size(), work, [&](int64_t pair) {
    static thread_local Scratch scratch;
    const auto& [one, other] = pairs[pair];
    const int64_t from = offsets[one.first], rows = offsets[one.end] - from;
    const int64_t to = offsets[other.first], columns = offsets[other.end] - to;
    float* inputs = scratch.floats(2 * rows * columns);
    float* gradients = inputs + rows * columns;
    const auto products = [&](const float* x, int64_t width, float* c) {
      multiply_alone({.m = rows, .n = columns, .k = width, .a = {x + from * width, width, 1},
                      .b = {x + to * width, 1, width}, .c = c, .stride = columns});
    };
    products(input_TI.data, samples.inputs, inputs);
    products(output_gradient_TO.data, samples.outputs, gradients);
    for (int64_t i = one.first; i < one.end; i++)
      for (int64_t j = std::max(i, other.first); j < other.end; j++) {
        const int64_t start = (offsets[i] - from) * columns + offsets[j] - to;
        gram[i * n + j] =
            dot_of_blocks(inputs + start, gradients + start, samples.length(i), samples.length(j), columns);
      }
  });
  mirror(gram, n);
}
EXPORT(gram_by_tokens, "gramByTokens")

// From the gradients of all samples, some rows of the weight at a time: as many as stay in the second-level cache, but
// enough for an efficient product.
void gram_directly(In input_TI, In output_gradient_TO, List<int32_t> offsets, Buffer<double> grams, int64_t at) {
  const Samples samples(input_TI, output_gradient_TO, offsets, grams, at);
  const int64_t n = samples.count, inputs = samples.inputs, outputs = samples.outputs;
  double* const gram = samples.gram;
  constexpr int64_t in_cache = 1 << 18, terms = 2048;
  const int64_t rows_in_cache = in_cache / std::max<int64_t>(1, n * inputs);
  const int64_t rows_at_once = std::clamp<int64_t>(rows_in_cache, tile_rows, 4 * tile_rows);
  const int64_t pieces = (outputs + rows_at_once - 1) / rows_at_once;
  std::vector<double> partial(pieces * n * n, 0.0);
  parallel_for(pieces, inputs * outputs * (samples.tokens + n * n / 2), [&](int64_t piece) {
    static thread_local Scratch scratch;
    const int64_t first = piece * rows_at_once, rows = std::min(rows_at_once, outputs - first);
    float* gradients = scratch.floats(n * rows * inputs);
    for (int64_t i = 0; i < n; i++) {
      float* to = gradients + i * rows * inputs;
      if (samples.length(i) == 0) std::fill_n(to, rows * inputs, 0.0f);
      else multiply_alone({.m = rows, .n = inputs, .k = samples.length(i),
                           .a = {output_gradient_TO.data + offsets[i] * outputs + first, 1, outputs},
                           .b = {input_TI.data + offsets[i] * inputs, inputs, 1}, .c = to, .stride = inputs});
    }
    for (int64_t from = 0; from < rows * inputs; from += terms)
      add_products(gradients + from, n, rows * inputs, std::min(terms, rows * inputs - from), &partial[piece * n * n]);
  });
  std::fill_n(gram, n * n, 0.0);
  for (int64_t piece = 0; piece < pieces; piece++)
    for (int64_t i = 0; i < n * n; i++) gram[i] += partial[piece * n * n + i];
  mirror(gram, n);
}
EXPORT(gram_directly, "gramDirectly")

// The Gram matrix of each sample's sum over its tokens of x, or of x ∘ factor if factor is not empty.
void gram_of_sums(In x_TD, In factor_TD, List<int32_t> offsets, Buffer<double> grams, int64_t at) {
  const Samples samples = samples_of_sums(x_TD, factor_TD, offsets, grams, at);
  const int64_t n = samples.count, width = samples.inputs;
  double* const gram = samples.gram;
  std::vector<float> sums(n * width, 0.0f);
  parallel_for(n, x_TD.size, [&](int64_t i) {
    for (int64_t t = offsets[i]; t < offsets[i + 1]; t++)
      for_lanes(width, [&](int64_t k, auto count) {
        Floats term = load_some(x_TD.data + t * width + k, count);
        if (factor_TD.size > 0) term *= load_some(factor_TD.data + t * width + k, count);
        float* sum = &sums[i * width + k];
        store_some(sum, load_some(sum, count) + term, count);
      });
  });
  std::fill_n(gram, n * n, 0.0);
  add_products(sums.data(), n, width, width, gram);
  mirror(gram, n);
}
EXPORT(gram_of_sums, "gramOfSums")

}  // namespace kasosei
