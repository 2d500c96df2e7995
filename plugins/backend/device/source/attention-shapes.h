// What the arguments of attention say, checked: the same on every device.
#pragma once

#include <cmath>
#include <vector>

#include "buffer.h"

namespace kasosei {

// One sequence: its tokens are rows token … token + length − 1, its queries rows query … query + queries − 1.
struct Sequence {
  int64_t token, length, query, queries;
  // Its first element in the numbering of all probabilities, heads x L x L, sequence after sequence.
  int64_t probability;
};

// R queries, each of a token of one of the packed sequences, for each of the heads, of d = H / heads features.
struct AttentionShape {
  int64_t tokens, queries, heads, hidden, d;
  float scale;
  std::vector<Sequence> sequences;
  List<int32_t> query_indices;

  AttentionShape(In q_RH, In k_TH, In v_TH, In statistics, int64_t head_count, const List<int32_t>& offsets,
                 const List<int32_t>& indices)
      : heads(head_count), query_indices(indices) {
    expect(offsets.size > 1, "expected at least one sequence");
    tokens = offsets[offsets.size - 1];
    expect_offsets(offsets, tokens);
    queries = query_indices.size;
    expect(tokens > 0 && k_TH.size % tokens == 0, "expected k with a row for each token");
    hidden = k_TH.size / tokens;
    expect(heads > 0 && hidden % heads == 0, "expected a number of heads that divides the features");
    expect_size(q_RH, queries * hidden, "q");
    expect_below(query_indices, tokens, "query indices");
    expect_size(v_TH, k_TH.size, "v");
    expect_size(statistics, 2 * heads * queries, "statistics");
    d = hidden / heads;
    scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
    int64_t query = 0, probability = 0;
    for (int64_t n = 0; n + 1 < offsets.size; n++) {
      Sequence s{offsets[n], offsets[n + 1] - offsets[n], query, 0, probability};
      for (; query < queries && query_indices[query] < offsets[n + 1]; query++) {
        expect(query_indices[query] >= offsets[n] && (query == 0 || query_indices[query - 1] < query_indices[query]),
               "expected ascending query indices");
        s.queries++;
      }
      probability += heads * s.length * s.length;
      sequences.push_back(s);
    }
    expect(query == queries, "expected ascending query indices");
  }
};

inline AttentionShape attention_shape(In q_RH, In k_TH, In v_TH, int64_t heads, const List<int32_t>& offsets,
                                      const List<int32_t>& query_indices_R, Out y_RH, Out statistics) {
  AttentionShape shape(q_RH, k_TH, v_TH, statistics, heads, offsets, query_indices_R);
  expect_size(y_RH, q_RH.size, "y");
  return shape;
}

inline AttentionShape attention_gradient_shape(In dy_RH, In q_RH, In k_TH, In v_TH, In statistics, int64_t heads,
                                               const List<int32_t>& offsets, const List<int32_t>& query_indices_R,
                                               Out dq_RH, Out dk_TH, Out dv_TH) {
  AttentionShape shape(q_RH, k_TH, v_TH, statistics, heads, offsets, query_indices_R);
  expect_size(dy_RH, q_RH.size, "dy");
  expect_size(dq_RH, q_RH.size, "dq");
  expect_size(dk_TH, k_TH.size, "dk");
  expect_size(dv_TH, k_TH.size, "dv");
  return shape;
}

}  // namespace kasosei
