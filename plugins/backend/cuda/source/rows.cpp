// Rows of a table by index, and gradients that are zero except in some rows.
#include "row-arguments.h"

#include <cstring>
#include <numeric>
#include <vector>

#include "binding.h"
#include "grid.h"
#include "row-shapes.h"

namespace kasosei {
namespace {

void copy_rows(const float* from, float* to, const int32_t* from_at, const int32_t* to_at, int64_t size,
               int64_t width) {
  const bool fours = width % 4 == 0 && in_fours(from, to);
  launch(for_numbers(size, fours), CopyRows{from, to, from_at, to_at, size, width, fours});
}

}  // namespace

void gather_rows(In table_VH, List<int32_t> ids_N, Out rows_NH) {
  const int64_t width = gathered_width(table_VH, ids_N, rows_NH);
  if (width == 0) return;
  copy_rows(table_VH.data, rows_NH.data, upload(ids_N), nullptr, rows_NH.size, width);
}
EXPORT(gather_rows, "gatherRows")

// rows_UH[slots[n]] = Σ x[n], in the order of n: up to 64 rows in float32, and sums of so many in float64.
void sum_into_rows(In x_NH, List<int32_t> slots_N, Out rows_UH) {
  const int64_t width = summed_width(x_NH, slots_N, rows_UH);
  if (width == 0) return fill_zero(rows_UH.data, rows_UH.size * static_cast<int64_t>(sizeof(float)));
  const int64_t slots = rows_UH.size / width;
  // The rows of x by slot, in their order.
  std::vector<int32_t> starts(slots + 1);
  for (int64_t n = 0; n < slots_N.size; n++) starts[slots_N[n] + 1]++;
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  std::vector<Segment> segments;
  std::vector<Joint> joints;
  int32_t parts = 0;
  for (int32_t slot = 0; slot < slots; slot++) {
    const int32_t first = starts[slot], count = starts[slot + 1] - first;
    if (count <= rows_in_a_segment) {
      segments.push_back({first, count, slot, -1});
      continue;
    }
    joints.push_back({slot, parts, static_cast<int32_t>(divide_up(count, rows_in_a_segment))});
    for (int32_t from = 0; from < count; from += rows_in_a_segment)
      segments.push_back({first + from, std::min(rows_in_a_segment, count - from), -1, parts++});
  }
  // All that the kernels need to know, in one list: it goes to the device in one copy.
  const int64_t segments_at = slots_N.size, joints_at = segments_at + segments.size() * sizeof(Segment) / 4;
  std::vector<int32_t> list(joints_at + joints.size() * sizeof(Joint) / 4);
  std::vector<int32_t> next(starts.begin(), starts.end() - 1);
  for (int64_t n = 0; n < slots_N.size; n++) list[next[slots_N[n]]++] = static_cast<int32_t>(n);
  std::memcpy(list.data() + segments_at, segments.data(), segments.size() * sizeof(Segment));
  std::memcpy(list.data() + joints_at, joints.data(), joints.size() * sizeof(Joint));
  const int32_t* there = upload(list);
  const Scratch scratch(parts * width * static_cast<int64_t>(sizeof(float)));
  const int64_t across = divide_up(width, SumSegments::threads);
  launch({.blocks = {static_cast<int64_t>(segments.size()) * across}, .threads = SumSegments::threads},
         SumSegments{x_NH.data, there, reinterpret_cast<const Segment*>(there + segments_at), rows_UH.data,
                     scratch.as<float>(), width, across});
  if (joints.empty()) return;
  launch({.blocks = {static_cast<int64_t>(joints.size()) * across}, .threads = AddSegments::threads},
         AddSegments{scratch.as<float>(), reinterpret_cast<const Joint*>(there + joints_at), rows_UH.data, width, across});
}
EXPORT(sum_into_rows, "sumIntoRows")

// Fills table_VH with zeros, then writes its rows ids_U, which are distinct.
void spread_rows(In rows_UH, List<int32_t> ids_U, Out table_VH) {
  const int64_t width = spread_width(rows_UH, ids_U, table_VH);
  fill_zero(table_VH.data, table_VH.size * static_cast<int64_t>(sizeof(float)));
  if (width == 0) return;
  copy_rows(rows_UH.data, table_VH.data, nullptr, upload(ids_U), rows_UH.size, width);
}
EXPORT(spread_rows, "spreadRows")

}  // namespace kasosei
