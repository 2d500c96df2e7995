// Layer normalisation over the features (Ba, Kiros and Hinton 2016), alone and of a residual sum with dropout.
#pragma once

#include "normalisation-arguments.h"

#include "dropout.cuh"
#include "four.h"
#include "reduction.cuh"

namespace kasosei {

constexpr int warps_of_a_row = threads_of_a_row / warp_size;
// Fours of a row that a thread keeps.
constexpr int fours_of_a_thread = largest_kept_row / 4 / threads_of_a_row;

inline float rstd_of(float squares, int64_t hidden, float epsilon) {
  return divide_rn(1.0f, sqrt_rn(divide_rn(squares, static_cast<float>(hidden)) + epsilon));
}

extern "C" __global__ void __launch_bounds__(256) layer_norm(const LayerNorm a) {
  __shared__ float parts[2][warps_of_a_row];
  const int64_t row = blockIdx.x, start = row * a.hidden;
  const int64_t masked_start = (a.rows_at == nullptr ? row : a.rows_at[row]) * a.hidden;
  const float* x = a.x + start;
  const float* residual = a.residual == nullptr ? nullptr : a.residual + start;
  float* y = a.y + start;
  uint16_t* rounded = a.rounded == nullptr ? nullptr : a.rounded + start;
  float* normalised = a.normalised + start;
  const float count = static_cast<float>(a.hidden);
  float total = 0, squares = 0;
  if (a.kept) {
    Four numbers[fours_of_a_thread];
    const int hidden = static_cast<int>(a.hidden), step = 4 * blockDim.x;
#pragma unroll
    for (int i = 0; i < fours_of_a_thread; i++) {
      const int column = i * step + 4 * threadIdx.x;
      if (column >= hidden) continue;
      Four value = load_four(x + column);
      if (residual != nullptr) {
        if (a.mask.active) value = value * kept_four(a.mask, (masked_start + column) / 4);
        value = load_four(residual + column) + value;
      }
      numbers[i] = value;
      total += sum(value);
    }
    const float mean = divide_rn(block_sum(total, parts[0]), count);
#pragma unroll
    for (int i = 0; i < fours_of_a_thread; i++) {
      if (i * step + 4 * threadIdx.x >= hidden) continue;
      numbers[i] = numbers[i] - mean;
      squares += sum(numbers[i] * numbers[i]);
    }
    const float rstd = rstd_of(block_sum(squares, parts[1]), a.hidden, a.epsilon);
#pragma unroll
    for (int i = 0; i < fours_of_a_thread; i++) {
      const int column = i * step + 4 * threadIdx.x;
      if (column >= hidden) continue;
      const Four value = numbers[i] * rstd;
      const Four scaled = value * load_four(a.gamma + column) + load_four(a.beta + column);
      store_four(normalised + column, value);
      store_four(y + column, scaled);
      if (rounded != nullptr) store_rounded(rounded + column, scaled);
    }
    if (threadIdx.x == 0) a.rstd[row] = rstd;
    return;
  }
  // What does not stay in registers is kept in the result; a thread reads what it has written itself.
  for (int64_t column = threadIdx.x; column < a.hidden; column += blockDim.x) {
    float value = x[column];
    if (residual != nullptr) {
      if (a.mask.active) value *= kept_one(a.mask, masked_start + column);
      value = residual[column] + value;
    }
    normalised[column] = value;
    total += value;
  }
  const float mean = divide_rn(block_sum(total, parts[0]), count);
  for (int64_t column = threadIdx.x; column < a.hidden; column += blockDim.x) {
    const float centred = normalised[column] - mean;
    squares += centred * centred;
  }
  const float rstd = rstd_of(block_sum(squares, parts[1]), a.hidden, a.epsilon);
  for (int64_t column = threadIdx.x; column < a.hidden; column += blockDim.x) {
    const float value = (normalised[column] - mean) * rstd;
    const float scaled = value * a.gamma[column] + a.beta[column];
    normalised[column] = value;
    y[column] = scaled;
    if (rounded != nullptr) store_rounded(rounded + column, scaled);
  }
  if (threadIdx.x == 0) a.rstd[row] = rstd;
}

// dx = (g − mean(g) − x̂ · mean(g · x̂)) · rstd, with g = γ · dy; and the same dropped by a mask, if that is wanted.
extern "C" __global__ void __launch_bounds__(256) layer_norm_input_gradient(const LayerNormInputGradient a) {
  __shared__ float parts[2][warps_of_a_row];
  const int64_t row = blockIdx.x, start = row * a.hidden;
  const float* dy = a.dy + start;
  const float* normalised = a.normalised + start;
  float* dx = a.dx + start;
  uint16_t* rounded = a.rounded == nullptr ? nullptr : a.rounded + start;
  float* dropped = a.dropped == nullptr ? nullptr : a.dropped + start;
  const int64_t masked_start = (a.rows_at == nullptr ? row : a.rows_at[row]) * a.hidden;
  const float count = static_cast<float>(a.hidden), rstd = a.rstd[row];
  float total = 0, along = 0;
  if (a.kept) {
    Four gradients[fours_of_a_thread], numbers[fours_of_a_thread];
    const int hidden = static_cast<int>(a.hidden), step = 4 * blockDim.x;
#pragma unroll
    for (int i = 0; i < fours_of_a_thread; i++) {
      const int column = i * step + 4 * threadIdx.x;
      if (column >= hidden) continue;
      gradients[i] = load_four(dy + column) * load_four(a.gamma + column);
      numbers[i] = load_four(normalised + column);
      total += sum(gradients[i]);
      along += sum(gradients[i] * numbers[i]);
    }
    const float mean = divide_rn(block_sum(total, parts[0]), count);
    const float mean_along = divide_rn(block_sum(along, parts[1]), count);
#pragma unroll
    for (int i = 0; i < fours_of_a_thread; i++) {
      const int column = i * step + 4 * threadIdx.x;
      if (column >= hidden) continue;
      Four value = (gradients[i] - mean - numbers[i] * mean_along) * rstd;
      store_four(dx + column, value);
      if (dropped != nullptr) {
        if (a.mask.active) value = value * kept_four(a.mask, (masked_start + column) / 4);
        store_four(dropped + column, value);
      }
      if (rounded != nullptr) store_rounded(rounded + column, value);
    }
    return;
  }
  for (int64_t column = threadIdx.x; column < a.hidden; column += blockDim.x) {
    const float gradient = dy[column] * a.gamma[column];
    total += gradient;
    along += gradient * normalised[column];
  }
  const float mean = divide_rn(block_sum(total, parts[0]), count);
  const float mean_along = divide_rn(block_sum(along, parts[1]), count);
  for (int64_t column = threadIdx.x; column < a.hidden; column += blockDim.x) {
    const float gradient = dy[column] * a.gamma[column];
    float value = (gradient - mean - normalised[column] * mean_along) * rstd;
    dx[column] = value;
    if (dropped != nullptr) {
      if (a.mask.active) value *= kept_one(a.mask, masked_start + column);
      dropped[column] = value;
    }
    if (rounded != nullptr) store_rounded(rounded + column, value);
  }
}

}  // namespace kasosei
