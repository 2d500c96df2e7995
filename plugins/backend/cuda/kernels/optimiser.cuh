// The global norm and AdamW, over all parameters in one launch.
#pragma once

#include "optimiser-arguments.h"

#include "four.h"
#include "grid.cuh"
#include "reduction.cuh"

namespace kasosei {

inline bool is_finite(float x) { return (bits_of(x) & 0x7f800000) != 0x7f800000; }

// The tensor that this block has a part of.
template <typename Tensor>
inline const Tensor& tensor_of_block(const Tensor* tensors, int count) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (tensors[middle].first_block <= blockIdx.x) low = middle;
    else high = middle;
  }
  return tensors[low];
}

// --- the norm ---------------------------------------------------------------------------------------------

// What rounding takes off a + b (Knuth's TwoSum).
inline double rounded_off(double a, double b, double sum) {
  const double other = sum - a;
  return (a - (sum - other)) + (b - other);
}

inline PreciseSum operator+(const PreciseSum& a, double b) {
  const double sum = a.sum + b;
  return {sum, a.rest + rounded_off(a.sum, b, sum)};
}

inline PreciseSum operator+(const PreciseSum& a, const PreciseSum& b) {
  const double sum = a.sum + b.sum;
  return {sum, (a.rest + b.rest) + rounded_off(a.sum, b.sum, sum)};
}

// Of all threads of the block, for its first one.
inline PreciseSum block_sum(PreciseSum value, PreciseSum* parts) {
#pragma unroll
  for (int mask = warp_size / 2; mask > 0; mask /= 2)
    value = value + PreciseSum{shuffle_xor(value.sum, mask), shuffle_xor(value.rest, mask)};
  if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = value;
  block_barrier();
  PreciseSum total = parts[0];
  for (uint32_t warp = 1; warp < blockDim.x / warp_size; warp++) total = total + parts[warp];
  return total;
}

// Of numbers `lane`, `lane` + 32 … of a row, or of fours of it.
inline float lane_squares(const float* row, int size, int lane, bool fours) {
  float sum = 0;
  const int first = fours ? size / 4 : 0;
  Four some{};
#pragma unroll 4
  for (int i = lane; i < first; i += warp_size) {
    const Four value = load_four(row + 4 * i);
    some = some + value * value;
  }
  for (int i = 4 * first + lane; i < size; i += warp_size) sum += row[i] * row[i];
  return kasosei::sum(some) + sum;
}

extern "C" __global__ void __launch_bounds__(256) sum_squares(const SumSquares a) {
  constexpr int warps = SumSquares::threads / warp_size;
  __shared__ PreciseSum parts[warps];
  const SquaredTensor tensor = tensor_of_block(a.tensors, a.count);
  const int64_t first = (blockIdx.x - tensor.first_block) * tensor.units_in_a_block;
  const int64_t left = tensor.units - first, units = left < tensor.units_in_a_block ? left : tensor.units_in_a_block;
  PreciseSum total{};
  if (tensor.width <= SquaredTensor::narrow) {
    for (int64_t i = threadIdx.x; i < units; i += blockDim.x) {
      const float* row = tensor.x + (first + i) * tensor.width;
      float squares = 0;
      for (int64_t column = 0; column < tensor.width; column++) squares += row[column] * row[column];
      total = total + static_cast<double>(squares);
    }
  } else {
    const int lane = threadIdx.x % warp_size;
    const int64_t pieces = (tensor.width + SquaredTensor::piece - 1) / SquaredTensor::piece;
    // Each lane keeps one sum of 32, and adds it to its total.
    float pending = 0;
    int next = 0;
    for (int64_t i = threadIdx.x / warp_size; i < units; i += warps) {
      const int64_t row = quotient(first + i, pieces), from = (first + i - row * pieces) * SquaredTensor::piece;
      const int64_t rest = tensor.width - from;
      const int size = static_cast<int>(rest < SquaredTensor::piece ? rest : SquaredTensor::piece);
      const float squares = warp_sum(lane_squares(tensor.x + row * tensor.width + from, size, lane, tensor.fours));
      if (lane == next) pending = squares;
      if (++next < warp_size) continue;
      total = total + static_cast<double>(pending);
      pending = 0;
      next = 0;
    }
    total = total + static_cast<double>(pending);
  }
  total = block_sum(total, parts);
  if (threadIdx.x == 0) a.sums[blockIdx.x] = total;
}

// One block.
extern "C" __global__ void __launch_bounds__(1024) finish_norm(const FinishNorm a) {
  __shared__ PreciseSum parts[FinishNorm::threads / warp_size];
  __shared__ float strange[FinishNorm::threads / warp_size];
  PreciseSum total{};
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < a.count; i += blockDim.x) total = total + a.sums[i];
  float found = 0;
  for (int64_t i = threadIdx.x; i < a.watched_count; i += blockDim.x) found += is_finite(*a.watched[i]) ? 0.0f : 1.0f;
  total = block_sum(total, parts);
  found = block_sum(found, strange);
  if (threadIdx.x != 0) return;
  // Nothing is rounded off an infinite sum.
  const bool finite = total.sum - total.sum == 0;
  const float norm = static_cast<float>(sqrt_rn(finite ? total.sum + total.rest : total.sum));
  a.norm[0] = found == 0 ? norm : float_of(0x7fffffff);
}

// --- AdamW ------------------------------------------------------------------------------------------------

// The products and sums are fused in one way, whatever the compiler would choose: a number's update does not depend on
// where it is.
struct Update {
  const UpdateTensors& a;
  float scale, step, kept;

  void number(float& theta, float gradient, float& m, float& v) const {
    const float g = gradient * scale;
    m = fused(m, a.beta1, a.rest1 * g);
    v = fused(v, a.beta2, a.rest2 * (g * g));
    theta = (theta - divide_rn(m * step, sqrt_rn(v) + a.epsilon)) * kept;
  }

  // Numbers `at`; the gradient's own numbers begin elsewhere, or are zeros if it is null.
  void one(const UpdatedTensor& t, int64_t at, const float* gradient) const {
    float theta = t.theta[at], m = t.m[at], v = t.v[at];
    number(theta, gradient == nullptr ? 0.0f : *gradient, m, v);
    t.theta[at] = theta;
    t.m[at] = m;
    t.v[at] = v;
    if (t.rounded != nullptr) t.rounded[at] = static_cast<uint16_t>(pack_bf16(theta, 0));
  }

  void four(const UpdatedTensor& t, int64_t at, const float* gradient) const {
    Four theta = load_four(t.theta + at), m = load_four(t.m + at), v = load_four(t.v + at);
    const Four g = gradient == nullptr ? Four{} : load_four(gradient);
    number(theta.x, g.x, m.x, v.x);
    number(theta.y, g.y, m.y, v.y);
    number(theta.z, g.z, m.z, v.z);
    number(theta.w, g.w, m.w, v.w);
    store_four(t.theta + at, theta);
    store_four(t.m + at, m);
    store_four(t.v + at, v);
    if (t.rounded != nullptr)
      *reinterpret_cast<FourHalves*>(t.rounded + at) = {pack_bf16(theta.x, theta.y), pack_bf16(theta.z, theta.w)};
  }

  // Numbers `first` … `end` − 1 by `count` threads, of which this is `thread`.
  void numbers(const UpdatedTensor& t, int64_t first, int64_t end, const float* gradient, int thread, int count) const {
    const int size = static_cast<int>(end - first), fours = t.fours ? size / 4 : 0;
    for (int i = thread; i < fours; i += count) four(t, first + 4 * i, gradient == nullptr ? nullptr : gradient + 4 * i);
    for (int i = 4 * fours + thread; i < size; i += count)
      one(t, first + i, gradient == nullptr ? nullptr : gradient + i);
  }
};

// The index of `row` in ascending ids, or −1.
inline int64_t found_at(const int32_t* ids, int64_t count, int64_t row) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (ids[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low < count && ids[low] == row ? low : -1;
}

extern "C" __global__ void __launch_bounds__(256) update_tensors(const UpdateTensors a) {
  const float norm = a.norm[0];
  if (!is_finite(norm)) return;
  const double scale = a.largest / (static_cast<double>(norm) + 1e-6);
  const UpdatedTensor t = tensor_of_block(a.tensors, a.count);
  const Update update{a, scale < 1 ? static_cast<float>(scale) : 1.0f, t.step, t.kept};
  const int64_t block = blockIdx.x - t.first_block;
  if (t.active == nullptr) {
    const int64_t first = block * UpdatedTensor::numbers_in_a_block, last = first + UpdatedTensor::numbers_in_a_block;
    update.numbers(t, first, last < t.width ? last : t.width, t.gradient + first, threadIdx.x, blockDim.x);
    return;
  }
  // A warp has some rows: first its lanes look for one each, then all update one after another.
  constexpr int rows = UpdatedTensor::rows_in_a_block / (UpdateTensors::threads / warp_size);
  const int lane = threadIdx.x % warp_size;
  const int64_t first = block * UpdatedTensor::rows_in_a_block + threadIdx.x / warp_size * rows;
  uint32_t place = 0;  // of the row's gradient, from 2; 1: zeros; 0: the row is not updated
  if (lane < rows && first + lane < t.rows) {
    const int64_t found = found_at(t.ids, t.id_count, first + lane);
    if (found >= 0) t.active[first + lane] = 1;
    place = found >= 0 ? static_cast<uint32_t>(found) + 2 : t.active[first + lane] != 0 ? 1 : 0;
  }
  for (int i = 0; i < rows; i++) {
    const uint32_t here = shuffle(place, i);
    if (here == 0) continue;
    const float* gradient = here == 1 ? nullptr : t.gradient + static_cast<int64_t>(here - 2) * t.width;
    const int64_t start = (first + i) * t.width;
    update.numbers(t, start, start + t.width, gradient, lane, warp_size);
  }
}

extern "C" __global__ void __launch_bounds__(256) mark_active_rows(const MarkActiveRows a) {
  const int64_t row = thread_of_grid() / warp_size;
  if (row >= a.rows) return;
  const float* m = a.m + row * a.width;
  const float* v = a.v + row * a.width;
  bool active = false;
#pragma unroll 4
  for (int64_t column = threadIdx.x % warp_size; column < a.width; column += warp_size)
    active = active || m[column] != 0 || v[column] != 0;
  active = any_lane(active);
  if (threadIdx.x % warp_size == 0) a.active[row] = active ? 1 : 0;
}

}  // namespace kasosei
