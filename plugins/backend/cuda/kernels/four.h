// Four neighbouring numbers, which a thread reads and writes in one access.
#pragma once

#include "vector.h"

namespace kasosei {

struct alignas(16) Four {
  float x, y, z, w;
};

// Four numbers of 16 bits.
struct alignas(8) FourHalves {
  uint32_t low, high;
};

inline Four load_four(const float* from) { return *reinterpret_cast<const Four*>(from); }
inline void store_four(float* to, const Four& value) { *reinterpret_cast<Four*>(to) = value; }

// As bfloat16 numbers.
inline void store_rounded(uint16_t* to, const Four& value) {
  *reinterpret_cast<FourHalves*>(to) = {pack_bf16(value.x, value.y), pack_bf16(value.z, value.w)};
}
inline void store_rounded(uint16_t* to, float value) { *to = static_cast<uint16_t>(pack_bf16(value, 0)); }

inline Four operator+(const Four& a, const Four& b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }
inline Four operator-(const Four& a, const Four& b) { return {a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w}; }
inline Four operator*(const Four& a, const Four& b) { return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w}; }
inline Four operator+(const Four& a, float b) { return {a.x + b, a.y + b, a.z + b, a.w + b}; }
inline Four operator-(const Four& a, float b) { return {a.x - b, a.y - b, a.z - b, a.w - b}; }
inline Four operator*(const Four& a, float b) { return {a.x * b, a.y * b, a.z * b, a.w * b}; }
inline float sum(const Four& a) { return (a.x + a.y) + (a.z + a.w); }

}  // namespace kasosei
