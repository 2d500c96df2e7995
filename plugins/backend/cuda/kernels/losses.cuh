// Softmax cross-entropy, and what InfoNCE needs beside it and matrix products.
#pragma once

#include "loss-arguments.h"

#include "elementary.h"
#include "grid.cuh"
#include "reduction.cuh"

namespace kasosei {

// ln x for a normal x ≥ 2⁻¹²⁶ that float32 can hold: ln m = 2 artanh((m − 1) / (m + 1)), whose eleven terms reach 1e-17.
inline double logarithm(double x) {
  int exponent = static_cast<int>(bits_of(static_cast<float>(x)) >> 23) - 127;
  double mantissa = x * static_cast<double>(float_of(static_cast<uint32_t>(127 - exponent) << 23));
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const double t = (mantissa - 1) / (mantissa + 1), square = t * t;
  double sum = 0;
#pragma unroll
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return exponent * 0.69314718055994530942 + 2 * t * sum;
}

// use(number, its index) for this thread's numbers of a row: several are read before the first of them is used.
template <typename Use>
inline void for_row(const float* row, int64_t size, const Use& use) {
  constexpr int at_once = 4;
  const int step = blockDim.x;
  int64_t i = threadIdx.x;
  for (; i + (at_once - 1) * step < size; i += at_once * step) {
    float numbers[at_once];
#pragma unroll
    for (int n = 0; n < at_once; n++) numbers[n] = row[i + n * step];
#pragma unroll
    for (int n = 0; n < at_once; n++) use(numbers[n], i + n * step);
  }
  for (; i < size; i += step) use(row[i], i);
}

extern "C" __global__ void __launch_bounds__(256) cross_entropy(const CrossEntropy a) {
  constexpr int warps = CrossEntropy::threads / warp_size;
  __shared__ float maxima[warps];
  __shared__ double sums[warps];
  const int64_t row = blockIdx.x, label = a.labels == nullptr ? row : a.labels[row];
  const float* logits = a.logits + row * a.classes;
  float* gradient = a.gradient + row * a.classes;
  float largest = logits[0] * a.factor;
  for_row(logits, a.classes, [&](float logit, int64_t) {
    const float value = logit * a.factor;
    largest = value > largest ? value : largest;
  });
  largest = block_maximum(largest, maxima);
  const float chosen = logits[label] * a.factor;
  float part = 0;
  for_row(logits, a.classes, [&](float logit, int64_t) { part += exponential(logit * a.factor - largest); });
  // The barrier in this sum also keeps the row from being overwritten before all have read it.
  const double sum = block_sum(static_cast<double>(part), sums);
  const float share = static_cast<float>(static_cast<double>(a.scale) / sum);
  for_row(logits, a.classes, [&](float logit, int64_t c) {
    const float value = exponential(logit * a.factor - largest) * share;
    gradient[c] = (c == label ? value - a.scale : value) * a.factor;
  });
  if (threadIdx.x == 0) a.losses[row] = logarithm(sum) + largest - chosen;
}

// One block.
extern "C" __global__ void __launch_bounds__(256) mean_loss(const MeanLoss a) {
  __shared__ double sums[MeanLoss::threads / warp_size];
  double part = 0;
  for (int64_t row = threadIdx.x; row < a.rows; row += blockDim.x) part += a.losses[row];
  const double sum = block_sum(part, sums);
  if (threadIdx.x == 0) a.loss[0] = static_cast<float>(sum / static_cast<double>(a.rows));
}

// Smaller lengths are replaced by this one, as in PyTorch's cosine similarity.
constexpr double smallest_length = 1e-8;

extern "C" __global__ void __launch_bounds__(128) normalise_rows(const NormaliseRows a) {
  __shared__ double sums[NormaliseRows::threads / warp_size];
  const int64_t row = blockIdx.x;
  const float* from = row < a.rows ? a.first + row * a.width : a.second + (row - a.rows) * a.width;
  float* to = a.units + row * a.width;
  double part = 0;
  for (int64_t i = threadIdx.x; i < a.width; i += blockDim.x) part += static_cast<double>(from[i]) * from[i];
  const double length = sqrt_rn(block_sum(part, sums));
  const double divisor = length < smallest_length ? smallest_length : length, inverse = 1 / divisor;
  for (int64_t i = threadIdx.x; i < a.width; i += blockDim.x) to[i] = static_cast<float>(from[i] * inverse);
  if (threadIdx.x == 0) a.lengths[row] = divisor;
}

extern "C" __global__ void __launch_bounds__(128) through_normalisation(const ThroughNormalisation a) {
  __shared__ double sums[ThroughNormalisation::threads / warp_size];
  const int64_t row = blockIdx.x;
  float* gradient = row < a.rows ? a.first + row * a.width : a.second + (row - a.rows) * a.width;
  const float* unit = a.units + row * a.width;
  double part = 0;
  for (int64_t i = threadIdx.x; i < a.width; i += blockDim.x) part += static_cast<double>(gradient[i]) * unit[i];
  const double along = block_sum(part, sums), inverse = 1 / a.lengths[row];
  for (int64_t i = threadIdx.x; i < a.width; i += blockDim.x)
    gradient[i] = static_cast<float>((gradient[i] - unit[i] * along) * inverse);
}

}  // namespace kasosei
