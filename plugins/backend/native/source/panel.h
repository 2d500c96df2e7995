// Packed panels: the factors of a matrix product, copied into the order in which the innermost loop reads them.
//
// A panel of the left factor is `tile_rows` of its rows, column after column: [depth][tile_rows]. A panel of the right
// factor is `tile_columns` of its columns: [depth][tile_columns]. So each step of depth reads two short stretches of
// contiguous numbers, whether or not the matrices were transposed.
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

// A matrix in memory. One of the strides is 1: `column` if it is stored row by row, `row` if transposed.
struct Matrix {
  const float* data;
  int64_t row, column;
  const float* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
  Matrix transposed() const { return {data, column, row}; }
};

// Copies `count` rows of `depth` numbers to to[k * stride + i], from rows that are contiguous (stride 1 along k).
inline void pack_across(const Matrix& from, int count, int64_t depth, float* to, int stride) {
  int64_t k = 0;
  for (; k + lanes <= depth; k += lanes) {
    // A vector may spill into the next step, which is written afterwards.
    for (int first = 0; first < count; first += lanes) {
      Floats square[lanes];
      for (int i = 0; i < lanes; i++) square[i] = first + i < count ? load(from.at(first + i, k)) : Floats{};
      transpose(square);
      const int width = std::min(lanes, stride - first);
      for (int i = 0; i < lanes; i++) {
        float* step = to + (k + i) * stride + first;
        if (width == lanes) store(step, square[i]);
        else store_some(step, square[i], width);
      }
    }
  }
  for (; k < depth; k++) {
    for (int i = 0; i < count; i++) to[k * stride + i] = *from.at(i, k);
    for (int i = count; i < stride; i++) to[k * stride + i] = 0;
  }
}

// The same from columns that are contiguous (stride 1 along i).
inline void pack_along(const Matrix& from, int count, int64_t depth, float* to, int stride) {
  for (int64_t k = 0; k < depth; k++) {
    const float* line = from.at(0, k);
    float* step = to + k * stride;
    for_lanes(count, [&](int64_t i, auto width) { store_some(step + i, load_some(line + i, width), width); });
    for (int i = count; i < stride; i++) step[i] = 0;
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

// Packs rows first … first + count − 1 of a left factor, columns from … from + depth − 1.
inline void pack_rows(const Matrix& a, int64_t first, int count, int64_t from, int64_t depth, Precision precision,
                      float* to) {
  const Matrix part{a.at(first, from), a.row, a.column};
  if (a.column == 1) pack_across(part, count, depth, to, tile_rows);
  else pack_along(part, count, depth, to, tile_rows);
  if (precision == Precision::bfloat16) round_panel(to, depth, tile_rows);
}

// Packs columns first … first + count − 1 of a right factor, rows from … from + depth − 1.
inline void pack_columns(const Matrix& b, int64_t first, int count, int64_t from, int64_t depth, Precision precision,
                         float* to) {
  const Matrix part = Matrix{b.at(from, first), b.row, b.column}.transposed();
  if (part.column == 1) pack_across(part, count, depth, to, tile_columns);
  else pack_along(part, count, depth, to, tile_columns);
  if (precision == Precision::bfloat16) round_panel(to, depth, tile_columns);
}

}  // namespace kasosei
