// The arguments of the kernels of Gram matrices.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// A tile of tokens holds parts of samples. Part p has tokens starts[p] … starts[p + 1] − 1; tile I has parts
// parts_of_tiles[I] … parts_of_tiles[I + 1] − 1, and sample i, in the same way, those of parts_of_samples. A block finds
// a pair of tiles' sums of (a_t·a_u)(b_t·b_u) for each pair of their parts.
struct GramByTokens {
  const float* input_TI;
  const float* output_gradient_TO;
  const int32_t* starts;
  const int32_t* parts_of_tiles;
  double* sums;  // [parts, parts], on and above the diagonal
  int64_t tokens, inputs, outputs, parts;
  bool vectors_of_inputs, vectors_of_outputs;
};

// The sums of the parts of each pair of samples.
struct GramOfParts {
  static constexpr const char* kernel = "gram_of_parts";
  const double* sums;
  const int32_t* parts_of_samples;
  double* gram;
  int64_t samples, parts;
};

// Rows first … first + rows − 1 of the weight's gradient of each sample, [N, rows, I].
struct GradientsOfSamples {
  static constexpr const char* kernel = "gradients_of_samples";
  const float* input_TI;
  const float* output_gradient_TO;
  const int32_t* offsets;
  float* gradients;
  int64_t inputs, outputs, first, rows;
  bool vectors_of_inputs, vectors_of_outputs;
};

// Σ_t x, or Σ_t x ∘ factor unless factor is null, of each sample, [N, D].
struct SumsOfSamples {
  static constexpr const char* kernel = "sums_of_samples";
  const float* x_TD;
  const float* factor_TD;
  const int32_t* offsets;
  float* sums;
  int64_t width;
};

// Products of vectors, each in slices of `slice` numbers, on and above the diagonal.
struct GramOfVectors {
  static constexpr const char* kernel = "gram_of_vectors";
  const float* vectors_ND;
  double* sums;  // [slices, N, N]
  int64_t count, size, slice;
  bool vectors;  // whether all can be read four numbers at a time
};

// gram = or += the sum of the slices.
struct GramOfSlices {
  static constexpr const char* kernel = "gram_of_slices";
  const double* sums;
  double* gram;
  int64_t count, slices;
  bool add;
};

// A tile has this many rows for each thread, and lanes share its columns.
constexpr int gram_rows_of_a_thread = 8, gram_lanes = 16;
constexpr int gram_threads(int tile) { return tile / gram_rows_of_a_thread * gram_lanes; }
// Terms of a product that are in shared memory at a time, and how many times they are: two are being loaded while one is
// multiplied.
constexpr int gram_depth = 16, gram_stages = 3;
// Rows are followed by four unused numbers, so that neighbouring ones begin in other banks.
constexpr int gram_stride = gram_depth + 4;
constexpr int gram_large_tile = 128, gram_small_tile = 64;

// Bytes of shared memory. The products of a tile take the place of what was multiplied.
constexpr int gram_product_shared(int tile) { return gram_stages * 2 * tile * gram_stride * 4; }
constexpr int gram_by_tokens_shared(int tile) {
  const int products = 2 * tile * 8 + tile * (tile + 1) * 4;
  return products > gram_product_shared(tile) ? products : gram_product_shared(tile);
}
constexpr int gradients_of_samples_shared = gram_stages * 2 * gram_depth * gram_large_tile * 4;
static_assert(gram_by_tokens_shared(gram_large_tile) <= 99 * 1024);

// Terms that are summed in float32; more are accumulated in float64.
constexpr int64_t gram_terms = 2048;

}  // namespace kasosei
