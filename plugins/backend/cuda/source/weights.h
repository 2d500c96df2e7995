// Weights as bfloat16 numbers, for products in that precision: made when a weight is first used so, brought up to date
// by each update of AdamW, and given up when something else writes the weight, or it is released.
#pragma once

#include <cstdint>

#include "buffer.h"

namespace kasosei {

// The copy of a weight [rows, columns], made if there is none; null if its rows cannot be read 16 bytes at a time.
const uint16_t* rounded_weight(In weight, int64_t columns);

// The copy that an update of the weight has to write too, or null.
uint16_t* copy_to_update(const float* weight);

}  // namespace kasosei
