// Elements of dropout masks: 0 or 1 / (1 − rate).
#pragma once

#include "four.h"
#include "philox.h"

namespace kasosei {

inline float kept(const Mask& mask, Words word) { return word < mask.threshold ? 0.0f : mask.scale; }

// Elements 4 · block to 4 · block + 3.
inline Four kept_four(const Mask& mask, int64_t block) {
  const Draws drawn = philox(mask, static_cast<uint32_t>(block));
  return {kept(mask, drawn.x0), kept(mask, drawn.x1), kept(mask, drawn.x2), kept(mask, drawn.x3)};
}

inline float kept_one(const Mask& mask, int64_t element) {
  const Draws drawn = philox(mask, static_cast<uint32_t>(element >> 2));
  const int at = static_cast<int>(element & 3);
  return kept(mask, at < 2 ? (at == 0 ? drawn.x0 : drawn.x1) : (at == 2 ? drawn.x2 : drawn.x3));
}

}  // namespace kasosei
