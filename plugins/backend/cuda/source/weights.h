// Tensors as bfloat16 numbers, for products in that precision: a copy is made when a tensor is first used so, and given up
// when something else writes the tensor, or it is released. Those of weights are brought up to date by each update of
// AdamW; a layer's input is rounded once for all products of the step.
#pragma once

#include <cstdint>

#include "buffer.h"

namespace kasosei {

// The copy of a tensor [rows, columns], made if there is none; null if its rows cannot be read 16 bytes at a time.
const uint16_t* rounded_copy(In x, int64_t columns);

// The copy that an update of the weight has to write too, or null.
uint16_t* copy_to_update(const float* weight);

}  // namespace kasosei
