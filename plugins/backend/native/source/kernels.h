// Kernels that other kernels call.
#pragma once

#include "buffer.h"

namespace kasosei {

void fill(Out out, double value);

}  // namespace kasosei
