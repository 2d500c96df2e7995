// Matrix products by NVIDIA's cuBLASLt, which is found when the program runs.
#pragma once

#include "products.h"

namespace kasosei {

// Loads the library; later products are computed by it. Throws if it cannot be used.
void open_blas(const char* path);
// Gives back what the library holds of the device, in whose context it must be called; products are then our own.
void close_blas();
// As the library numbers it, 0 without one.
int64_t blas_version();

// The product, without GELU. Returns false, and has done nothing, without the library, or if that has no algorithm for
// it. The factors of a bfloat16 product must be given rounded. The bias is added if `with_bias` becomes true.
bool multiply_by_blas(const Product& product, bool& with_bias);

}  // namespace kasosei
