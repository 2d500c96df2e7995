// Attention on the GPU: its blocks work on tiles of queries or keys, of which the host makes a list.
#include <algorithm>
#include <cstring>
#include <vector>

#include "../kernels/attention-arguments.h"
#include "attention-shapes.h"
#include "binding.h"
#include "device.h"
#include "mask-list.h"
#include "products.h"
#include "rounded.h"

namespace kasosei {
namespace {

// A kernel for the features that the rows of a head are filled up to, and the rows of its tiles.
struct Kernel {
  std::string name;
  int rows, threads, shared;
};

// The ends of the names of kernels: 32, tf32_64, bf16_128 and so on.
struct Variant {
  int features, bytes;
  std::string name;
  explicit Variant(const AttentionShape& shape) {
    if (shape.d > 128)
      throw std::invalid_argument("expected at most 128 features in each head, found " + std::to_string(shape.d));
    const Precision chosen = precision_of_factors();
    features = shape.d > 64 ? 128 : shape.d > 32 || chosen != Precision::float32 ? 64 : 32;
    // Of a factor on tensor cores.
    bytes = chosen == Precision::float32 ? 0 : chosen == Precision::bfloat16 ? 2 : 4;
    name = (bytes == 0 ? "" : bytes == 2 ? "bf16_" : "tf32_") + std::to_string(features);
  }
  Kernel forward() const {
    return {"attention_" + name, attention_rows, attention_threads,
            bytes == 0 ? attention_shared(features) * 4 : tensor_attention_shared(features, bytes)};
  }
  Kernel query_gradient() const {
    if (bytes == 0)
      return {"attention_query_gradient_" + name, query_gradient_rows(features), attention_threads,
              query_gradient_shared(features) * 4};
    return tensor_gradient("attention_query_gradient_");
  }
  Kernel key_gradient() const {
    if (bytes == 0)
      return {"attention_key_gradient_" + name, key_gradient_rows(features), attention_threads,
              key_gradient_shared(features) * 4};
    return tensor_gradient("attention_key_gradient_");
  }

 private:
  Kernel tensor_gradient(const char* start) const {
    return {start + name, tensor_gradient_rows(features), tensor_threads(tensor_gradient_rows(features)),
            tensor_gradient_shared(features, bytes)};
  }
};

// Whether all rows of heads begin at a multiple of 16 bytes.
bool vectors(const AttentionShape& shape, std::initializer_list<const float*> tensors) {
  return shape.d % 4 == 0 && std::all_of(tensors.begin(), tensors.end(), [](const float* tensor) {
           return reinterpret_cast<uintptr_t>(tensor) % 16 == 0;
         });
}

// Tiles of `rows` rows of each sequence's queries or keys, those of long sequences first: they take the longest.
std::vector<AttentionTile> tiles_of(const AttentionShape& shape, bool of_queries, int rows) {
  std::vector<AttentionTile> tiles;
  for (const Sequence& s : shape.sequences)
    for (int64_t first = 0; first < (of_queries ? s.queries : s.length); first += rows)
      tiles.push_back({s.probability, static_cast<int32_t>(s.token), static_cast<int32_t>(s.length),
                       static_cast<int32_t>(s.query), static_cast<int32_t>(s.queries), static_cast<int32_t>(first), 0});
  std::stable_sort(tiles.begin(), tiles.end(), [&](const AttentionTile& a, const AttentionTile& b) {
    return of_queries ? a.length > b.length : a.queries > b.queries;
  });
  return tiles;
}

// Tiles, and the queries' indices if the mask needs them, brought to the device together.
struct Lists {
  const AttentionTile* tiles;
  const int32_t* query_indices;
  Lists(std::vector<AttentionTile> list, const AttentionShape& shape, const Mask& mask) {
    const int64_t count = list.size(), bytes = mask.active ? shape.queries * sizeof(int32_t) : 0;
    list.resize(count + divide_up(bytes, sizeof(AttentionTile)));
    if (bytes > 0) std::memcpy(list.data() + count, shape.query_indices.data, bytes);
    tiles = upload(List<AttentionTile>{list.data(), static_cast<int64_t>(list.size())});
    query_indices = reinterpret_cast<const int32_t*>(tiles + count);
  }
};

template <typename Arguments>
void launch_for(const Kernel& kernel, int64_t tiles, int64_t heads, const Arguments& arguments) {
  launch(kernel.name.c_str(), {.blocks = {tiles, heads}, .threads = kernel.threads, .shared = kernel.shared}, &arguments);
}

}  // namespace

void attention(In q_RH, In k_TH, In v_TH, int64_t heads, List<int32_t> offsets, List<int32_t> query_indices_R,
               List<double> dropout, Out y_RH, Out statistics) {
  const AttentionShape shape = attention_shape(q_RH, k_TH, v_TH, heads, offsets, query_indices_R, y_RH, statistics);
  const Mask mask = mask_of(dropout);
  const Kernel kernel = Variant(shape).forward();
  std::vector<AttentionTile> tiles = tiles_of(shape, true, kernel.rows);
  if (tiles.empty()) return;
  const int64_t count = tiles.size();
  const Lists lists(std::move(tiles), shape, mask);
  RoundedOutput rounded(precision_of_factors(), y_RH, shape.hidden);
  launch_for(kernel, count, heads,
             Attention{.q_RH = q_RH.data,
                       .k_TH = k_TH.data,
                       .v_TH = v_TH.data,
                       .y_RH = y_RH.data,
                       .rounded_RH = rounded.data(),
                       .statistics = statistics.data,
                       .tiles = lists.tiles,
                       .query_indices_R = lists.query_indices,
                       .queries = shape.queries,
                       .hidden = shape.hidden,
                       .d = static_cast<int32_t>(shape.d),
                       .vectors = vectors(shape, {q_RH.data, k_TH.data, v_TH.data, y_RH.data}),
                       .scale = shape.scale,
                       .mask = mask});
  rounded.written();
}
EXPORT(attention, "attention")

void attention_gradient(In dy_RH, In q_RH, In k_TH, In v_TH, In statistics, int64_t heads, List<int32_t> offsets,
                        List<int32_t> query_indices_R, List<double> dropout, Out dq_RH, Out dk_TH, Out dv_TH) {
  const AttentionShape shape = attention_gradient_shape(dy_RH, q_RH, k_TH, v_TH, statistics, heads, offsets,
                                                        query_indices_R, dq_RH, dk_TH, dv_TH);
  const Mask mask = mask_of(dropout);
  const Variant variant(shape);
  const Kernel query_kernel = variant.query_gradient(), key_kernel = variant.key_gradient();
  std::vector<AttentionTile> tiles = tiles_of(shape, true, query_kernel.rows);
  const std::vector<AttentionTile> of_keys = tiles_of(shape, false, key_kernel.rows);
  const int64_t count = tiles.size(), count_of_keys = of_keys.size();
  tiles.insert(tiles.end(), of_keys.begin(), of_keys.end());
  const Lists lists(std::move(tiles), shape, mask);
  const Scratch means(heads * shape.queries * sizeof(float));
  const Precision precision = precision_of_factors();
  RoundedOutput rounded_dq(precision, dq_RH, shape.hidden), rounded_dk(precision, dk_TH, shape.hidden),
      rounded_dv(precision, dv_TH, shape.hidden);
  AttentionGradient arguments{.dy_RH = dy_RH.data,
                              .q_RH = q_RH.data,
                              .k_TH = k_TH.data,
                              .v_TH = v_TH.data,
                              .statistics = statistics.data,
                              .means = means.as<float>(),
                              .dq_RH = dq_RH.data,
                              .dk_TH = dk_TH.data,
                              .dv_TH = dv_TH.data,
                              .rounded_dq_RH = rounded_dq.data(),
                              .rounded_dk_TH = rounded_dk.data(),
                              .rounded_dv_TH = rounded_dv.data(),
                              .tiles = lists.tiles,
                              .query_indices_R = lists.query_indices,
                              .queries = shape.queries,
                              .hidden = shape.hidden,
                              .d = static_cast<int32_t>(shape.d),
                              .vectors = vectors(shape, {dy_RH.data, q_RH.data, k_TH.data, v_TH.data, dq_RH.data,
                                                         dk_TH.data, dv_TH.data}),
                              .scale = shape.scale,
                              .mask = mask};
  launch_for(query_kernel, count, heads, arguments);
  arguments.tiles += count;
  launch_for(key_kernel, count_of_keys, heads, arguments);
  for (RoundedOutput* each : {&rounded_dq, &rounded_dk, &rounded_dv}) each->written();
}
EXPORT(attention_gradient, "attentionGradient")

}  // namespace kasosei
