// Matrix products by NVIDIA's cuBLASLt, which is found when the program runs.
#pragma once

#include "products.h"

namespace kasosei {

// Opens the library, once, on a device that was started: products are by it from now on. Throws DeviceFailure.
void open_blas(const char* path);

// The library's version, as it numbers it; 0 if it was not opened.
int64_t blas_version();

// The product, without GELU. Returns false, and has done nothing, if the library has no algorithm for it. The factors of
// a bfloat16 product must be given rounded. The bias is added if `with_bias` becomes true.
bool multiply_by_blas(const Product& product, bool& with_bias);

}  // namespace kasosei
