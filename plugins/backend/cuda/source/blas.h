// Matrix products by NVIDIA's cuBLASLt, which is found when the program runs.
#pragma once

#include "products.h"

namespace kasosei {

// Whether the library was opened: products are then by it.
bool has_blas();

// Gives up the library.
void stop_blas();

// The product, without GELU. Returns false, and has done nothing, if the library has no algorithm for it. The factors of
// a bfloat16 product must be given rounded. The bias is added if `with_bias` becomes true.
bool multiply_by_blas(const Product& product, bool& with_bias);

}  // namespace kasosei
