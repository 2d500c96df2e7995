// Kernels that other kernels call.
#pragma once

#include "buffer.h"

namespace native {

void fill(Out out, double value);

}  // namespace native
