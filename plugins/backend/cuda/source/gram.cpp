// Gram matrices on the GPU, by the two methods of plugins/probe/shared/gram/linear.ts.
#include <algorithm>
#include <vector>

#include "../kernels/gram-arguments.h"
#include "binding.h"
#include "device.h"
#include "gram-shapes.h"

namespace kasosei {
namespace {

// Memory for the gradients of all samples, of some rows of the weight at a time.
constexpr int64_t largest_gradients = int64_t{256} << 20;
// Slices of long vectors are made for this many blocks for each multiprocessor.
constexpr int64_t blocks_of_a_multiprocessor = 4;
constexpr int elementwise_threads = 128;

// Whether all rows can be read four numbers at a time.
bool in_vectors(const float* rows, int64_t width) {
  return width % 4 == 0 && reinterpret_cast<uintptr_t>(rows) % 16 == 0;
}

// gram = or += the products of the vectors, on the device.
void multiply_vectors(const float* vectors, int64_t count, int64_t size, double* gram, bool add) {
  const int64_t tiles = divide_up(count, gram_small_tile), pairs = tiles * (tiles + 1) / 2;
  const int64_t pieces = std::max<int64_t>(1, divide_up(size, gram_terms));
  const int64_t wanted = std::clamp<int64_t>(blocks_of_a_multiprocessor * multiprocessors() / pairs, 1, pieces);
  const int64_t slice = divide_up(pieces, wanted) * gram_terms;
  const int64_t slices = std::max<int64_t>(1, divide_up(size, slice));
  const Scratch sums(slices * count * count * sizeof(double));
  launch({.blocks = {slices, tiles, tiles},
          .threads = gram_threads(gram_small_tile),
          .shared = gram_product_shared(gram_small_tile)},
         GramOfVectors{.vectors_ND = vectors,
                       .sums = sums.as<double>(),
                       .count = count,
                       .size = size,
                       .slice = slice,
                       .vectors = in_vectors(vectors, size)});
  launch({.blocks = {divide_up(count * count, elementwise_threads)}, .threads = elementwise_threads},
         GramOfSlices{.sums = sums.as<double>(), .gram = gram, .count = count, .slices = slices, .add = add});
}

}  // namespace

// K_ij = Σ_{t,u} (a_t·a_u)(b_t·b_u) over tokens t of sample i and u of j, [N, N]: no gradient is ever formed, and of the
// products of tokens only those of a pair of tiles at a time.
void gram_by_tokens(In input_TI, In output_gradient_TO, List<int32_t> offsets, Buffer<double> grams, int64_t at) {
  const Samples samples(input_TI, output_gradient_TO, offsets, grams, at);
  const int64_t n = samples.count;
  // Large tiles are faster, if there are enough of them.
  const int64_t large = divide_up(samples.tokens, gram_large_tile);
  const int tile = large * (large + 1) / 2 >= multiprocessors() ? gram_large_tile : gram_small_tile;
  std::vector<int32_t> starts, parts_of_tiles, parts_of_samples;
  for (int64_t i = 0; i < n; i++) {
    parts_of_samples.push_back(static_cast<int32_t>(starts.size()));
    for (int64_t token = offsets[i]; token < offsets[i + 1]; token = (token / tile + 1) * tile) {
      if (token / tile == static_cast<int64_t>(parts_of_tiles.size()))
        parts_of_tiles.push_back(static_cast<int32_t>(starts.size()));
      starts.push_back(static_cast<int32_t>(token));
    }
  }
  const int64_t parts = starts.size(), tiles = parts_of_tiles.size();
  parts_of_samples.push_back(static_cast<int32_t>(parts));
  parts_of_tiles.push_back(static_cast<int32_t>(parts));
  starts.push_back(static_cast<int32_t>(samples.tokens));
  const auto uploaded = [](const std::vector<int32_t>& list) {
    return upload(List<int32_t>{list.data(), static_cast<int64_t>(list.size())});
  };
  const Scratch sums(std::max<int64_t>(1, parts * parts) * sizeof(double));
  const GramByTokens by_tokens{.input_TI = input_TI.data,
                               .output_gradient_TO = output_gradient_TO.data,
                               .starts = uploaded(starts),
                               .parts_of_tiles = uploaded(parts_of_tiles),
                               .sums = sums.as<double>(),
                               .tokens = samples.tokens,
                               .inputs = samples.inputs,
                               .outputs = samples.outputs,
                               .parts = parts,
                               .vectors_of_inputs = in_vectors(input_TI.data, samples.inputs),
                               .vectors_of_outputs = in_vectors(output_gradient_TO.data, samples.outputs)};
  launch(tile == gram_large_tile ? "gram_by_tokens_128" : "gram_by_tokens_64",
         {.blocks = {tiles, tiles}, .threads = gram_threads(tile), .shared = gram_by_tokens_shared(tile)}, &by_tokens);
  launch({.blocks = {divide_up(n * n, elementwise_threads)}, .threads = elementwise_threads},
         GramOfParts{.sums = sums.as<double>(),
                     .parts_of_samples = uploaded(parts_of_samples),
                     .gram = samples.gram,
                     .samples = n,
                     .parts = parts});
}
EXPORT(gram_by_tokens, "gramByTokens")

// From the gradients of all samples, some rows of the weight at a time.
void gram_directly(In input_TI, In output_gradient_TO, List<int32_t> offsets, Buffer<double> grams, int64_t at) {
  const Samples samples(input_TI, output_gradient_TO, offsets, grams, at);
  const int64_t n = samples.count, inputs = samples.inputs, outputs = samples.outputs;
  if (inputs * outputs == 0) {
    fill_zero(samples.gram, n * n * sizeof(double));
    return;
  }
  int64_t rows_at_once = std::clamp<int64_t>(largest_gradients / (n * inputs * sizeof(float)), 1, outputs);
  if (rows_at_once > gram_large_tile && rows_at_once < outputs) rows_at_once -= rows_at_once % gram_large_tile;
  const Scratch gradients(n * rows_at_once * inputs * sizeof(float));
  const int32_t* const offsets_there = upload(offsets);
  for (int64_t first = 0; first < outputs; first += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, outputs - first);
    launch({.blocks = {divide_up(inputs, gram_large_tile), divide_up(rows, gram_large_tile), n},
            .threads = gram_threads(gram_large_tile),
            .shared = gradients_of_samples_shared},
           GradientsOfSamples{.input_TI = input_TI.data,
                              .output_gradient_TO = output_gradient_TO.data,
                              .offsets = offsets_there,
                              .gradients = gradients.as<float>(),
                              .inputs = inputs,
                              .outputs = outputs,
                              .first = first,
                              .rows = rows,
                              .vectors_of_inputs = in_vectors(input_TI.data, inputs),
                              .vectors_of_outputs = in_vectors(output_gradient_TO.data + first, outputs)});
    multiply_vectors(gradients.as<float>(), n, rows * inputs, samples.gram, first > 0);
  }
}
EXPORT(gram_directly, "gramDirectly")

// The Gram matrix of each sample's sum over its tokens of x, or of x ∘ factor if factor is not empty.
void gram_of_sums(In x_TD, In factor_TD, List<int32_t> offsets, Buffer<double> grams, int64_t at) {
  const Samples samples = samples_of_sums(x_TD, factor_TD, offsets, grams, at);
  const int64_t n = samples.count, width = samples.inputs;
  const Scratch sums(std::max<int64_t>(1, n * width) * sizeof(float));
  constexpr int threads = 256;
  launch({.blocks = {divide_up(width, threads), n}, .threads = threads},
         SumsOfSamples{.x_TD = x_TD.data,
                       .factor_TD = factor_TD.size > 0 ? factor_TD.data : nullptr,
                       .offsets = upload(offsets),
                       .sums = sums.as<float>(),
                       .width = width});
  multiply_vectors(sums.as<float>(), n, width, samples.gram, false);
}
EXPORT(gram_of_sums, "gramOfSums")

}  // namespace kasosei
