// The innermost loop of every matrix product: one tile of sums in registers.
#pragma once

#include <array>

#include "panel.h"

namespace kasosei {

// sum[i][v] + left · right: one step of depth in float32, or two in bfloat16 with a float32 sum.
template <Precision precision>
inline Floats multiply_add(Floats sum, Floats left, Floats right) {
#if defined(__AVX512BF16__)
  if constexpr (precision == Precision::bfloat16)
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right));
#endif
  return sum + left * right;
}

// c[rows][vectors · lanes] = or += the product of two panels over `steps`. The last vector of a row has `last` lanes.
template <Precision precision, int rows, int vectors>
void multiply_tile(int64_t steps, const float* a, const float* b, float* c, int64_t stride, bool add, int last) {
  Floats sum[rows][vectors] = {};
  for (int64_t k = 0; k < steps; k++) {
    Floats right[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) right[v] = load(b + k * tile_columns + v * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      const Floats left = all(a[k * left_stride + i]);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; v++) sum[i][v] = multiply_add<precision>(sum[i][v], left, right[v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
      float* out = c + i * stride + v * lanes;
      if (v + 1 < vectors || last == lanes) store(out, add ? load(out) + sum[i][v] : sum[i][v]);
      else store_some(out, add ? load_some(out, last) + sum[i][v] : sum[i][v], last);
    }
  }
}

using Tile = void (*)(int64_t, const float*, const float*, float*, int64_t, bool, int);

// One function for each height and width of a tile, so that tiles at the edges of a matrix cost only their size.
template <Precision precision, int vectors, int... row>
constexpr std::array<Tile, tile_rows> tiles_of(std::integer_sequence<int, row...>) {
  return {multiply_tile<precision, row + 1, vectors>...};
}
// Static: with external linkage, addons for different processors in one process would share the first addon's tiles.
template <Precision precision>
static constexpr std::array<std::array<Tile, tile_rows>, 2> tiles = {
    tiles_of<precision, 1>(std::make_integer_sequence<int, tile_rows>{}),
    tiles_of<precision, tile_vectors>(std::make_integer_sequence<int, tile_rows>{})};

// The product of a panel of `rows` and one of `columns`, at most tile_rows x tile_columns.
inline void multiply_panels(Precision precision, int rows, int columns, int64_t steps, const float* a, const float* b,
                            float* c, int64_t stride, bool add) {
  const int wide = columns > lanes;
  const int last = columns - wide * lanes;
  const Tile tile = precision == Precision::float32 ? tiles<Precision::float32>[wide][rows - 1]
                                                    : tiles<Precision::bfloat16>[wide][rows - 1];
  tile(steps, a, b, c, stride, add, last);
}

}  // namespace kasosei
