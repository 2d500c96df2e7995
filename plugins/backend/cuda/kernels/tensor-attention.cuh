// Attention on tensor cores: as in attention.cuh, with factors of products rounded to bfloat16 or tf32, also
// probabilities and the gradients of scores; sums and the softmax are float32. Of the exponentials, the instruction's 22
// bits are enough.
#pragma once

#include "instructions.cuh"

#include "attention-arguments.h"
#include "attention.cuh"

namespace kasosei {
namespace attending {

// A number in shared memory, and how many of them a step of a product has: 32 bytes.
struct Bfloat16 {
  static constexpr int bytes = 2, step = 16;
};
struct Tf32 {
  static constexpr int bytes = 4, step = 8;
};

// Among 16 columns, a thread's results of a product are columns 2t, 2t + 1, 8 + 2t and 9 + 2t, t = lane mod 4. With
// columns at these places they are its neighbours 4t … 4t + 3, whose dropout masks come from the same numbers.
KASOSEI_INLINE int tensor_place(int column) {
  return (column & ~15) | (column & 2) << 2 | (column >> 1 & 6) | (column & 1);
}

// Four numbers of a row from `feature` on, and zeros beyond its d numbers, or if it is not inside: then numbers at
// `from` are read, since a branch would wait for what it reads.
template <bool vectors>
KASOSEI_INLINE Four load_some(const float* from, int64_t at, bool inside, int feature, int d) {
  if constexpr (vectors) {
    const Four some = load_four(inside && feature < d ? from + at : from);
    return inside && feature < d ? some : Four{0, 0, 0, 0};
  } else {
    float some[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float one = *(inside && feature + i < d ? from + at + i : from);
      some[i] = inside && feature + i < d ? one : 0.0f;
    }
    return {some[0], some[1], some[2], some[3]};
  }
}

// Loads `count` rows of d numbers of some tensors as [rows, D], rounded and filled up with zeros; at their places, or in
// order. A thread's reads, several of each tensor, are under way together.
template <typename Number, int rows, int D, int threads, bool placed, bool vectors, int tensors>
KASOSEI_INLINE void load_rounded(char* const (&to)[tensors], const float* const (&from)[tensors], int64_t stride,
                                 int count, int d) {
  constexpr int row_bytes = tensor_row_bytes(D, Number::bytes), in_row = D / 4, step = threads / in_row;
  constexpr int at_once = !vectors ? 1 : D * Number::bytes > 128 ? 4 : 8;
  static_assert(threads % in_row == 0 && rows % (step * at_once) == 0);
  const int feature = threadIdx.x % in_row * 4;
#pragma unroll 1
  for (int first = threadIdx.x / in_row; first < rows; first += step * at_once) {
    Four some[tensors][at_once];
#pragma unroll
    for (int tensor = 0; tensor < tensors; tensor++)
#pragma unroll
      for (int i = 0; i < at_once; i++) {
        const int row = first + i * step;
        some[tensor][i] = load_some<vectors>(from[tensor], row * stride + feature, row < count, feature, d);
      }
#pragma unroll
    for (int tensor = 0; tensor < tensors; tensor++)
#pragma unroll
      for (int i = 0; i < at_once; i++) {
        const int row = first + i * step;
        char* const place = to[tensor] + (placed ? tensor_place(row) : row) * row_bytes + feature * Number::bytes;
        const Four& four = some[tensor][i];
        if constexpr (Number::bytes == 2) {
          *reinterpret_cast<uint64_t*>(place) = pack_bf16(four.x, four.y) | uint64_t{pack_bf16(four.z, four.w)} << 32;
        } else {
          store_four(reinterpret_cast<float*>(place), {float_of(to_tf32(four.x)), float_of(to_tf32(four.y)),
                                                       float_of(to_tf32(four.z)), float_of(to_tf32(four.w))});
        }
      }
  }
}
template <typename Number, int rows, int D, int threads, bool placed, int tensors>
KASOSEI_INLINE void load_rounded(char* const (&to)[tensors], const float* const (&from)[tensors], int64_t stride,
                                 int count, int d, bool vectors) {
  if (vectors) load_rounded<Number, rows, D, threads, placed, true>(to, from, stride, count, d);
  else load_rounded<Number, rows, D, threads, placed, false>(to, from, stride, count, d);
}

template <typename Number>
KASOSEI_INLINE void multiply_tile(float (&sums)[4], const uint32_t (&left)[4], uint32_t right0, uint32_t right1) {
  const uint32_t right[2] = {right0, right1};
  if constexpr (Number::bytes == 2) mma_bf16(sums, left, right);
  else mma_tf32(sums, left, right);
}

// sums[n] = the warp's 16 rows times columns 8n … 8n + 7, of d features, for those pairs of n in which there are columns.
// Several steps have no branch between them, so that what they load is under way together.
template <typename Number, int D, int tiles>
KASOSEI_INLINE void tensor_products(const char* rows, const char* columns, int count, int d, float (&sums)[tiles][4]) {
  constexpr int row_bytes = tensor_row_bytes(D, Number::bytes), at_once = 2;
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int n = 0; n < tiles; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) sums[n][i] = 0;
  const char* const left_row = rows + lane % 16 * row_bytes + lane / 16 * 16;
  const char* const right_row = columns + (lane % 8 + lane / 16 * 8) * row_bytes + lane / 8 % 2 * 16;
#pragma unroll 1
  for (int first = 0; first * Number::step < d; first += at_once) {
    uint32_t left[at_once][4];
#pragma unroll
    for (int k = 0; k < at_once; k++) load_matrices(left[k], left_row + (first + k) * 32);
#pragma unroll
    for (int n = 0; n < tiles; n += 2)
      if (8 * n < count) {
#pragma unroll
        for (int k = 0; k < at_once; k++) {
          uint32_t right[4];
          load_matrices(right, right_row + 8 * n * row_bytes + (first + k) * 32);
          multiply_tile<Number>(sums[n], left[k], right[0], right[1]);
          multiply_tile<Number>(sums[n + 1], left[k], right[2], right[3]);
        }
      }
  }
}

// sums[n] += p times features 8n … 8n + 7 of the columns, for the warp's 16 rows. The results of tensor_products are
// just what a thread needs of the left factor. With `rest`, what rounding takes off p is multiplied too, so that sums of
// p over rows or columns are preserved.
template <typename Number, int D, bool rest = false, int tiles>
KASOSEI_INLINE void tensor_accumulate(const float (&p)[tiles][4], const char* columns, int count, int d,
                                      float (&sums)[D / 8][4]) {
  // More would take more registers than there are.
  constexpr int row_bytes = tensor_row_bytes(D, Number::bytes), at_once = Number::bytes == 2 ? 8 : 4;
  const int lane = threadIdx.x % 32;
  if constexpr (Number::bytes == 2) {
    const char* const right_row = columns + lane % 16 * row_bytes + lane / 16 * 16;
#pragma unroll
    for (int m = 0; m < tiles; m += 2)
      if (8 * m < count) {
        uint32_t left[4], left_rest[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float low = p[m + i / 2][i % 2 * 2], high = p[m + i / 2][i % 2 * 2 + 1];
          left[i] = pack_bf16(low, high);
          if (rest) left_rest[i] = pack_bf16(low - float_of(left[i] << 16), high - float_of(left[i] & 0xffff0000));
        }
#pragma unroll
        for (int first = 0; first < D / 8; first += at_once)
          if (8 * first < d)
#pragma unroll
            for (int n = first; n < first + at_once; n += 2) {
              uint32_t right[4];
              load_matrices_transposed(right, right_row + 8 * m * row_bytes + 16 * n);
              multiply_tile<Number>(sums[n], left, right[0], right[1]);
              multiply_tile<Number>(sums[n + 1], left, right[2], right[3]);
              if (rest) {
                multiply_tile<Number>(sums[n], left_rest, right[0], right[1]);
                multiply_tile<Number>(sums[n + 1], left_rest, right[2], right[3]);
              }
            }
      }
  } else {
    const char* const right_word = columns + lane % 4 * 2 * row_bytes + lane / 4 * 4;
#pragma unroll
    for (int m = 0; m < tiles; m++)
      if (m / 2 * 16 < count) {
        uint32_t left[4], left_rest[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float number = p[m][i % 2 * 2 + i / 2];
          left[i] = to_tf32(number);
          if (rest) left_rest[i] = to_tf32(number - float_of(left[i] & 0xffffe000));
        }
        const char* const at = right_word + 8 * m * row_bytes;
#pragma unroll
        for (int first = 0; first < D / 8; first += at_once)
          if (8 * first < d)
#pragma unroll
            for (int n = first; n < first + at_once; n++) {
              const uint32_t right0 = *reinterpret_cast<const uint32_t*>(at + 32 * n);
              const uint32_t right1 = *reinterpret_cast<const uint32_t*>(at + 32 * n + row_bytes);
              multiply_tile<Number>(sums[n], left, right0, right1);
              if (rest) multiply_tile<Number>(sums[n], left_rest, right0, right1);
            }
      }
  }
}

// Over the four lanes that share a row.
KASOSEI_INLINE float sum_of_quad(float value) {
  value += shuffle_xor(value, 1);
  return value + shuffle_xor(value, 2);
}
KASOSEI_INLINE float largest_of_quad(float value) {
  float other = shuffle_xor(value, 1);
  value = other > value ? other : value;
  other = shuffle_xor(value, 2);
  return other > value ? other : value;
}

// A thread's result i of tile n of a product is of its row i / 2, and of its column 4 · (n / 2) + 2 · (n mod 2) + i mod 2
// among those that it has of 16 after 16. Bit 16 · row + column: whether the mask keeps it, of `count` columns.
// element(row): of a row's first column.
template <int tiles, typename Element>
KASOSEI_INLINE uint32_t tensor_kept_along_rows(const Mask& mask, int count, const Element& element) {
  const int lane = threadIdx.x % 4, quad = threadIdx.x & 28, groups = (count + 15) / 16;
  const uint32_t after = lane < 2 ? kept_of_block(mask, element(lane) / 4 + 4 * groups) : 0;
  uint32_t kept = 0;
#pragma unroll 1
  for (int row = 0; row < 2; row++) {
    const int64_t first = element(row);
    uint32_t own = 0;
#pragma unroll 1
    for (int m = 0; m < groups; m++) own |= kept_of_block(mask, first / 4 + 4 * m + lane) << 4 * m;
    const uint32_t last = shuffle(after, quad + row);
    uint32_t next = shuffle(own, quad + (lane + 1) % 4);
    if (lane == 3) next = next >> 4 | last << 4 * (groups - 1);
#pragma unroll
    for (int m = 0; m < tiles / 2; m++) {
      const uint32_t both = (own >> 4 * m & 15) | (next >> 4 * m & 15) << 4;
      kept |= (both >> (first & 3) & 15) << (16 * row + 4 * m);
    }
  }
  return kept;
}

// Which of the 16 columns after 16 a thread's result i of tile n is, and its bit in a mask.
KASOSEI_INLINE int column_of(int n, int i) { return n / 2 * 16 + threadIdx.x % 4 * 4 + n % 2 * 2 + i % 2; }
KASOSEI_INLINE int bit_of(int n, int i) { return i / 2 * 16 + n * 2 + i % 2; }

// As leave_out.
template <int tiles>
KASOSEI_INLINE void leave_out_of_tiles(float (&scores)[tiles][4], int count) {
  if (count == 8 * tiles) return;
#pragma unroll
  for (int n = 0; n < tiles; n++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (column_of(n, i) >= count) scores[n][i] = minus_infinity();
}

// Where rows are keys, a block finds the masks of its queries' rows together, four numbers after four from element(query)
// on: a byte has four bits and, of that first element, how far it is behind the first of its four.
template <int rows, int threads, typename Element>
KASOSEI_INLINE void find_kept(const Mask& mask, int queries, uint8_t* kept, const Element& element) {
  constexpr int blocks = tensor_kept_blocks(rows);
#pragma unroll 1
  for (int i = threadIdx.x; i < queries * blocks; i += threads) {
    const int64_t first = element(i / blocks);
    kept[i] = static_cast<uint8_t>(kept_of_block(mask, first / 4 + i % blocks) | (first & 3) << 4);
  }
}

// The bits of a thread's results, as above, whose first row is `row`. Those of columns beyond the last are of no account:
// they are of probabilities that are 0.
template <int rows, int tiles>
KASOSEI_INLINE uint32_t found_kept(const uint8_t* found, int row) {
  uint32_t kept = 0;
#pragma unroll
  for (int n = 0; n < tiles; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const uint8_t* const at = found + column_of(n, i) * tensor_kept_blocks(rows) + (row + i / 2 * 8) / 4;
      const uint32_t both = (at[0] & 15) | at[1] << 4;
      kept |= (both >> (row % 4 + (at[0] >> 4)) & 1) << bit_of(n, i);
    }
  return kept;
}
constexpr float log2_of_e = 1.44269504088896341f;

// Writes a thread's features of one of its two rows, times a factor, from `place` on; and as bfloat16 numbers, unless
// there is no room for them.
template <int tiles>
KASOSEI_INLINE void store_tensor_row(float* tensor, uint16_t* rounded, int64_t place, const float (&sums)[tiles][4],
                                     int row, float factor, int d, bool vectors) {
  float* to = tensor + place;
  uint16_t* rounded_to = rounded + place;
  const int first = threadIdx.x % 4 * 2;
#pragma unroll
  for (int n = 0; n < tiles; n++) {
    const int at = 8 * n + first;
    const Two some = {sums[n][2 * row] * factor, sums[n][2 * row + 1] * factor};
    if (vectors) {
      if (at < d) *reinterpret_cast<Two*>(to + at) = some;
      if (rounded && at < d) *reinterpret_cast<uint32_t*>(rounded_to + at) = pack_bf16(some.x, some.y);
    } else {
      if (at < d) to[at] = some.x;
      if (at + 1 < d) to[at + 1] = some.y;
      if (rounded && at < d) rounded_to[at] = static_cast<uint16_t>(pack_bf16(some.x, 0));
      if (rounded && at + 1 < d) rounded_to[at + 1] = static_cast<uint16_t>(pack_bf16(some.y, 0));
    }
  }
}

template <int tiles>
KASOSEI_INLINE void clear(float (&sums)[tiles][4]) {
#pragma unroll
  for (int n = 0; n < tiles; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) sums[n][i] = 0;
}

template <typename Number, int D>
KASOSEI_INLINE void tensor_forward(const Attention& a) {
  constexpr int rows = attention_rows, columns = attention_columns, threads = tensor_threads(rows), tiles = columns / 8;
  constexpr int row_bytes = tensor_row_bytes(D, Number::bytes);
  char* const q = dynamic_shared<char>();
  char* const k = q + rows * row_bytes;
  char* const v = k + columns * row_bytes;
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int head = blockIdx.y, warp_row = threadIdx.x / 32 * 16, first_row = warp_row + threadIdx.x % 32 / 4;
  const int count = smaller(rows, tile.queries - tile.first);
  const int64_t features = static_cast<int64_t>(head) * a.d, query = tile.query + tile.first;
  const bool working = warp_row < count;
  const float scale = a.scale * log2_of_e;
  load_rounded<Number, rows, D, threads, false>({q}, {a.q_RH + query * a.hidden + features}, a.hidden, count, a.d,
                                                a.vectors);

  float sums[D / 8][4], largest[2] = {minus_infinity(), minus_infinity()}, total[2] = {0, 0};
  clear(sums);
  for (int first = 0; first < tile.length; first += columns) {
    const int keys = smaller(columns, tile.length - first);
    const int64_t offset = (static_cast<int64_t>(tile.token) + first) * a.hidden + features;
    if (first > 0) block_barrier();  // the keys and values before these have been read
    load_rounded<Number, columns, D, threads, true>({k, v}, {a.k_TH + offset, a.v_TH + offset}, a.hidden, keys, a.d,
                                                    a.vectors);
    block_barrier();
    if (!working) continue;
    float p[tiles][4];
    tensor_products<Number, D>(q + warp_row * row_bytes, k, keys, a.d, p);
    leave_out_of_tiles(p, keys);
    uint32_t kept = 0xffffffff;
    if (a.mask.active)
      kept = tensor_kept_along_rows<tiles>(a.mask, keys, [&](int row) {
        return element_of(tile, a.query_indices_R, head, smaller(tile.first + first_row + 8 * row, tile.queries - 1)) +
               first;
      });
#pragma unroll
    for (int row = 0; row < 2; row++) {
      float now = largest[row];
#pragma unroll
      for (int n = 0; n < tiles; n++)
#pragma unroll
        for (int i = 2 * row; i < 2 * row + 2; i++) now = p[n][i] > now ? p[n][i] : now;
      now = largest_of_quad(now);
      const float shrink = exp2_approximate((largest[row] - now) * scale);
      largest[row] = now;
      total[row] *= shrink;
#pragma unroll
      for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int i = 2 * row; i < 2 * row + 2; i++) sums[n][i] *= shrink;
#pragma unroll
      for (int n = 0; n < tiles; n++)
#pragma unroll
        for (int i = 2 * row; i < 2 * row + 2; i++) {
          const float value = exp2_approximate((p[n][i] - now) * scale);
          total[row] += value;
          p[n][i] = kept >> bit_of(n, i) & 1 ? value : 0.0f;
        }
    }
    tensor_accumulate<Number, D>(p, v, keys, a.d, sums);
  }
  if (!working) return;
#pragma unroll
  for (int row = 0; row < 2; row++) {
    const float inverse_sum = divide_rn(1.0f, sum_of_quad(total[row]));
    if (first_row + 8 * row >= count) continue;
    const int64_t at = query + first_row + 8 * row;
    store_tensor_row(a.y_RH, a.rounded_RH, at * a.hidden + features, sums, row, inverse_sum * a.mask.scale, a.d, a.vectors);
    if (threadIdx.x % 4 == 0) {
      float* const kept_of_row = a.statistics + 2 * (head * a.queries + at);
      kept_of_row[0] = largest[row];
      kept_of_row[1] = inverse_sum;
    }
  }
}

template <typename Number, int D>
KASOSEI_INLINE void tensor_query_gradient(const AttentionGradient& a) {
  constexpr int rows = tensor_gradient_rows(D), columns = tensor_gradient_columns(D), threads = tensor_threads(rows);
  constexpr int tiles = columns / 8, row_bytes = tensor_row_bytes(D, Number::bytes);
  char* const q = dynamic_shared<char>();
  char* const dy = q + rows * row_bytes;
  char* const k = dy + rows * row_bytes;
  char* const v = k + columns * row_bytes;
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int head = blockIdx.y, warp_row = threadIdx.x / 32 * 16, first_row = warp_row + threadIdx.x % 32 / 4;
  const int count = smaller(rows, tile.queries - tile.first);
  const int64_t features = static_cast<int64_t>(head) * a.d, query = tile.query + tile.first;
  const bool working = warp_row < count;
  const float scale = a.scale * log2_of_e;
  const int64_t own = query * a.hidden + features;
  load_rounded<Number, rows, D, threads, false>({q, dy}, {a.q_RH + own, a.dy_RH + own}, a.hidden, count, a.d, a.vectors);

  float sums[D / 8][4], mean[2] = {0, 0}, largest[2], inverse_sum[2];
  clear(sums);
#pragma unroll
  for (int row = 0; row < 2; row++) {
    const int64_t at = head * a.queries + query + smaller(first_row + 8 * row, count - 1);
    largest[row] = a.statistics[2 * at];
    inverse_sum[row] = a.statistics[2 * at + 1];
  }
  const bool one_pass = tile.length <= columns;
  for (int pass = one_pass ? 1 : 0; pass < 2; pass++) {
    for (int first = 0; first < tile.length; first += columns) {
      const int keys = smaller(columns, tile.length - first);
      const int64_t offset = (static_cast<int64_t>(tile.token) + first) * a.hidden + features;
      if (first > 0 || (pass == 1 && !one_pass)) block_barrier();
      load_rounded<Number, columns, D, threads, true>({k, v}, {a.k_TH + offset, a.v_TH + offset}, a.hidden, keys, a.d,
                                                      a.vectors);
      block_barrier();
      if (!working) continue;
      float p[tiles][4], dp[tiles][4];
      tensor_products<Number, D>(q + warp_row * row_bytes, k, keys, a.d, p);
      tensor_products<Number, D>(dy + warp_row * row_bytes, v, keys, a.d, dp);
      leave_out_of_tiles(p, keys);
      uint32_t kept = 0xffffffff;
      if (a.mask.active)
        kept = tensor_kept_along_rows<tiles>(a.mask, keys, [&](int row) {
          return element_of(tile, a.query_indices_R, head,
                            smaller(tile.first + first_row + 8 * row, tile.queries - 1)) +
                 first;
        });
#pragma unroll
      for (int row = 0; row < 2; row++) {
#pragma unroll
        for (int n = 0; n < tiles; n++)
#pragma unroll
          for (int i = 2 * row; i < 2 * row + 2; i++) {
            p[n][i] = exp2_approximate((p[n][i] - largest[row]) * scale) * inverse_sum[row];
            dp[n][i] = kept >> bit_of(n, i) & 1 ? dp[n][i] * a.mask.scale : 0.0f;
            if (pass == 0 || one_pass) mean[row] += p[n][i] * dp[n][i];
          }
        if (one_pass) mean[row] = sum_of_quad(mean[row]);
      }
      if (pass == 0) continue;
#pragma unroll
      for (int n = 0; n < tiles; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) p[n][i] *= dp[n][i] - mean[i / 2];
      tensor_accumulate<Number, D>(p, k, keys, a.d, sums);
    }
    if (pass == 0 && working)
#pragma unroll
      for (int row = 0; row < 2; row++) mean[row] = sum_of_quad(mean[row]);
  }
  if (!working) return;
#pragma unroll
  for (int row = 0; row < 2; row++) {
    if (first_row + 8 * row >= count) continue;
    const int64_t at = query + first_row + 8 * row;
    store_tensor_row(a.dq_RH, a.rounded_dq_RH, at * a.hidden + features, sums, row, a.scale, a.d, a.vectors);
    if (threadIdx.x % 4 == 0) a.means[head * a.queries + at] = mean[row];
  }
}

// Here the rows are keys and the columns queries.
template <typename Number, int D>
KASOSEI_INLINE void tensor_key_gradient(const AttentionGradient& a) {
  constexpr int rows = tensor_gradient_rows(D), columns = tensor_gradient_columns(D), threads = tensor_threads(rows);
  constexpr int tiles = columns / 8, row_bytes = tensor_row_bytes(D, Number::bytes);
  char* const k = dynamic_shared<char>();
  char* const v = k + rows * row_bytes;
  char* const q = v + rows * row_bytes;
  char* const dy = q + columns * row_bytes;
  // Of each query the largest score, one over the sum of exponentials, and the mean.
  float* const of_queries = reinterpret_cast<float*>(dy + columns * row_bytes);
  uint8_t* const found = reinterpret_cast<uint8_t*>(of_queries + 3 * columns);
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int head = blockIdx.y, warp_row = threadIdx.x / 32 * 16, first_row = warp_row + threadIdx.x % 32 / 4;
  const int count = smaller(rows, tile.length - tile.first);
  const int64_t features = static_cast<int64_t>(head) * a.d, key = tile.token + tile.first;
  const bool working = warp_row < count;
  const float scale = a.scale * log2_of_e;
  const int64_t own = key * a.hidden + features;
  load_rounded<Number, rows, D, threads, false>({k, v}, {a.k_TH + own, a.v_TH + own}, a.hidden, count, a.d, a.vectors);

  float dk[D / 8][4], dv[D / 8][4];
  clear(dk);
  clear(dv);
  for (int first = 0; first < tile.queries; first += columns) {
    const int queries = smaller(columns, tile.queries - first);
    const int64_t query = static_cast<int64_t>(tile.query) + first, offset = query * a.hidden + features;
    if (first > 0) block_barrier();
    static_assert(columns <= threads);
    if (const int i = threadIdx.x; i < columns) {
      const int64_t at = head * a.queries + query + smaller(i, queries - 1);
      copy_async_4(of_queries + i, a.statistics + 2 * at, true);
      copy_async_4(of_queries + columns + i, a.statistics + 2 * at + 1, true);
      copy_async_4(of_queries + 2 * columns + i, a.means + at, true);
    }
    load_rounded<Number, columns, D, threads, true>({q, dy}, {a.q_RH + offset, a.dy_RH + offset}, a.hidden, queries, a.d,
                                                    a.vectors);
    if (a.mask.active)
      find_kept<rows, threads>(a.mask, queries, found, [&](int query) {
        return element_of(tile, a.query_indices_R, head, first + query) + tile.first;
      });
    finish_loading();
    if (!working) continue;
    const uint32_t kept = a.mask.active ? found_kept<rows, tiles>(found, first_row) : 0xffffffff;
    float p[tiles][4], ds[tiles][4];
    tensor_products<Number, D>(k + warp_row * row_bytes, q, queries, a.d, p);
    tensor_products<Number, D>(v + warp_row * row_bytes, dy, queries, a.d, ds);
    leave_out_of_tiles(p, queries);
#pragma unroll
    for (int n = 0; n < tiles; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int column = column_of(n, i);
        const float value = exp2_approximate((p[n][i] - of_queries[column]) * scale) * of_queries[columns + column];
        const float factor = kept >> bit_of(n, i) & 1 ? a.mask.scale : 0.0f;
        p[n][i] = value * factor;
        ds[n][i] = value * (ds[n][i] * factor - of_queries[2 * columns + column]);
      }
    tensor_accumulate<Number, D>(p, dy, queries, a.d, dv);
    // The gradient of a query's scores sums to 0 over the keys, and so does that of the keys' bias over all pairs: rounding
    // would leave as much of it as of a number.
    tensor_accumulate<Number, D, true>(ds, q, queries, a.d, dk);
  }
#pragma unroll
  for (int row = 0; row < 2; row++) {
    if (first_row + 8 * row >= count) continue;
    const int64_t at = (key + first_row + 8 * row) * a.hidden + features;
    store_tensor_row(a.dk_TH, a.rounded_dk_TH, at, dk, row, a.scale, a.d, a.vectors);
    store_tensor_row(a.dv_TH, a.rounded_dv_TH, at, dv, row, 1.0f, a.d, a.vectors);
  }
}

}  // namespace attending

extern "C" __global__ void __launch_bounds__(128, 3) attention_bf16_64(const Attention a) { attending::tensor_forward<attending::Bfloat16, 64>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_bf16_128(const Attention a) { attending::tensor_forward<attending::Bfloat16, 128>(a); }
extern "C" __global__ void __launch_bounds__(128, 3) attention_tf32_64(const Attention a) { attending::tensor_forward<attending::Tf32, 64>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_tf32_128(const Attention a) { attending::tensor_forward<attending::Tf32, 128>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_query_gradient_bf16_64(const AttentionGradient a) { attending::tensor_query_gradient<attending::Bfloat16, 64>(a); }
extern "C" __global__ void __launch_bounds__(64, 4) attention_query_gradient_bf16_128(const AttentionGradient a) { attending::tensor_query_gradient<attending::Bfloat16, 128>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_query_gradient_tf32_64(const AttentionGradient a) { attending::tensor_query_gradient<attending::Tf32, 64>(a); }
extern "C" __global__ void __launch_bounds__(64, 4) attention_query_gradient_tf32_128(const AttentionGradient a) { attending::tensor_query_gradient<attending::Tf32, 128>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_key_gradient_bf16_64(const AttentionGradient a) { attending::tensor_key_gradient<attending::Bfloat16, 64>(a); }
extern "C" __global__ void __launch_bounds__(64) attention_key_gradient_bf16_128(const AttentionGradient a) { attending::tensor_key_gradient<attending::Bfloat16, 128>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_key_gradient_tf32_64(const AttentionGradient a) { attending::tensor_key_gradient<attending::Tf32, 64>(a); }
extern "C" __global__ void __launch_bounds__(64) attention_key_gradient_tf32_128(const AttentionGradient a) { attending::tensor_key_gradient<attending::Tf32, 128>(a); }

}  // namespace kasosei
