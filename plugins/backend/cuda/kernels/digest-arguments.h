// The arguments of the digests of a list of tensors.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// A tensor of words, whose blocks begin with `first_block` and end with the next one's.
struct DigestedTensor {
  static constexpr int64_t pairs_in_a_block = 16384;
  const uint32_t* words;
  int64_t count;
  int64_t first_block;
};

// What each block's part of a tensor adds to its digest.
struct DigestBlocks {
  static constexpr const char* kernel = "digest_blocks";
  static constexpr int threads = 256;
  const DigestedTensor* tensors;
  int32_t count;
  uint64_t* parts;  // one of each block
};

// A block for each tensor.
struct AddDigests {
  static constexpr const char* kernel = "add_digests";
  static constexpr int threads = 128;
  const DigestedTensor* tensors;
  int32_t count;
  int64_t blocks;
  const uint64_t* parts;
  uint64_t* digests;
};

}  // namespace kasosei
