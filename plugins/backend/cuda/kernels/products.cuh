// Matrix products in float32, tf32 and bfloat16, all with float32 sums: blocks have tiles of C, and sum over k in
// ascending order. Any size; no element outside is read or written.
#pragma once

#include "instructions.cuh"

#include "gelu.h"
#include "product-arguments.h"

namespace kasosei::products {

// Read and written in one access.
struct alignas(16) FourWords {
  uint32_t word[4];
};
struct alignas(8) TwoWords {
  uint32_t word[2];
};

// Where a block's tile of C is.
struct TilePlace {
  int64_t matrix, part, row, column;
};

// Blocks go through bands of 8 tiles' height, column by column: those that run at the same time share rows and columns
// in the L2 cache.
template <int rows, int columns>
KASOSEI_INLINE TilePlace tile_place(const TiledProduct& a) {
  const uint32_t down = static_cast<uint32_t>((a.m + rows - 1) / rows);
  const uint32_t across = static_cast<uint32_t>((a.n + columns - 1) / columns);
  const uint32_t tiles = down * across, tile = blockIdx.x % tiles, rest = blockIdx.x / tiles;
  const uint32_t first = tile / (8 * across) * 8, left = down - first, height = left < 8 ? left : 8;
  const uint32_t within = tile % (8 * across), parts = static_cast<uint32_t>(a.parts);
  return {rest / parts, rest % parts, static_cast<int64_t>(first + within % height) * rows,
          static_cast<int64_t>(within / height) * columns};
}

struct Finished {
  float value, derivative;
};

// What follows a product. With `derivative`, the value becomes its GELU.
KASOSEI_INLINE Finished finish(float value, const float* bias, int64_t column, bool derivative) {
  if (bias) value += bias[column];
  if (!derivative) return {value, 0};
  const Gelu both = gelu(value);
  return {both.value, both.derivative};
}

KASOSEI_INLINE void store_four(float* to, const float (&values)[4]) {
  FourWords words;
#pragma unroll
  for (int i = 0; i < 4; i++) words.word[i] = bits_of(values[i]);
  *reinterpret_cast<FourWords*>(to) = words;
}
KASOSEI_INLINE void load_four(const float* from, float (&values)[4]) {
  const FourWords words = *reinterpret_cast<const FourWords*>(from);
#pragma unroll
  for (int i = 0; i < 4; i++) values[i] = float_of(words.word[i]);
}

KASOSEI_INLINE void store_rounded(uint16_t* to, const float (&values)[4]) {
  TwoWords words;
  words.word[0] = pack_bf16(values[0], values[1]);
  words.word[1] = pack_bf16(values[2], values[3]);
  *reinterpret_cast<TwoWords*>(to) = words;
}

// Finishes and writes 4 neighbours of a row, those of them that are inside. `column` is a multiple of 4.
KASOSEI_INLINE void write_four(const TiledProduct& a, const TilePlace& place, int64_t row, int64_t column,
                               float (&values)[4]) {
  if (row >= a.m || column >= a.n) return;
  float* c = a.c + place.matrix * a.step + place.part * a.part + row * a.row + column;
  const int64_t place_in_result = (place.matrix * a.m + row) * a.n + column;
  float* derivative = a.derivative ? a.derivative + place_in_result : nullptr;
  const float* factor = a.factor ? a.factor + place_in_result : nullptr;
  const bool whole = column + 4 <= a.n;
  float derivatives[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (!whole && column + i >= a.n) continue;
    const Finished one = finish(a.add ? c[i] + values[i] : values[i], a.bias, column + i, derivative);
    values[i] = factor ? one.value * factor[i] : one.value;
    derivatives[i] = one.derivative;
  }
  if (a.rounded) store_rounded(a.rounded + place_in_result, values);
  if (whole && a.vectors) {
    store_four(c, values);
    if (derivative) store_four(derivative, derivatives);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (column + i >= a.n) continue;
    c[i] = values[i];
    if (derivative) derivative[i] = derivatives[i];
  }
}

// A tile leaves by slabs of 64 rows, in shared memory, so that it is written by whole rows. Eights of a row are permuted,
// so that 4 rows are in different banks.
constexpr int slab_rows = 64;
template <int tile>
KASOSEI_INLINE int slab_place(int row, int column) {
  return row * tile + (column ^ (row % 4 * 8));
}

template <int tile, int threads>
KASOSEI_INLINE void write_slab(const TiledProduct& a, const TilePlace& place, int first_row, const float* slab) {
#pragma unroll 1
  for (int i = threadIdx.x; i < slab_rows * tile / 4; i += threads) {
    const int row = i / (tile / 4), column = i % (tile / 4) * 4;
    float values[4];
    load_four(slab + slab_place<tile>(row, column), values);
    write_four(a, place, place.row + first_row + row, place.column + column, values);
  }
}

// ---- float32 ----

// A tile's part of k in shared memory: the numbers of all rows for each k. With 4 more numbers a line, 8 neighbours of
// a row and 4 rows are in 32 different banks.
template <int rows>
struct Lines {
  static constexpr int depth = 16, line = rows + 4, numbers = depth * line;
};

// Copies op(X)[rows from `first`, one part of k after another] of a factor, by threads whose warps read what is adjacent
// in memory. Along k: 8 neighbours in each of 4 rows, by warps for both halves of k. Else: whole lines of rows.
template <int rows, int threads>
struct LineCopies {
  static constexpr int depth = Lines<rows>::depth, each = rows * depth / threads;
  static constexpr int row_step = threads / 64 * 4, k_step = threads / rows;
  // Where the next part begins; also beyond the end, where nothing is read. Between a thread's copies, and between parts.
  const float* from;
  int64_t step, part;
  // This thread's first k of a part, how many of its rows there are, and its first place in the lines.
  int k, rows_left, place;
  bool along_k;

  KASOSEI_INLINE LineCopies(const ProductFactor& x, int64_t matrix, int64_t first, int64_t end, int64_t first_k) {
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    along_k = x.depth == 1;
    const int row = along_k ? warp / 2 * 4 + lane / 8 : thread % rows;
    k = along_k ? warp % 2 * 8 + lane % 8 : thread / rows;
    rows_left = static_cast<int>(end - first < rows ? end - first : rows) - row;
    place = k * Lines<rows>::line + row;
    from = static_cast<const float*>(x.data) + matrix * x.step + (first + row) * x.row + (first_k + k) * x.depth;
    step = along_k ? row_step * x.row : k_step * x.depth;
    part = depth * x.depth;
  }

  // Copies the next part, of which there are `part_k` numbers, and goes on.
  KASOSEI_INLINE void copy(int64_t part_k, float* lines) {
    const int k_left = static_cast<int>(part_k < depth ? part_k : depth) - k;
    int count = 0;
    if (rows_left > 0 && k_left > 0) count = along_k ? (rows_left - 1) / row_step + 1 : (k_left - 1) / k_step + 1;
    const int target_step = along_k ? row_step : k_step * Lines<rows>::line;
    const float* source = from;
#pragma unroll
    for (int i = 0; i < each; i++) {
      copy_async_4(lines + place + i * target_step, source, i < count);
      source += step;
    }
    from += part;
  }
};

// Shared memory: two parts of A and two of B; then slabs of C.
template <int tile>
constexpr int float_shared = 4 * Lines<tile>::numbers;

// Threads have 8 rows and 8 or 4 columns, in fours: `rows` / 2 apart, and `columns` / 2.
template <int tile, int threads>
KASOSEI_INLINE void float_product(const TiledProduct& a, float* shared) {
  constexpr int wide = tile * tile / threads / 8, fours = wide / 4, depth = Lines<tile>::depth;
  constexpr int numbers = Lines<tile>::numbers;
  const TilePlace place = tile_place<tile, tile>(a);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  // A warp has 4 by 8 threads: it reads no more than 8 different fours of a line at once.
  const int row = (warp / 2 * 4 + lane / 8) * 4, column = (warp % 2 * 8 + lane % 8) * 4;
  const int64_t start = place.part * a.part_k, end = start + a.part_k < a.k ? start + a.part_k : a.k;
  LineCopies<tile, threads> copies_a(a.a, place.matrix, place.row, a.m, start);
  LineCopies<tile, threads> copies_b(a.b, place.matrix, place.column, a.n, start);

  float sum[8][wide];
#pragma unroll
  for (int i = 0; i < 8; i++)
#pragma unroll
    for (int j = 0; j < wide; j++) sum[i][j] = 0;

  if (start < end) {
    copies_a.copy(end - start, shared);
    copies_b.copy(end - start, shared + 2 * numbers);
    copies_commit();
  }
  int current = 0;
  for (int64_t k = start; k < end; k += depth, current ^= 1) {
    copies_wait<0>();
    // All copies are there, and nobody reads the other lines any more.
    block_barrier();
    const float* lines_a = shared + current * numbers;
    const float* lines_b = shared + (2 + current) * numbers;
    if (k + depth < end) {
      copies_a.copy(end - k - depth, shared + (current ^ 1) * numbers);
      copies_b.copy(end - k - depth, shared + (2 + (current ^ 1)) * numbers);
      copies_commit();
    }
// More at a time would take more registers than two blocks a multiprocessor can have.
#pragma unroll 2
    for (int l = 0; l < depth; l++) {
      float left[8], right[wide];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float four[4];
        load_four(lines_a + l * Lines<tile>::line + row + i * (tile / 2), four);
#pragma unroll
        for (int j = 0; j < 4; j++) left[i * 4 + j] = four[j];
      }
#pragma unroll
      for (int i = 0; i < fours; i++) {
        float four[4];
        load_four(lines_b + l * Lines<tile>::line + column + i * (tile / 2), four);
#pragma unroll
        for (int j = 0; j < 4; j++) right[i * 4 + j] = four[j];
      }
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < wide; j++) sum[i][j] += left[i] * right[j];
    }
  }
#pragma unroll
  for (int first = 0; first < tile; first += slab_rows) {
    block_barrier();
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int at = row + i / 4 * (tile / 2) + i % 4 - first;
      // Known when it is compiled: rows of a half are all in a slab, or none.
      if (tile > slab_rows && i / 4 * slab_rows != first) continue;
#pragma unroll
      for (int j = 0; j < fours; j++) {
        float four[4];
#pragma unroll
        for (int l = 0; l < 4; l++) four[l] = sum[i][j * 4 + l];
        store_four(shared + slab_place<tile>(at, column + j * (tile / 2)), four);
      }
    }
    block_barrier();
    write_slab<tile, threads>(a, place, first, shared);
  }
}

// ---- tensor cores ----

// Words of 32 bits: one tf32 number, or two bfloat16 numbers that are neighbours along k. In words, the fragments of
// both kinds of mma are the same.
struct TensorFloat32 {
  static constexpr int numbers = 1;
  KASOSEI_INLINE static void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_tf32(c, a, b);
  }
};
struct Bfloat16 {
  static constexpr int numbers = 2;
  KASOSEI_INLINE static void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bf16(c, a, b);
  }
};

template <class Format, int down, int across>
KASOSEI_INLINE void multiply_fragments(float (&sum)[down][across][4], const uint32_t (&left)[down][4],
                                       const uint32_t (&right)[across / 2][4]) {
#pragma unroll
  for (int i = 0; i < down; i++)
#pragma unroll
    for (int j = 0; j < across; j++) {
      const uint32_t two[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
      Format::multiply(sum[i][j], left[i], two);
    }
}

// Writes a tile of sums, of which this warp has [16 · down, 8 · across] from (row, column) on. All of a warp's rows are
// in one slab.
template <int tile, int threads, int down, int across>
KASOSEI_INLINE void write_sums(const TiledProduct& a, const TilePlace& place, const float (&sum)[down][across][4],
                               int row, int column, float* slab) {
  static_assert(slab_rows % (16 * down) == 0);
  const int lane = threadIdx.x % 32;
#pragma unroll 1
  for (int first = 0; first < tile; first += slab_rows) {
    block_barrier();
    if (row >= first && row < first + slab_rows) {
#pragma unroll
      for (int i = 0; i < down; i++)
#pragma unroll
        for (int j = 0; j < across; j++)
#pragma unroll
          for (int half = 0; half < 2; half++)
            *reinterpret_cast<TwoWords*>(slab + slab_place<tile>(row - first + i * 16 + half * 8 + lane / 4,
                                                                 column + j * 8 + lane % 4 * 2)) = {
                {bits_of(sum[i][j][half * 2]), bits_of(sum[i][j][half * 2 + 1])}};
    }
    block_barrier();
    write_slab<tile, threads>(a, place, first, slab);
  }
}

// A tile's part of k in shared memory: rows of 16 words, whose fours are permuted so that the same four of 8 rows, and
// two whole rows, are in 32 different banks.
constexpr int row_words = 16;
KASOSEI_INLINE int word_place(int row, int word) {
  return row * row_words + (((word >> 2) ^ ((row >> 1) & 3)) << 2) + (word & 3);
}

// Brings a tile's part of k to shared memory through registers, in which it is while the previous part is used.
template <class Format, int rows, int threads>
struct RowCopies {
  static constexpr int words = rows * row_words / threads, depth = row_words * Format::numbers;
  // Sixteen bytes of float32 numbers, or of bfloat16 numbers.
  static constexpr int float_vectors = words * Format::numbers / 4, bfloat_vectors = words / 4;
  uint32_t held[words * Format::numbers];

  // With vectors: neighbouring threads have neighbours along k.
  template <int in_row>
  KASOSEI_INLINE static int vector_row(int i) {
    return threadIdx.x / in_row + i * (threads / in_row);
  }
  template <int in_row>
  KASOSEI_INLINE static int vector_in_row() {
    return threadIdx.x % in_row;
  }
  // Without: warps have 8 rows and 4 words.
  static constexpr int row_step = threads / 128 * 8;
  KASOSEI_INLINE static int word_row() { return threadIdx.x / 128 * 8 + threadIdx.x % 8; }
  KASOSEI_INLINE static int word_in_row() {
    return threadIdx.x / 32 % 4 * 4 + threadIdx.x % 32 / 8;
  }

  KASOSEI_INLINE void load(const ProductFactor& x, int64_t matrix, int64_t first, int64_t end, int64_t k,
                           int64_t end_k) {
    const int64_t start = matrix * x.step + first * x.row + k * x.depth;
    const int64_t rows_left = end - first, k_left = end_k - k;
    if (x.vectors && Format::numbers == 2 && x.is_bfloat16) {
      const uint16_t* from = static_cast<const uint16_t*>(x.data) + start;
      const int in_row = vector_in_row<4>();
#pragma unroll
      for (int i = 0; i < bfloat_vectors; i++) {
        const int row = vector_row<4>(i);
        FourWords four = {};
        if (row < rows_left && in_row * 8 < k_left)
          four = *reinterpret_cast<const FourWords*>(from + row * x.row + in_row * 8);
#pragma unroll
        for (int j = 0; j < 4; j++) held[i * 4 + j] = four.word[j];
      }
      // All of the array in each case: otherwise clang keeps it in memory.
#pragma unroll
      for (int i = words; i < words * Format::numbers; i++) held[i] = 0;
    } else if (x.vectors) {
      const float* from = static_cast<const float*>(x.data) + start;
      const int in_row = vector_in_row<depth / 4>();
#pragma unroll
      for (int i = 0; i < float_vectors; i++) {
        const int row = vector_row<depth / 4>(i);
        FourWords four = {};
        if (row < rows_left && in_row * 4 < k_left)
          four = *reinterpret_cast<const FourWords*>(from + row * x.row + in_row * 4);
#pragma unroll
        for (int j = 0; j < 4; j++) held[i * 4 + j] = four.word[j];
      }
    } else {
      const int row = word_row(), number = word_in_row() * Format::numbers;
      const int64_t offset = start + row * x.row + number * x.depth;
#pragma unroll
      for (int i = 0; i < words * Format::numbers; i++) {
        const int next_row = i / Format::numbers * row_step, next = i % Format::numbers;
        const int64_t at = offset + next_row * x.row + next * x.depth;
        uint32_t bits = 0;
        if (row + next_row < rows_left && number + next < k_left) {
          if (Format::numbers == 2 && x.is_bfloat16) bits = static_cast<const uint16_t*>(x.data)[at];
          else bits = static_cast<const uint32_t*>(x.data)[at];
        }
        held[i] = bits;
      }
    }
  }

  KASOSEI_INLINE void store(const ProductFactor& x, uint32_t* tile) const {
    if (x.vectors && Format::numbers == 2 && x.is_bfloat16) {
#pragma unroll
      for (int i = 0; i < bfloat_vectors; i++) {
        const FourWords four = {{held[i * 4], held[i * 4 + 1], held[i * 4 + 2], held[i * 4 + 3]}};
        *reinterpret_cast<FourWords*>(tile + word_place(vector_row<4>(i), vector_in_row<4>() * 4)) = four;
      }
    } else if (x.vectors) {
#pragma unroll
      for (int i = 0; i < float_vectors; i++) {
        uint32_t* to = tile + word_place(vector_row<depth / 4>(i), vector_in_row<depth / 4>() * (4 / Format::numbers));
        const uint32_t* four = held + i * 4;
        if constexpr (Format::numbers == 2) {
          *reinterpret_cast<TwoWords*>(to) = {{pack_bf16(float_of(four[0]), float_of(four[1])),
                                               pack_bf16(float_of(four[2]), float_of(four[3]))}};
        } else {
          *reinterpret_cast<FourWords*>(to) = {{to_tf32(float_of(four[0])), to_tf32(float_of(four[1])),
                                                to_tf32(float_of(four[2])), to_tf32(float_of(four[3]))}};
        }
      }
    } else {
      const int row = word_row(), word = word_in_row();
#pragma unroll
      for (int i = 0; i < words; i++) {
        uint32_t bits;
        if constexpr (Format::numbers == 1) {
          bits = to_tf32(float_of(held[i]));
        } else {
          const uint32_t low = held[i * 2], high = held[i * 2 + 1];
          bits = x.is_bfloat16 ? low | high << 16 : pack_bf16(float_of(low), float_of(high));
        }
        tile[word_place(row + i * row_step, word)] = bits;
      }
    }
  }
};

// Shared memory, as above.
template <int tile>
constexpr int tensor_shared = 4 * tile * row_words;

// Warps have `warp_rows` by 32 numbers of the tile.
template <class Format, int tile, int warp_rows, int threads>
KASOSEI_INLINE void tensor_product(const TiledProduct& a, uint32_t* shared) {
  constexpr int depth = row_words * Format::numbers, down = warp_rows / 16, across = 32 / 8;
  static_assert(threads / 32 == (tile / warp_rows) * (tile / 32));
  constexpr int words = tile * row_words;
  const TilePlace place = tile_place<tile, tile>(a);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first_row = warp / (tile / 32) * warp_rows, first_column = warp % (tile / 32) * 32;

  float sum[down][across][4];
#pragma unroll
  for (int i = 0; i < down; i++)
#pragma unroll
    for (int j = 0; j < across; j++)
#pragma unroll
      for (int l = 0; l < 4; l++) sum[i][j][l] = 0;

  const int64_t start = place.part * a.part_k, end = start + a.part_k < a.k ? start + a.part_k : a.k;
  RowCopies<Format, tile, threads> copies_a, copies_b;
  if (start < end) {
    copies_a.load(a.a, place.matrix, place.row, a.m, start, end);
    copies_b.load(a.b, place.matrix, place.column, a.n, start, end);
    copies_a.store(a.a, shared);
    copies_b.store(a.b, shared + 2 * words);
  }
  int current = 0;
  for (int64_t k = start; k < end; k += depth, current ^= 1) {
    // This part is there, and nobody reads the other one any more.
    block_barrier();
    const uint32_t* rows_a = shared + current * words;
    const uint32_t* rows_b = shared + (2 + current) * words;
    const bool more = k + depth < end;
    if (more) {
      copies_a.load(a.a, place.matrix, place.row, a.m, k + depth, end);
      copies_b.load(a.b, place.matrix, place.column, a.n, k + depth, end);
    }
#pragma unroll
    for (int l = 0; l < row_words; l += 8) {
      uint32_t left[down][4], right[across / 2][4];
#pragma unroll
      for (int i = 0; i < down; i++)
        load_matrices(left[i], rows_a + word_place(first_row + i * 16 + lane % 16, l + lane / 16 * 4));
#pragma unroll
      for (int j = 0; j < across / 2; j++)
        load_matrices(right[j], rows_b + word_place(first_column + j * 16 + lane % 8 + lane / 16 * 8,
                                                    l + lane / 8 % 2 * 4));
      multiply_fragments<Format>(sum, left, right);
    }
    if (more) {
      copies_a.store(a.a, shared + (current ^ 1) * words);
      copies_b.store(a.b, shared + (2 + (current ^ 1)) * words);
    }
  }
  write_sums<tile, threads>(a, place, sum, first_row, first_column, reinterpret_cast<float*>(shared));
}

// ---- tensor cores, from bfloat16 numbers in memory ----

// 16 bytes at a time go to shared memory behind the threads' back, several parts of k ahead. What is in memory row after
// row are [k] numbers, as above, or lines of [m] or [n] numbers for each k, whose eights are permuted in shared memory so
// that the same eight of 8 lines is in 32 different banks. Rows begin at multiples of 16 bytes, and the eight in which k
// ends, with zeros.
template <int tile, int stages>
struct Rounded {
  static constexpr int threads = 128, depth = 32, words = tile * depth / 2;
  // Parts of A and of B; then slabs of C. No more than a block can have without asking for it.
  static constexpr int shared = stages * 2 * words;
  static_assert(slab_rows * tile <= shared && shared * 4 <= 48 * 1024);

  KASOSEI_INLINE static int eight_place(int line, int eight) { return line * (tile / 2) + ((eight ^ (line & 7)) << 2); }

  template <bool along_k>
  struct Copies {
    static constexpr int in_row = along_k ? 4 : tile / 8, step = threads / in_row, each = words / 4 / threads;
    // Where the next part begins; also beyond the end, where nothing is read.
    const uint16_t* from;
    int64_t stride;
    int left;

    KASOSEI_INLINE Copies(const ProductFactor& x, int64_t matrix, int64_t first, int64_t end, int64_t first_k) {
      const int row = threadIdx.x / in_row, number = threadIdx.x % in_row * 8;
      stride = along_k ? x.row : x.depth;
      from = static_cast<const uint16_t*>(x.data) + matrix * x.step + row * stride + number;
      from += along_k ? first * stride + first_k : first + first_k * stride;
      left = static_cast<int>(end - first < tile ? end - first : tile) - (along_k ? row : number);
    }

    // Copies the next part, of which there are `part_k` numbers, and goes on.
    KASOSEI_INLINE void copy(int64_t part_k, uint32_t* to) {
      const int row = threadIdx.x / in_row, eight = threadIdx.x % in_row;
      const int left_k = static_cast<int>(part_k < depth ? part_k : depth) - (along_k ? eight * 8 : row);
      const uint16_t* source = from;
#pragma unroll
      for (int i = 0; i < each; i++) {
        const bool inside = along_k ? i * step < left && left_k > 0 : left > 0 && i * step < left_k;
        const int place = along_k ? word_place(row + i * step, eight * 4) : eight_place(row + i * step, eight);
        copy_async_16(to + place, source, inside);
        source += step * stride;
      }
      from += along_k ? depth : depth * stride;
    }
  };

  // Warps have a quarter of the tile.
  template <bool a_along_k, bool b_along_k>
  KASOSEI_INLINE static void product(const TiledProduct& a, uint32_t* memory) {
    constexpr int half = tile / 2, down = half / 16, across = half / 8, ahead = stages - 1;
    const TilePlace place = tile_place<tile, tile>(a);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int first_row = warp / 2 * half, first_column = warp % 2 * half;
    const int64_t start = place.part * a.part_k, end = start + a.part_k < a.k ? start + a.part_k : a.k;
    Copies<a_along_k> copies_a(a.a, place.matrix, place.row, a.m, start);
    Copies<b_along_k> copies_b(a.b, place.matrix, place.column, a.n, start);

    float sum[down][across][4];
#pragma unroll
    for (int i = 0; i < down; i++)
#pragma unroll
      for (int j = 0; j < across; j++)
#pragma unroll
        for (int l = 0; l < 4; l++) sum[i][j][l] = 0;

#pragma unroll
    for (int i = 0; i < ahead; i++) {
      if (start + i * depth < end) {
        copies_a.copy(end - start - i * depth, memory + i * 2 * words);
        copies_b.copy(end - start - i * depth, memory + (i * 2 + 1) * words);
      }
      copies_commit();
    }
    int stage = 0, free_stage = ahead;
    for (int64_t k = start; k < end; k += depth) {
      copies_wait<ahead - 1>();
      // This part is there, and nobody reads the one before it any more.
      block_barrier();
      if (k + ahead * depth < end) {
        copies_a.copy(end - k - ahead * depth, memory + free_stage * 2 * words);
        copies_b.copy(end - k - ahead * depth, memory + (free_stage * 2 + 1) * words);
      }
      copies_commit();
      const uint32_t* words_a = memory + stage * 2 * words;
      const uint32_t* words_b = words_a + words;
#pragma unroll
      for (int l = 0; l < row_words; l += 8) {
        uint32_t left[down][4], right[across / 2][4];
#pragma unroll
        for (int i = 0; i < down; i++) {
          const int row = first_row + i * 16;
          if constexpr (a_along_k)
            load_matrices(left[i], words_a + word_place(row + lane % 16, l + lane / 16 * 4));
          else
            load_matrices_transposed(
                left[i], words_a + eight_place(l * 2 + lane / 16 * 8 + lane % 8, row / 8 + lane / 8 % 2));
        }
#pragma unroll
        for (int j = 0; j < across / 2; j++) {
          const int column = first_column + j * 16;
          if constexpr (b_along_k)
            load_matrices(right[j], words_b + word_place(column + lane % 8 + lane / 16 * 8, l + lane / 8 % 2 * 4));
          else
            load_matrices_transposed(
                right[j], words_b + eight_place(l * 2 + lane / 8 % 2 * 8 + lane % 8, column / 8 + lane / 16));
        }
        multiply_fragments<Bfloat16>(sum, left, right);
      }
      stage = stage == ahead ? 0 : stage + 1;
      free_stage = free_stage == ahead ? 0 : free_stage + 1;
    }
    write_sums<tile, threads>(a, place, sum, first_row, first_column, reinterpret_cast<float*>(memory));
  }

  KASOSEI_INLINE static void product(const TiledProduct& a, uint32_t* memory) {
    if (a.a.depth == 1 && a.b.depth == 1) product<true, true>(a, memory);
    else if (a.a.depth == 1) product<true, false>(a, memory);
    else if (a.b.depth == 1) product<false, true>(a, memory);
    else product<false, false>(a, memory);
  }
};
using LargeRounded = Rounded<128, 3>;
using SmallRounded = Rounded<64, 5>;

}  // namespace kasosei::products

namespace kasosei {

extern "C" __global__ void __launch_bounds__(256, 2) product_float32_128(const TiledProduct a) {
  alignas(16) __shared__ float shared[products::float_shared<128>];
  products::float_product<128, 256>(a, shared);
}
extern "C" __global__ void __launch_bounds__(128) product_float32_64(const TiledProduct a) {
  alignas(16) __shared__ float shared[products::float_shared<64>];
  products::float_product<64, 128>(a, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) product_tf32_128(const TiledProduct a) {
  alignas(16) __shared__ uint32_t shared[products::tensor_shared<128>];
  products::tensor_product<products::TensorFloat32, 128, 64, 256>(a, shared);
}
extern "C" __global__ void __launch_bounds__(128) product_tf32_64(const TiledProduct a) {
  alignas(16) __shared__ uint32_t shared[products::tensor_shared<64>];
  products::tensor_product<products::TensorFloat32, 64, 32, 128>(a, shared);
}
extern "C" __global__ void __launch_bounds__(128) product_bfloat16_64(const TiledProduct a) {
  alignas(16) __shared__ uint32_t shared[products::tensor_shared<64>];
  products::tensor_product<products::Bfloat16, 64, 32, 128>(a, shared);
}

extern "C" __global__ void __launch_bounds__(128) product_rounded_128(const TiledProduct a) {
  alignas(16) __shared__ uint32_t shared[products::LargeRounded::shared];
  products::LargeRounded::product(a, shared);
}
extern "C" __global__ void __launch_bounds__(128) product_rounded_64(const TiledProduct a) {
  alignas(16) __shared__ uint32_t shared[products::SmallRounded::shared];
  products::SmallRounded::product(a, shared);
}

// Threads have 4 neighbours of the matrix without gaps.
extern "C" __global__ void __launch_bounds__(256) finish_product(const FinishProduct a) {
  using namespace products;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x) * 4;
  if (first >= a.m * a.n) return;
  int64_t row = first / a.n, column = first % a.n;
  for (int64_t matrix = blockIdx.y; matrix < a.batch; matrix += gridDim.y) {
    const float* x = a.x + matrix * a.x_step;
    float* c = a.c + matrix * a.step;
    const int64_t place_in_result = matrix * a.m * a.n + first;
    float* derivative = a.derivative ? a.derivative + place_in_result : nullptr;
    const float* factor = a.factor ? a.factor + place_in_result : nullptr;
    if (a.vectors) {
      float sum[4], derivatives[4];
      load_four(x + row * a.x_row + column, sum);
      for (int64_t part = 1; part < a.parts; part++) {
        float more[4];
        load_four(x + part * a.x_part + row * a.x_row + column, more);
#pragma unroll
        for (int i = 0; i < 4; i++) sum[i] += more[i];
      }
      float* to = c + row * a.row + column;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const Finished one = finish(a.add ? to[i] + sum[i] : sum[i], a.bias, column + i, derivative);
        sum[i] = factor ? one.value * factor[i] : one.value;
        derivatives[i] = one.derivative;
      }
      store_four(to, sum);
      if (a.rounded) store_rounded(a.rounded + first, sum);
      if (derivative) store_four(derivative, derivatives);
      continue;
    }
    int64_t at_row = row, at_column = column;
    float values[4];
    for (int i = 0; i < 4 && first + i < a.m * a.n; i++) {
      float sum = x[at_row * a.x_row + at_column];
      for (int64_t part = 1; part < a.parts; part++) sum += x[part * a.x_part + at_row * a.x_row + at_column];
      float* to = c + at_row * a.row + at_column;
      const Finished one = finish(a.add ? *to + sum : sum, a.bias, at_column, derivative);
      *to = values[i] = factor ? one.value * factor[i] : one.value;
      if (derivative) derivative[i] = one.derivative;
      if (++at_column == a.n) {
        at_column = 0;
        at_row++;
      }
    }
    // Then n is a multiple of 8, and no four ends outside.
    if (a.rounded) store_rounded(a.rounded + first, values);
  }
}

// Threads have 8 neighbours of a row.
extern "C" __global__ void __launch_bounds__(256) round_matrix(const RoundMatrix a) {
  using namespace products;
  const int64_t eights = a.y_row / 8, index = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (index >= a.rows * eights) return;
  const int64_t row = index / eights, column = index % eights * 8;
  for (int64_t matrix = blockIdx.y; matrix < a.batch; matrix += gridDim.y) {
    const float* x = a.x + matrix * a.x_step + row * a.x_row + column;
    float values[8];
    if (a.vectors && column + 8 <= a.columns) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float four[4];
        load_four(x + i * 4, four);
#pragma unroll
        for (int j = 0; j < 4; j++) values[i * 4 + j] = four[j];
      }
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) values[i] = column + i < a.columns ? x[i] : 0;
    }
    FourWords packed;
#pragma unroll
    for (int i = 0; i < 4; i++) packed.word[i] = pack_bf16(values[i * 2], values[i * 2 + 1]);
    *reinterpret_cast<FourWords*>(a.y + (matrix * a.rows + row) * a.y_row + column) = packed;
  }
}

}  // namespace kasosei
