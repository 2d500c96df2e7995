// How the factors of matrix products are rounded. Sums are float32.
#pragma once

#include <cstdint>

namespace kasosei {

// As the caller numbers them.
enum class Precision : int64_t { float32 = 0, tensor_float32 = 1, bfloat16 = 2 };

}  // namespace kasosei
