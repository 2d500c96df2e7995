// Multi-head scaled dot-product attention inside packed sequences (the meaning: native/source/attention.cpp), with an
// online softmax over tiles of keys (Dao et al. 2022): scores exist only in registers and shared memory. The gradient
// recomputes them, once for tiles of queries (dq) and once for tiles of keys (dk and dv), so nothing is added up by
// several blocks, and the bits do not depend on their order.
#pragma once

#include "four.h"
#include "instructions.cuh"

#include "attention-arguments.h"
#include "elementary.h"
#include "four.h"
#include "philox.h"

namespace kasosei {
namespace attending {

struct alignas(8) Two {
  float x, y;
};

KASOSEI_INLINE int smaller(int a, int b) { return a < b ? a : b; }
KASOSEI_INLINE float minus_infinity() { return float_of(0xff800000); }

// Neighbouring columns belong to one thread, whose rows in shared memory are 16 apart: eight lanes that load a row each
// then use all banks.
template <int columns>
KASOSEI_INLINE int place(int column) {
  constexpr int of_a_thread = columns / 16;
  return column / of_a_thread + 16 * (column % of_a_thread);
}

// Begins to load `count` rows of d numbers each as [rows, D + 4], filled up with zeros; at their places, or in order.
template <int rows, int D, int threads, bool placed>
KASOSEI_INLINE void load_rows(float* to, const float* from, int64_t stride, int count, int d, bool vectors) {
  if (vectors) {
    for (int i = threadIdx.x; i < rows * (D / 4); i += threads) {
      const int row = i / (D / 4), feature = i % (D / 4) * 4;
      const bool inside = row < count && feature < d;
      float* const at = to + (placed ? place<rows>(row) : row) * (D + 4) + feature;
      copy_async_16(at, inside ? from + row * stride + feature : from, inside);
    }
  } else {
    for (int i = threadIdx.x; i < rows * D; i += threads) {
      const int row = i / D, feature = i % D;
      const bool inside = row < count && feature < d;
      float* const at = to + (placed ? place<rows>(row) : row) * (D + 4) + feature;
      copy_async_4(at, inside ? from + row * stride + feature : from, inside);
    }
  }
}
// Waits for what was begun to load, and for the block's other threads.
KASOSEI_INLINE void finish_loading() {
  copies_commit();
  copies_wait<0>();
  block_barrier();
}

// sums[i][j] = ⟨row i, column j⟩: rows of `left` one after another, columns of `right` at their places.
template <int D, int R, int C>
KASOSEI_INLINE void products(const float* left, const float* right, float (&sums)[R][C]) {
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int j = 0; j < C; j++) sums[i][j] = 0;
#pragma unroll 2
  for (int k = 0; k < D; k += 4) {
    Four column[C];
#pragma unroll
    for (int j = 0; j < C; j++) column[j] = load_four(right + 16 * j * (D + 4) + k);
#pragma unroll
    for (int i = 0; i < R; i++) {
      const Four row = load_four(left + i * (D + 4) + k);
#pragma unroll
      for (int j = 0; j < C; j++) {
        sums[i][j] = fused(row.x, column[j].x, sums[i][j]);
        sums[i][j] = fused(row.y, column[j].y, sums[i][j]);
        sums[i][j] = fused(row.z, column[j].z, sums[i][j]);
        sums[i][j] = fused(row.w, column[j].w, sums[i][j]);
      }
    }
  }
}

// Scores of columns beyond `count` become −∞, whose exponential is 0: that needs no branch around each exponential.
template <int R, int C>
KASOSEI_INLINE void leave_out(float (&scores)[R][C], int count) {
  if (count == 16 * C) return;
  const int first = threadIdx.x % 16 * C;
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int j = 0; j < C; j++)
      if (first + j >= count) scores[i][j] = minus_infinity();
}

// The features of a lane of 16: neighbouring ones, at most four, in each stretch of 64.
template <int D>
KASOSEI_INLINE int feature(int lane, int i) {
  return D < 64 ? lane * (D / 16) + i : i / 4 * 64 + 4 * lane + i % 4;
}

// sums[i][…] += Σ over columns of p[i][column] · right[column][…], for the features of this lane.
template <int D, int R, int columns>
KASOSEI_INLINE void accumulate(const float* p, const float* right, int count, float (&sums)[R][D / 16]) {
  const int lane = threadIdx.x % 16;
#pragma unroll 1
  for (int column = 0; column < count; column += 4) {
    Four left[R];
#pragma unroll
    for (int i = 0; i < R; i++) left[i] = load_four(p + i * (columns + 4) + column);
#pragma unroll
    for (int u = 0; u < 4; u++) {
      const float* const row = right + place<columns>(column + u) * (D + 4);
      float factor[D / 16];
      if constexpr (D < 64) {
        const Two some = *reinterpret_cast<const Two*>(row + feature<D>(lane, 0));
        factor[0] = some.x;
        factor[1] = some.y;
      } else {
#pragma unroll
        for (int c = 0; c < D / 16; c += 4) {
          const Four some = load_four(row + feature<D>(lane, c));
          factor[c] = some.x;
          factor[c + 1] = some.y;
          factor[c + 2] = some.z;
          factor[c + 3] = some.w;
        }
      }
#pragma unroll
      for (int i = 0; i < R; i++) {
        const float one = u == 0 ? left[i].x : u == 1 ? left[i].y : u == 2 ? left[i].z : left[i].w;
#pragma unroll
        for (int c = 0; c < D / 16; c++) sums[i][c] = fused(one, factor[c], sums[i][c]);
      }
    }
  }
}

// Writes a row's features of this lane.
template <int D>
KASOSEI_INLINE void store_row(float* to, const float (&values)[D / 16], float factor, int d, bool vectors) {
  const int lane = threadIdx.x % 16;
  if (D >= 64 && vectors) {
#pragma unroll
    for (int c = 0; c + 3 < D / 16; c += 4)
      if (feature<D>(lane, c) < d)
        store_four(to + feature<D>(lane, c), Four{values[c], values[c + 1], values[c + 2], values[c + 3]} * factor);
  } else {
#pragma unroll
    for (int c = 0; c < D / 16; c++)
      if (feature<D>(lane, c) < d) to[feature<D>(lane, c)] = values[c] * factor;
  }
}

// Over the 16 lanes that share a row.
KASOSEI_INLINE float sum_of_row(float value) {
#pragma unroll
  for (int step = 1; step < 16; step *= 2) value += shuffle_xor(value, step);
  return value;
}
KASOSEI_INLINE float largest_of_row(float value) {
#pragma unroll
  for (int step = 1; step < 16; step *= 2) {
    const float other = shuffle_xor(value, step);
    value = other > value ? other : value;
  }
  return value;
}

// A bit for each of the four elements of a block: whether the mask keeps it.
KASOSEI_INLINE uint32_t kept_of_block(const Mask& mask, int64_t block) {
  const Draws drawn = philox(mask, static_cast<uint32_t>(block));
  return static_cast<uint32_t>(drawn.x0 >= mask.threshold) | static_cast<uint32_t>(drawn.x1 >= mask.threshold) << 1 |
         static_cast<uint32_t>(drawn.x2 >= mask.threshold) << 2 |
         static_cast<uint32_t>(drawn.x3 >= mask.threshold) << 3;
}

// Bits 4i … 4i + 3: whether the mask keeps elements 4 · lane … 4 · lane + 3 of the rows whose first elements are
// element(i). Blocks of four begin anywhere in a row, so a lane needs two: the second is the next lane's first.
template <int rows, typename Element>
KASOSEI_INLINE uint32_t kept_along_rows(const Mask& mask, const Element& element) {
  const int lane = threadIdx.x % 16;
  const uint32_t after = lane < rows ? kept_of_block(mask, element(lane) / 4 + 16) : 0;
  uint32_t kept = 0;
#pragma unroll 1
  for (int i = 0; i < rows; i++) {
    const int64_t first = element(i);
    const uint32_t own = kept_of_block(mask, first / 4 + lane);
    const uint32_t last = shuffle(after, (threadIdx.x & 16) + i);
    const uint32_t next = shuffle(own, (threadIdx.x & 16) + (lane + 1) % 16);
    const uint32_t both = own | (lane == 15 ? last : next) << 4;
    kept |= (both >> (first & 3) & 15) << 4 * i;
  }
  return kept;
}

// Bits rows · j …: whether the mask keeps `rows` elements from element(j).
template <int rows, int columns, typename Element>
KASOSEI_INLINE uint32_t kept_along_columns(const Mask& mask, const Element& element) {
  uint32_t kept = 0;
#pragma unroll 1
  for (int j = 0; j < columns; j++) {
    const int64_t first = element(j);
    uint32_t bits = 0;
#pragma unroll 1
    for (int i = 0; i <= rows / 4; i++) bits |= kept_of_block(mask, first / 4 + i) << 4 * i;
    kept |= (bits >> (first & 3) & ((1u << rows) - 1)) << rows * j;
  }
  return kept;
}

// The first element of the mask for a query's row of probabilities.
KASOSEI_INLINE int64_t element_of(const AttentionTile& tile, const int32_t* query_indices, int head, int query) {
  const int64_t row = query_indices[tile.query + query] - tile.token;
  return tile.probability + (static_cast<int64_t>(head) * tile.length + row) * tile.length;
}

template <int D>
KASOSEI_INLINE void forward(const Attention& a) {
  constexpr int rows = attention_rows, columns = attention_columns, R = 8, C = 4, threads = rows / R * 16;
  float* const q = dynamic_shared<float>();
  float* const k = q + rows * (D + 4);
  float* const v = k + attention_larger(columns * (D + 4), rows * (columns + 4));
  float* const p = k;
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int head = blockIdx.y, lane = threadIdx.x % 16, first_row = threadIdx.x / 16 * R;
  const int count = smaller(rows, tile.queries - tile.first);
  const int64_t features = static_cast<int64_t>(head) * a.d, query = tile.query + tile.first;
  // A warp without queries only loads.
  const bool working = static_cast<int>(threadIdx.x / 32) * 2 * R < count;
  load_rows<rows, D, threads, false>(q, a.q_RH + query * a.hidden + features, a.hidden, count, a.d, a.vectors);

  float sums[R][D / 16], largest[R], total[R];
#pragma unroll
  for (int i = 0; i < R; i++) {
    largest[i] = minus_infinity();
    total[i] = 0;
#pragma unroll
    for (int c = 0; c < D / 16; c++) sums[i][c] = 0;
  }
  for (int first = 0; first < tile.length; first += columns) {
    const int keys = smaller(columns, tile.length - first);
    const int64_t offset = (static_cast<int64_t>(tile.token) + first) * a.hidden + features;
    load_rows<columns, D, threads, true>(k, a.k_TH + offset, a.hidden, keys, a.d, a.vectors);
    load_rows<columns, D, threads, true>(v, a.v_TH + offset, a.hidden, keys, a.d, a.vectors);
    finish_loading();
    float scores[R][C];
    if (working) {
      products<D>(q + first_row * (D + 4), k + lane * (D + 4), scores);
      leave_out(scores, keys);
      uint32_t kept = 0xffffffff;
      if (a.mask.active)
        kept = kept_along_rows<R>(a.mask, [&](int i) {
          return element_of(tile, a.query_indices_R, head, smaller(tile.first + first_row + i, tile.queries - 1)) + first;
        });
#pragma unroll
      for (int i = 0; i < R; i++) {
        float now = largest[i];
#pragma unroll
        for (int j = 0; j < C; j++) now = scores[i][j] > now ? scores[i][j] : now;
        now = largest_of_row(now);
        const float shrink = exponential((largest[i] - now) * a.scale);
        largest[i] = now;
        total[i] *= shrink;
#pragma unroll
        for (int c = 0; c < D / 16; c++) sums[i][c] *= shrink;
#pragma unroll
        for (int j = 0; j < C; j++) {
          const float value = exponential((scores[i][j] - now) * a.scale);
          total[i] += value;
          scores[i][j] = kept >> (C * i + j) & 1 ? value : 0.0f;
        }
      }
    }
    block_barrier();  // the keys have been read
    if (working) {
#pragma unroll
      for (int i = 0; i < R; i++)
        store_four(p + (first_row + i) * (columns + 4) + C * lane,
                   {scores[i][0], scores[i][1], scores[i][2], scores[i][3]});
      warp_barrier();
      accumulate<D, R, columns>(p + first_row * (columns + 4), v, keys, sums);
    }
    block_barrier();
  }
  if (!working) return;
#pragma unroll
  for (int i = 0; i < R; i++) {
    const float inverse_sum = divide_rn(1.0f, sum_of_row(total[i]));
    if (first_row + i >= count) continue;
    const int64_t row = query + first_row + i;
    store_row<D>(a.y_RH + row * a.hidden + features, sums[i], inverse_sum * a.mask.scale, a.d, a.vectors);
    if (lane == 0) {
      float* const kept_of_row = a.statistics + 2 * (head * a.queries + row);
      kept_of_row[0] = largest[i];
      kept_of_row[1] = inverse_sum;
    }
  }
}

template <int D>
KASOSEI_INLINE void query_gradient(const AttentionGradient& a) {
  constexpr int rows = query_gradient_rows(D), columns = attention_columns, R = rows_of_a_thread(D), C = 4;
  constexpr int threads = rows / R * 16;
  float* const q = dynamic_shared<float>();
  float* const dy = q + rows * (D + 4);
  float* const k = dy + rows * (D + 4);
  float* const v = k + columns * (D + 4);
  float* const ds = v;
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int head = blockIdx.y, lane = threadIdx.x % 16, first_row = threadIdx.x / 16 * R;
  const int count = smaller(rows, tile.queries - tile.first);
  const int64_t features = static_cast<int64_t>(head) * a.d, query = tile.query + tile.first;
  const bool working = static_cast<int>(threadIdx.x / 32) * 2 * R < count;
  load_rows<rows, D, threads, false>(q, a.q_RH + query * a.hidden + features, a.hidden, count, a.d, a.vectors);
  load_rows<rows, D, threads, false>(dy, a.dy_RH + query * a.hidden + features, a.hidden, count, a.d, a.vectors);

  float sums[R][D / 16], mean[R], largest[R], inverse_sum[R];
#pragma unroll
  for (int i = 0; i < R; i++) {
    // Rows beyond the end are those of the last query, times zero.
    const int64_t row = query + smaller(first_row + i, count - 1);
    const float* const kept_of_row = a.statistics + 2 * (head * a.queries + row);
    largest[i] = kept_of_row[0];
    inverse_sum[i] = kept_of_row[1];
    mean[i] = 0;
#pragma unroll
    for (int c = 0; c < D / 16; c++) sums[i][c] = 0;
  }
  // The mean is of all keys, so it is found in a pass of its own, unless they fit into one tile.
  const bool one_pass = tile.length <= columns;
  for (int pass = one_pass ? 1 : 0; pass < 2; pass++) {
    for (int first = 0; first < tile.length; first += columns) {
      const int keys = smaller(columns, tile.length - first);
      const int64_t offset = (static_cast<int64_t>(tile.token) + first) * a.hidden + features;
      load_rows<columns, D, threads, true>(k, a.k_TH + offset, a.hidden, keys, a.d, a.vectors);
      load_rows<columns, D, threads, true>(v, a.v_TH + offset, a.hidden, keys, a.d, a.vectors);
      finish_loading();
      float p[R][C], dp[R][C];
      if (working) {
        products<D>(q + first_row * (D + 4), k + lane * (D + 4), p);
        products<D>(dy + first_row * (D + 4), v + lane * (D + 4), dp);
        leave_out(p, keys);
        uint32_t kept = 0xffffffff;
        if (a.mask.active)
          kept = kept_along_rows<R>(a.mask, [&](int i) {
            return element_of(tile, a.query_indices_R, head, smaller(tile.first + first_row + i, tile.queries - 1)) +
                   first;
          });
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
          for (int j = 0; j < C; j++) {
            p[i][j] = exponential((p[i][j] - largest[i]) * a.scale) * inverse_sum[i];
            dp[i][j] = kept >> (C * i + j) & 1 ? dp[i][j] * a.mask.scale : 0.0f;
            if (pass == 0 || one_pass) mean[i] += p[i][j] * dp[i][j];
          }
          if (one_pass) mean[i] = sum_of_row(mean[i]);
        }
      }
      if (pass == 1) {
        block_barrier();  // the values have been read
        if (working) {
#pragma unroll
          for (int i = 0; i < R; i++) {
#pragma unroll
            for (int j = 0; j < C; j++) p[i][j] *= (dp[i][j] - mean[i]) * a.scale;
            store_four(ds + (first_row + i) * (columns + 4) + C * lane, {p[i][0], p[i][1], p[i][2], p[i][3]});
          }
          warp_barrier();
          accumulate<D, R, columns>(ds + first_row * (columns + 4), k, keys, sums);
        }
      }
      block_barrier();
    }
    if (pass == 0 && working)
#pragma unroll
      for (int i = 0; i < R; i++) mean[i] = sum_of_row(mean[i]);
  }
  if (!working) return;
#pragma unroll
  for (int i = 0; i < R; i++) {
    if (first_row + i >= count) continue;
    const int64_t row = query + first_row + i;
    store_row<D>(a.dq_RH + row * a.hidden + features, sums[i], 1.0f, a.d, a.vectors);
    if (lane == 0) a.means[head * a.queries + row] = mean[i];
  }
}

// Here the rows are keys and the columns queries.
template <int D>
KASOSEI_INLINE void key_gradient(const AttentionGradient& a) {
  constexpr int rows = key_gradient_rows(D), columns = key_gradient_columns(D), R = rows_of_a_thread(D);
  constexpr int C = columns / 16, threads = rows / R * 16;
  float* const k = dynamic_shared<float>();
  float* const v = k + rows * (D + 4);
  float* const q = v + rows * (D + 4);
  float* const dy = q + columns * (D + 4);
  float* const probabilities = dy + columns * (D + 4);
  const AttentionTile tile = a.tiles[blockIdx.x];
  const int head = blockIdx.y, lane = threadIdx.x % 16, first_row = threadIdx.x / 16 * R;
  const int count = smaller(rows, tile.length - tile.first);
  const int64_t features = static_cast<int64_t>(head) * a.d, key = tile.token + tile.first;
  const bool working = static_cast<int>(threadIdx.x / 32) * 2 * R < count;
  load_rows<rows, D, threads, false>(k, a.k_TH + key * a.hidden + features, a.hidden, count, a.d, a.vectors);
  load_rows<rows, D, threads, false>(v, a.v_TH + key * a.hidden + features, a.hidden, count, a.d, a.vectors);

  float dk[R][D / 16], dv[R][D / 16];
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int c = 0; c < D / 16; c++) dk[i][c] = dv[i][c] = 0;
  for (int first = 0; first < tile.queries; first += columns) {
    const int queries = smaller(columns, tile.queries - first);
    const int64_t query = static_cast<int64_t>(tile.query) + first;
    load_rows<columns, D, threads, true>(q, a.q_RH + query * a.hidden + features, a.hidden, queries, a.d, a.vectors);
    load_rows<columns, D, threads, true>(dy, a.dy_RH + query * a.hidden + features, a.hidden, queries, a.d, a.vectors);
    finish_loading();
    if (working) {
      float p[R][C], ds[R][C];
      products<D>(k + first_row * (D + 4), q + lane * (D + 4), p);
      products<D>(v + first_row * (D + 4), dy + lane * (D + 4), ds);
      leave_out(p, queries);
      uint32_t kept = 0xffffffff;
      if (a.mask.active)
        kept = kept_along_columns<R, C>(a.mask, [&](int j) {
          return element_of(tile, a.query_indices_R, head, first + smaller(C * lane + j, queries - 1)) + tile.first +
                 first_row;
        });
#pragma unroll
      for (int j = 0; j < C; j++) {
        const int64_t row = head * a.queries + query + smaller(C * lane + j, queries - 1);
        const float largest = a.statistics[2 * row], inverse_sum = a.statistics[2 * row + 1], mean = a.means[row];
#pragma unroll
        for (int i = 0; i < R; i++) {
          const float value = exponential((p[i][j] - largest) * a.scale) * inverse_sum;
          const float factor = kept >> (R * j + i) & 1 ? a.mask.scale : 0.0f;
          p[i][j] = value * factor;
          ds[i][j] = value * (ds[i][j] * factor - mean) * a.scale;
        }
      }
      // First the probabilities after dropout, then the gradient of the scores.
      float* const own = probabilities + first_row * (columns + 4);
#pragma unroll
      for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < C; j++) own[i * (columns + 4) + C * lane + j] = p[i][j];
      warp_barrier();
      accumulate<D, R, columns>(own, dy, queries, dv);
      warp_barrier();
#pragma unroll
      for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < C; j++) own[i * (columns + 4) + C * lane + j] = ds[i][j];
      warp_barrier();
      accumulate<D, R, columns>(own, q, queries, dk);
    }
    block_barrier();
  }
#pragma unroll
  for (int i = 0; i < R; i++) {
    if (first_row + i >= count) continue;
    const int64_t at = (key + first_row + i) * a.hidden + features;
    store_row<D>(a.dk_TH + at, dk[i], 1.0f, a.d, a.vectors);
    store_row<D>(a.dv_TH + at, dv[i], 1.0f, a.d, a.vectors);
  }
}

}  // namespace attending

// The second number, of blocks on a multiprocessor, is given where the compiler would rather spill than use more registers.
extern "C" __global__ void __launch_bounds__(128) attention_32(const Attention a) { attending::forward<32>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_64(const Attention a) { attending::forward<64>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_128(const Attention a) { attending::forward<128>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_query_gradient_32(const AttentionGradient a) { attending::query_gradient<32>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_query_gradient_64(const AttentionGradient a) { attending::query_gradient<64>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_query_gradient_128(const AttentionGradient a) { attending::query_gradient<128>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_key_gradient_32(const AttentionGradient a) { attending::key_gradient<32>(a); }
extern "C" __global__ void __launch_bounds__(128) attention_key_gradient_64(const AttentionGradient a) { attending::key_gradient<64>(a); }
extern "C" __global__ void __launch_bounds__(128, 2) attention_key_gradient_128(const AttentionGradient a) { attending::key_gradient<128>(a); }

}  // namespace kasosei
