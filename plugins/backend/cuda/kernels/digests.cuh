// Digests of tensors: that of a tensor is the sum, modulo 2⁶⁴, of what each two words of it and their place are mixed
// to. Such sums are the same in any order.
#pragma once

#include "digest-arguments.h"

#include "optimiser.cuh"
#include "reduction.cuh"

namespace kasosei {

// As the output of SplitMix64 (Steele et al. 2014): no two words at the same place are mixed to the same.
inline uint64_t mixed(uint64_t words, int64_t place) {
  uint64_t x = words + static_cast<uint64_t>(place + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

extern "C" __global__ void __launch_bounds__(256) digest_blocks(const DigestBlocks a) {
  __shared__ uint64_t parts[DigestBlocks::threads / warp_size];
  const DigestedTensor tensor = tensor_of_block(a.tensors, a.count);
  const int64_t first = (blockIdx.x - tensor.first_block) * DigestedTensor::pairs_in_a_block;
  const int64_t pairs = tensor.count / 2, left = pairs - first;
  const int size = static_cast<int>(left < DigestedTensor::pairs_in_a_block ? left : DigestedTensor::pairs_in_a_block);
  // A tensor's memory begins at a multiple of 8 bytes.
  const uint64_t* words = reinterpret_cast<const uint64_t*>(tensor.words) + first;
  uint64_t sum = 0;
#pragma unroll 4
  for (int i = threadIdx.x; i < size; i += DigestBlocks::threads) sum += mixed(words[i], first + i);
  // The last word of an odd number is in the last block, which may have no pair beside it.
  const bool is_last = left < DigestedTensor::pairs_in_a_block;
  if (is_last && tensor.count % 2 != 0 && threadIdx.x == 0) sum += mixed(tensor.words[tensor.count - 1], pairs);
  sum = block_sum(sum, parts);
  if (threadIdx.x == 0) a.parts[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(128) add_digests(const AddDigests a) {
  __shared__ uint64_t parts[AddDigests::threads / warp_size];
  const int64_t next = static_cast<int64_t>(blockIdx.x) + 1;
  const int64_t end = next < a.count ? a.tensors[next].first_block : a.blocks;
  uint64_t sum = 0;
  for (int64_t i = a.tensors[blockIdx.x].first_block + threadIdx.x; i < end; i += AddDigests::threads) sum += a.parts[i];
  sum = block_sum(sum, parts);
  if (threadIdx.x == 0) a.digests[blockIdx.x] = sum;
}

}  // namespace kasosei
