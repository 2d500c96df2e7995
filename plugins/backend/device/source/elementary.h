// Elementary functions of float32 numbers, in plain arithmetic: the same source for all devices. `vector.h` is each
// device's own: it says how many numbers there are in a `Floats`, and has their comparisons.
#pragma once

#include "vector.h"

namespace kasosei {

// eˣ to about one unit in the last place: 2ⁿ times a polynomial of the rest, |rest| ≤ ln 2 / 2 (coefficients of Cephes'
// expf, Moshier 1992). 0 below −87.3, where the result is no longer a normal float32.
inline Floats exponential(Floats x) {
  const Floats inside = at_most(at_least(x, -87.33654f), 88.37626f);
  // Adding and subtracting 1.5 · 2²³ rounds to the nearest integer.
  const Floats n = (inside * 1.44269504088896341f + 12582912.0f) - 12582912.0f;
  const Floats rest = (inside - n * 0.693359375f) - n * -2.12194440e-4f;
  Floats p = all(1.9875691500e-4f);
  p = p * rest + 1.3981999507e-3f;
  p = p * rest + 8.3334519073e-3f;
  p = p * rest + 4.1665795894e-2f;
  p = p * rest + 1.6666665459e-1f;
  p = p * rest + 5.0000001201e-1f;
  const Floats value = (p * rest) * rest + rest + 1.0f;
  const Ints power = (to_integers(n) + 127) << 23;
  return choose(x < -87.33654f, Floats{}, value * bits_to_floats(power));
}

}  // namespace kasosei
