// Attention on the GPU.
#pragma once

#include "precision.h"

namespace kasosei {

// How the factors of its products are rounded. In float32 nothing is: then its numbers are the processor's, but for the
// rounding of sums.
Precision attention_precision();

}  // namespace kasosei
