// Vectors of one number: a thread of the GPU is a lane.
#pragma once

#include "instructions.cuh"

// What takes an array or a kernel's arguments by reference: not inlined, they would be in memory.
#define KASOSEI_INLINE __attribute__((always_inline)) inline

namespace kasosei {

typedef float Floats;
typedef int32_t Ints;
typedef uint32_t Words;

inline Floats all(float value) { return value; }
inline Floats bits_to_floats(Ints bits) { return float_of(static_cast<uint32_t>(bits)); }
inline Ints floats_to_bits(Floats value) { return static_cast<Ints>(bits_of(value)); }
inline Ints to_integers(Floats value) { return static_cast<Ints>(value); }

// If the condition is false, as with NaN, the result is `otherwise`.
inline Floats choose(bool condition, Floats value, Floats otherwise) { return condition ? value : otherwise; }
inline Floats at_least(Floats value, float bound) { return choose(value < bound, bound, value); }
inline Floats at_most(Floats value, float bound) { return choose(value > bound, bound, value); }
inline Floats magnitude(Floats value) { return float_of(bits_of(value) & 0x7fffffff); }

struct Wide {
  Words high, low;
};

// The full 64 bits of x · m.
inline Wide multiply_wide(Words x, uint32_t m) { return {multiply_high(x, m), x * m}; }

}  // namespace kasosei
