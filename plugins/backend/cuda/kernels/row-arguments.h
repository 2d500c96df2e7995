// The arguments of kernels over rows of a table.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// Copies `size` numbers in rows of `width`: row n from row from_at[n], or to row to_at[n]; the other is null.
struct CopyRows {
  static constexpr const char* kernel = "copy_rows";
  const float* from;
  float* to;
  const int32_t* from_at;
  const int32_t* to_at;
  int64_t size, width;
  bool fours;
};

// Rows of a segment: they are added in float32, in their order. A slot with more rows has several segments, whose sums
// are added in float64.
constexpr int rows_in_a_segment = 64;

struct Segment {
  int32_t first, count;  // in the order of the rows by slot
  int32_t slot;          // where the sum goes, or −1
  int32_t part;          // or there
};

struct SumSegments {
  static constexpr const char* kernel = "sum_segments";
  static constexpr int threads = 128;
  const float* x;
  const int32_t* order;  // of the rows, by slot
  const Segment* segments;
  float* slots;
  float* parts;
  int64_t width, blocks_across;
};

// A slot with several segments.
struct Joint {
  int32_t slot, first, count;  // its parts
};

struct AddSegments {
  static constexpr const char* kernel = "add_segments";
  static constexpr int threads = 128;
  const float* parts;
  const Joint* joints;
  float* slots;
  int64_t width, blocks_across;
};

}  // namespace kasosei
