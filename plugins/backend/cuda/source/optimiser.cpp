// The global norm and AdamW, over all parameters in one launch.
#include "optimiser-arguments.h"

#include "optimiser-shapes.h"
#include "rounded.h"

#include "binding.h"
#include "grid.h"

namespace kasosei {
namespace {

// Divides a tensor into rows, or pieces of long ones, for the blocks from `first_block` on; gives their number.
int64_t divide(const Measured& measured, int64_t first_block, SquaredTensor& to) {
  const int64_t width = measured.width, rows = measured.x.size / width;
  const int64_t pieces = divide_up(width, SquaredTensor::piece), units = rows * pieces;
  const int64_t units_in_a_block =
      std::max<int64_t>(1, SquaredTensor::numbers_in_a_block / std::min(width, SquaredTensor::piece));
  const bool fours = width % 4 == 0 && in_fours(measured.x.data);
  to = {measured.x.data, rows, width, units, units_in_a_block, first_block, fours};
  return divide_up(units, units_in_a_block);
}

}  // namespace

// norm = √Σ x² over all gradients, a list of [handle, width of a row] each; NaN if one of the watched numbers is not
// finite. Summed in float32 within a row of at most 4096 numbers, and precisely over those.
void global_norm(List<double> gradients, List<double> watched, Out norm) {
  const std::vector<Measured> all = measured_of(gradients);
  const std::vector<const float*> numbers = numbers_of(watched);
  expect_size(norm, 1, "the norm");
  std::vector<SquaredTensor> tensors;
  tensors.reserve(all.size());
  int64_t blocks = 0;
  for (const Measured& each : all)
    if (each.x.size > 0) blocks += divide(each, blocks, tensors.emplace_back());
  const Scratch sums(blocks * static_cast<int64_t>(sizeof(PreciseSum)));
  launch({.blocks = {blocks}, .threads = SumSquares::threads},
         SumSquares{upload(tensors), static_cast<int32_t>(tensors.size()), sums.as<PreciseSum>()});
  launch({.blocks = {1}, .threads = FinishNorm::threads},
         FinishNorm{sums.as<PreciseSum>(), blocks, upload(numbers), static_cast<int64_t>(numbers.size()), norm.data});
}
EXPORT(global_norm, "globalNorm")

// One update of all parameters, in place; none if the norm is not finite. Where a gradient is zero except in some rows,
// only rows that ever had a gradient are updated: in the others, both moments are zero.
void adamw(List<double> updates, List<int32_t> ids, In norm, List<double> coefficients) {
  const std::vector<ParameterUpdate> all = parameter_updates(updates, ids);
  const AdamWSettings settings = adamw_settings(coefficients);
  expect_size(norm, 1, "the norm");
  const int32_t* ids_there = upload(ids);
  std::vector<UpdatedTensor> tensors;
  tensors.reserve(all.size());
  int64_t blocks = 0;
  for (const ParameterUpdate& each : all) {
    if (each.theta.size == 0) continue;
    const int64_t rows = each.sparse ? each.active_V.size : 1, width = each.theta.size / rows;
    const bool fours = in_fours(each.theta.data, each.gradient.data, each.m.data, each.v.data) &&
                       (!each.sparse || width % 4 == 0);
    tensors.push_back({each.theta.data, each.gradient.data, each.m.data, each.v.data, copy_to_update(each.theta.data),
                       each.sparse ? each.active_V.data : nullptr,
                       each.sparse ? ids_there + (each.ids_U.data - ids.data) : nullptr, each.ids_U.size, rows, width,
                       blocks, static_cast<float>(each.step), static_cast<float>(1 - each.decay), fours});
    blocks += each.sparse ? divide_up(rows, UpdatedTensor::rows_in_a_block)
                          : divide_up(width, UpdatedTensor::numbers_in_a_block);
  }
  // The differences from 1 are taken in float64: 1 − 0.999 in float32 has a relative error of 5e-5.
  launch({.blocks = {blocks}, .threads = UpdateTensors::threads},
         UpdateTensors{upload(tensors), static_cast<int32_t>(tensors.size()), norm.data, settings.largest,
                       static_cast<float>(settings.beta1), static_cast<float>(1 - settings.beta1),
                       static_cast<float>(settings.beta2), static_cast<float>(1 - settings.beta2),
                       static_cast<float>(settings.epsilon)});
}
EXPORT(adamw, "adamw")

// Marks the rows in which a moment is not zero.
void mark_active_rows(In m_VH, In v_VH, Buffer<uint8_t> active_V) {
  const int64_t width = marked_width(m_VH, v_VH, active_V);
  constexpr int64_t rows_in_a_block = MarkActiveRows::threads / 32;
  launch({.blocks = {divide_up(active_V.size, rows_in_a_block)}, .threads = MarkActiveRows::threads},
         MarkActiveRows{m_VH.data, v_VH.data, active_V.data, active_V.size, width});
}
EXPORT(mark_active_rows, "markActiveRows")

}  // namespace kasosei
