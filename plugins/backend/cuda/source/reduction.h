// Sums over the rows of a matrix.
#pragma once

#include "device.h"

namespace kasosei {

// to[column] = Σ_row x[row, column]: groups of 64 rows in float32, and their sums in float64. If `factor` is given, also
// products_to[column] = Σ_row x[row, column] · factor[row, column].
void column_sums(const float* x, int64_t rows, int64_t columns, float* to, const float* factor = nullptr,
                 float* products_to = nullptr);

}  // namespace kasosei
