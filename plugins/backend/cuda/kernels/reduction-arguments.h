// The arguments of sums over the rows of a matrix.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// Rows per group: a group is added in float32, row after row, and the sums of the groups in float64, in their order.
constexpr int rows_in_a_group = 64;

// The sums of each group's rows of x, and of their products with those of `factor`, which may be null.
struct SumGroups {
  static constexpr const char* kernel = "sum_groups";
  static constexpr int threads = 128;
  const float* x;
  const float* factor;
  float* sums;      // [groups, columns]
  float* products;  // the same, of the products
  int64_t rows, columns, blocks_across;
};

struct AddGroups {
  static constexpr const char* kernel = "add_groups";
  static constexpr int threads = 128;
  const float* sums;
  const float* products;
  float* to;  // [columns]
  float* products_to;
  int64_t groups, columns;
};

}  // namespace kasosei
