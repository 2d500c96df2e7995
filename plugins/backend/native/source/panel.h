// Packed panels: the factors of a matrix product, copied into the order in which the innermost loop reads them.
//
// A panel of the left factor is `tile_rows` of its rows, column after column, in whole vectors: [depth][left_stride]. A
// panel of the right factor is `tile_columns` of its columns: [depth][tile_columns]. So each step of depth reads two short
// stretches of contiguous numbers, whether or not the matrices were transposed.
#pragma once

#include <algorithm>

#include "precision.h"
#include "vector.h"

namespace kasosei {

// The tile of the product that is kept in registers: rows x (columns / lanes) sums, which leaves room for a row of the
// right factor. AVX-512 has 32 registers, 28 of them sums; AVX2 has 16; NEON 32 and SSE 16 of four lanes.
#if defined(__AVX512F__)
constexpr int tile_rows = 14, tile_vectors = 2;
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int tile_rows = 6, tile_vectors = 2;
#else
constexpr int tile_rows = 6, tile_vectors = 2;
#endif
constexpr int tile_columns = tile_vectors * lanes;
constexpr int left_stride = (tile_rows + lanes - 1) / lanes * lanes;

// A matrix in memory. One of the strides is 1: `column` if it is stored row by row, `row` if transposed.
struct Matrix {
  const float* data;
  int64_t row, column;
  const float* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
  Matrix transposed() const { return {data, column, row}; }
};

// Copies `count` rows of `depth` numbers to to[k * stride + i], from rows that are contiguous (stride 1 along k); the rest
// of a step, which is whole vectors, becomes 0.
inline void pack_across(const Matrix& from, int count, int64_t depth, float* to, int stride) {
  for (int first = 0; first < stride; first += lanes) {
    const int rows = std::clamp(count - first, 0, lanes);
    for (int64_t k = 0; k < depth; k += lanes) {
      const int steps = static_cast<int>(std::min<int64_t>(lanes, depth - k));
      Floats square[lanes];
      if (steps == lanes)
        for (int i = 0; i < lanes; i++) square[i] = i < rows ? load(from.at(first + i, k)) : Floats{};
      else
        for (int i = 0; i < lanes; i++) square[i] = i < rows ? load_some(from.at(first + i, k), steps) : Floats{};
      transpose(square);
      float* step = to + k * stride + first;
      if (steps == lanes)
        for (int i = 0; i < lanes; i++) store(step + i * stride, square[i]);
      else
        for (int i = 0; i < steps; i++) store(step + i * stride, square[i]);
    }
  }
}

// The same from columns that are contiguous (stride 1 along i).
inline void pack_along(const Matrix& from, int count, int64_t depth, float* to, int stride) {
  for (int first = 0; first < stride; first += lanes) {
    const int rows = std::clamp(count - first, 0, lanes);
    const float* line = from.at(first, 0);
    if (rows == lanes)
      for (int64_t k = 0; k < depth; k++) store(to + k * stride + first, load(line + k * from.column));
    else
      for (int64_t k = 0; k < depth; k++) store(to + k * stride + first, load_some(line + k * from.column, rows));
  }
}

// Rounds to the nearest number with an 8-bit mantissa, ties to even: the upper half of a float32. NaN stays NaN.
inline Words to_bfloat16(Floats value) {
  const Words bits = reinterpret_cast<Words>(value);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return reinterpret_cast<Words>(
      choose(value != value, bits_to_floats(Ints{} + 0x7fc0), reinterpret_cast<Floats>(rounded)));
}

// In bfloat16, on processors that multiply pairs of such numbers, a panel
// holds two steps of depth in each 32 bits, and a product takes half the instructions; on others, numbers are only
// rounded.
#if defined(__AVX512BF16__)
constexpr int bfloat16_steps = 2;
#else
constexpr int bfloat16_steps = 1;
#endif

// The number of 32-bit steps of a depth.
inline int64_t steps_of(int64_t depth, Precision precision) {
  return precision == Precision::float32 ? depth : (depth + bfloat16_steps - 1) / bfloat16_steps;
}

// Rounds a packed panel in place, and merges pairs of its steps. There is room for one step after an odd depth.
inline void round_panel(float* panel, int64_t depth, int stride) {
  if (bfloat16_steps == 2 && depth % 2 == 1) std::fill_n(panel + depth * stride, stride, 0.0f);
  for (int64_t step = 0; step < steps_of(depth, Precision::bfloat16); step++) {
    const float* even = panel + bfloat16_steps * step * stride;
    float* to = panel + step * stride;
    for_lanes(stride, [&](int64_t i, auto width) {
      Words folded = to_bfloat16(load_some(even + i, width));
      if (bfloat16_steps == 2) folded |= to_bfloat16(load_some(even + stride + i, width)) << 16;
      else folded <<= 16;
      store_some(to + i, reinterpret_cast<Floats>(folded), width);
    });
  }
}

// A size cut into `count` pieces of about equal length, so that none is much smaller than the others.
struct Pieces {
  int64_t size, count;
  int64_t begin(int64_t i) const { return size * i / count; }
  int64_t length(int64_t i) const { return begin(i + 1) - begin(i); }
};

// A size cut into pieces of the same length but for the last.
struct Strips {
  int64_t size, most;
  int64_t begin(int64_t i) const { return i * most; }
  int64_t length(int64_t i) const { return std::min(most, size - i * most); }
};

// Packs panels first … end − 1 of a matrix whose rows are cut into `cuts`, each `room` numbers after the one before:
// columns from … from + depth − 1.
template <int stride, typename Cuts>
void pack(const Matrix& matrix, const Cuts& cuts, int64_t first, int64_t end, int64_t from, int64_t depth,
          Precision precision, float* to, int64_t room) {
  // Neighbouring panels read the same lines of contiguous columns: all of them take a few columns at a time.
  const int64_t at_once = matrix.column == 1 ? depth : 16;
  for (int64_t k = 0; k < depth; k += at_once) {
    const int64_t columns = std::min(at_once, depth - k);
    for (int64_t panel = first; panel < end; panel++) {
      const Matrix part{matrix.at(cuts.begin(panel), from + k), matrix.row, matrix.column};
      float* step = to + (panel - first) * room + k * stride;
      const int count = static_cast<int>(cuts.length(panel));
      if (matrix.column == 1) pack_across(part, count, columns, step, stride);
      else pack_along(part, count, columns, step, stride);
    }
  }
  if (precision == Precision::bfloat16)
    for (int64_t panel = first; panel < end; panel++) round_panel(to + (panel - first) * room, depth, stride);
}

}  // namespace kasosei
