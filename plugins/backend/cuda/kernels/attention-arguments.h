// The arguments of the kernels of attention.
#pragma once

#include "mask.h"

namespace kasosei {

// Some rows of one sequence, queries or keys, from its row `first`. Its tokens are rows token … token + length − 1, its
// queries rows query … query + queries − 1; `probability` is its first element in the numbering of all probabilities.
struct AttentionTile {
  int64_t probability;
  int32_t token, length, query, queries, first, unused;
};

// A block works on a tile (x) of a head (y).
struct Attention {
  const float* q_RH;
  const float* k_TH;
  const float* v_TH;
  float* y_RH;
  uint16_t* rounded_RH;  // where y is also written as bfloat16 numbers, or null
  float* statistics;  // [heads, R, 2]
  const AttentionTile* tiles;
  const int32_t* query_indices_R;  // read only if the mask is active
  int64_t queries, hidden;
  int32_t d;
  bool vectors;  // whether rows of heads can be read four numbers at a time
  float scale;
  Mask mask;
};

struct AttentionGradient {
  const float* dy_RH;
  const float* q_RH;
  const float* k_TH;
  const float* v_TH;
  const float* statistics;
  float* means;  // [heads, R]: Σ p ∘ dp of each row of probabilities p, written with dq and read for dk and dv
  float* dq_RH;
  float* dk_TH;
  float* dv_TH;
  uint16_t* rounded_dq_RH;  // where they are also written as bfloat16 numbers, or null
  uint16_t* rounded_dk_TH;
  uint16_t* rounded_dv_TH;
  const AttentionTile* tiles;
  const int32_t* query_indices_R;
  int64_t queries, hidden;
  int32_t d;
  bool vectors;
  float scale;
  Mask mask;
};

// Rows of a tile, and the columns that a block has in its shared memory at a time, by the features D that a head is
// filled up to; and the rows of a thread.
constexpr int attention_rows = 64, attention_columns = 64, attention_threads = 128;
constexpr int query_gradient_rows(int D) { return D > 64 ? 32 : 64; }
constexpr int key_gradient_rows(int D) { return D > 64 ? 32 : 64; }
constexpr int key_gradient_columns(int D) { return D > 64 ? 32 : 64; }
constexpr int rows_of_a_thread(int D) { return D > 64 ? 4 : 8; }

// Numbers in a block's shared memory. Rows are followed by four unused numbers, so that neighbouring rows begin in
// other banks. Probabilities take the place of keys, or of values, that are no longer used.
constexpr int attention_larger(int a, int b) { return a > b ? a : b; }
constexpr int attention_shared(int D) {
  return (attention_rows + attention_columns) * (D + 4) +
         attention_larger(attention_columns * (D + 4), attention_rows * (attention_columns + 4));
}
constexpr int query_gradient_shared(int D) {
  return (2 * query_gradient_rows(D) + attention_columns) * (D + 4) +
         attention_larger(attention_columns * (D + 4), query_gradient_rows(D) * (attention_columns + 4));
}
constexpr int key_gradient_shared(int D) {
  return 2 * (key_gradient_rows(D) + key_gradient_columns(D)) * (D + 4) +
         key_gradient_rows(D) * (key_gradient_columns(D) + 4);
}

// On tensor cores, with factors of `bytes` bytes: a warp has 16 rows. Rows are followed by 16 unused bytes.
constexpr int tensor_threads(int rows) { return rows / 16 * 32; }
constexpr int tensor_gradient_rows(int D) { return D > 64 ? 32 : 64; }
constexpr int tensor_gradient_columns(int D) { return D > 64 ? 32 : 64; }
constexpr int tensor_row_bytes(int D, int bytes) { return D * bytes + 16; }
constexpr int tensor_attention_shared(int D, int bytes) {
  return (attention_rows + 2 * attention_columns) * tensor_row_bytes(D, bytes);
}
// Fours of a dropout mask in which `rows` neighbours are, wherever the first of them is.
constexpr int tensor_kept_blocks(int rows) { return rows / 4 + 1; }
constexpr int tensor_gradient_shared(int D, int bytes) {
  return 2 * (tensor_gradient_rows(D) + tensor_gradient_columns(D)) * tensor_row_bytes(D, bytes) +
         tensor_gradient_columns(D) * (3 * 4 + tensor_kept_blocks(tensor_gradient_rows(D)));
}

// What a block can have on every device of capability 8.0 and later.
static_assert(tensor_attention_shared(128, 4) <= 99 * 1024 && tensor_gradient_shared(64, 4) <= 99 * 1024);
static_assert(tensor_gradient_shared(128, 4) <= 99 * 1024);
static_assert(attention_shared(128) * 4 <= 99 * 1024 && query_gradient_shared(128) * 4 <= 99 * 1024);
static_assert(key_gradient_shared(64) * 4 <= 99 * 1024 && key_gradient_shared(128) * 4 <= 99 * 1024);

}  // namespace kasosei
