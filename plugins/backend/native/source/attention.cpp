// Multi-head scaled dot-product attention (Vaswani et al. 2017) inside packed sequences: softmax(q kᵀ / √d) v for each
// head of d = H / heads features. The scores of a head exist only while a thread works on it; the backward pass
// recomputes them, and the dropout mask.
#include <algorithm>

#include "attention-shapes.h"
#include "binding.h"
#include "dropout.h"
#include "elementary.h"
#include "gemm.h"
#include "threads.h"

namespace kasosei {
namespace {

struct Layout : AttentionShape {
  // Multiplications of all heads together, with `products` matrix products for each.
  int64_t work(int64_t products) const {
    int64_t pairs = 0;
    for (const Sequence& s : sequences) pairs += s.queries * s.length;
    return products * pairs * hidden;
  }
  Matrix part(const float* rows, int64_t row, int64_t head) const {
    return {rows + row * hidden + head * d, hidden, 1};
  }
  // The dropout mask of a head's probabilities, [queries, length].
  void fill(const Dropout& mask, const Sequence& s, int64_t head, float* kept) const {
    const int64_t first = s.probability + head * s.length * s.length;
    if (s.queries == s.length) return mask.fill(first, s.length * s.length, kept);
    for (int64_t i = 0; i < s.queries; i++)
      mask.fill(first + (query_indices[s.query + i] - s.token) * s.length, s.length, kept + i * s.length);
  }
};

// scores[queries, length] = q kᵀ, not yet scaled.
void score(const Layout& layout, const Sequence& s, int64_t head, const float* q, const float* k, float* scores) {
  multiply_alone({.m = s.queries, .n = s.length, .k = layout.d, .a = layout.part(q, s.query, head),
                  .b = layout.part(k, s.token, head).transposed(), .c = scores, .stride = s.length});
}

}  // namespace

// R queries, each of a token of one of the packed sequences; query_indices_R is ascending. The gradient needs
// `statistics`, [heads, R, 2]: of each head's row of scores the largest, and one over the sum of exponentials.
void attention(In q_RH, In k_TH, In v_TH, int64_t heads, List<int32_t> offsets, List<int32_t> query_indices_R,
               List<double> dropout, Out y_RH, Out statistics) {
  const Layout layout{attention_shape(q_RH, k_TH, v_TH, heads, offsets, query_indices_R, y_RH, statistics)};
  const Dropout mask(dropout);
  parallel_for(layout.sequences.size() * heads, layout.work(2), [&](int64_t item) {
    static thread_local Scratch scratch;
    const Sequence& s = layout.sequences[item / heads];
    const int64_t head = item % heads, length = s.length;
    if (s.queries == 0) return;
    float* scores = scratch.floats(2 * s.queries * length);
    float* mask_of_head = scores + s.queries * length;
    score(layout, s, head, q_RH.data, k_TH.data, scores);
    if (mask.active) layout.fill(mask, s, head, mask_of_head);
    for (int64_t i = 0; i < s.queries; i++) {
      float* row = scores + i * length;
      const float* kept = mask_of_head + i * length;
      const float largest = largest_of(row, length);
      Floats total{};
      for_lanes(length, [&](int64_t j, auto count) {
        Floats p = exponential((load_some(row + j, count) - largest) * layout.scale);
        store_some(row + j, p, count);
        if (count < lanes) p = load_some(row + j, count);
        total += p;
      });
      const float inverse_sum = 1 / sum_lanes(total);
      float* kept_of_row = statistics.data + 2 * (head * layout.queries + s.query + i);
      kept_of_row[0] = largest;
      kept_of_row[1] = inverse_sum;
      for_lanes(length, [&](int64_t j, auto count) {
        Floats p = load_some(row + j, count) * inverse_sum;
        if (mask.active) p *= load_some(kept + j, count);
        store_some(row + j, p, count);
      });
    }
    multiply_alone({.m = s.queries, .n = layout.d, .k = length, .a = {scores, length, 1},
                    .b = layout.part(v_TH.data, s.token, head),
                    .c = y_RH.data + s.query * layout.hidden + head * layout.d, .stride = layout.hidden});
  });
}
EXPORT(attention, "attention")

void attention_gradient(In dy_RH, In q_RH, In k_TH, In v_TH, In statistics, int64_t heads, List<int32_t> offsets,
                        List<int32_t> query_indices_R, List<double> dropout, Out dq_RH, Out dk_TH, Out dv_TH) {
  const Layout layout{attention_gradient_shape(dy_RH, q_RH, k_TH, v_TH, statistics, heads, offsets, query_indices_R,
                                               dq_RH, dk_TH, dv_TH)};
  const Dropout mask(dropout);
  parallel_for(layout.sequences.size() * heads, layout.work(5), [&](int64_t item) {
    static thread_local Scratch scratch;
    const Sequence& s = layout.sequences[item / heads];
    const int64_t head = item % heads, length = s.length, hidden = layout.hidden, d = layout.d;
    float* p = scratch.floats(3 * s.queries * length);
    float* ds = p + s.queries * length;
    float* mask_of_head = ds + s.queries * length;
    if (mask.active) layout.fill(mask, s, head, mask_of_head);
    else std::fill_n(mask_of_head, s.queries * length, 1.0f);
    const Matrix dy_part = layout.part(dy_RH.data, s.query, head);
    if (s.queries > 0) {
      score(layout, s, head, q_RH.data, k_TH.data, p);
      // At first ds is the gradient of the probabilities after dropout: dy vᵀ.
      multiply_alone({.m = s.queries, .n = length, .k = d, .a = dy_part,
                      .b = layout.part(v_TH.data, s.token, head).transposed(), .c = ds, .stride = length});
    }
    for (int64_t i = 0; i < s.queries; i++) {
      float* row = p + i * length;
      float* gradient = ds + i * length;
      const float* kept = mask_of_head + i * length;
      const float* kept_of_row = statistics.data + 2 * (head * layout.queries + s.query + i);
      const float largest = kept_of_row[0], inverse_sum = kept_of_row[1];
      Floats along{};
      for_lanes(length, [&](int64_t j, auto count) {
        const Floats value = exponential((load_some(row + j, count) - largest) * layout.scale) * inverse_sum;
        const Floats dp = load_some(gradient + j, count) * load_some(kept + j, count);
        store_some(row + j, value, count);
        store_some(gradient + j, dp, count);
        along += value * dp;  // dp is 0 in lanes beyond the end of the row
      });
      const float mean = sum_lanes(along);
      for_lanes(length, [&](int64_t j, auto count) {
        const Floats value = load_some(row + j, count);
        store_some(gradient + j, value * (load_some(gradient + j, count) - mean) * layout.scale, count);
        store_some(row + j, value * load_some(kept + j, count), count);
      });
    }
    const auto destination = [&](Out out, int64_t row) { return out.data + row * hidden + head * d; };
    multiply_alone({.m = s.queries, .n = d, .k = length, .a = {ds, length, 1},
                    .b = layout.part(k_TH.data, s.token, head), .c = destination(dq_RH, s.query), .stride = hidden});
    multiply_alone({.m = length, .n = d, .k = s.queries, .a = {ds, 1, length},
                    .b = layout.part(q_RH.data, s.query, head), .c = destination(dk_TH, s.token), .stride = hidden});
    multiply_alone({.m = length, .n = d, .k = s.queries, .a = {p, 1, length}, .b = dy_part,
                    .c = destination(dv_TH, s.token), .stride = hidden});
  });
}
EXPORT(attention_gradient, "attentionGradient")

}  // namespace kasosei
