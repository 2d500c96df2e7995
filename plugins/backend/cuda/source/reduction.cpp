#include "reduction.h"

#include "reduction-arguments.h"

namespace kasosei {

void column_sums(const float* x, int64_t rows, int64_t columns, float* to, const float* factor, float* products_to) {
  const int64_t groups = divide_up(rows, rows_in_a_group), across = divide_up(columns, SumGroups::threads);
  if (rows == 0) {
    fill_zero(to, columns * sizeof(float));
    if (factor != nullptr) fill_zero(products_to, columns * sizeof(float));
    return;
  }
  const Launch shape{.blocks = {groups * across}, .threads = SumGroups::threads};
  SumGroups sums{x, factor, to, products_to, rows, columns, across};
  // The sum of the only group is the result.
  if (groups == 1) return launch(shape, sums);
  const int64_t matrices = factor == nullptr ? 1 : 2;
  const Scratch scratch(matrices * groups * columns * static_cast<int64_t>(sizeof(float)));
  sums.sums = scratch.as<float>();
  sums.products = scratch.as<float>() + (matrices - 1) * groups * columns;
  launch(shape, sums);
  launch({.blocks = {divide_up(columns, AddGroups::threads), matrices}, .threads = AddGroups::threads},
         AddGroups{sums.sums, sums.products, to, products_to, groups, columns});
}

}  // namespace kasosei
