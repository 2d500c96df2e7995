// The exact GELU, x Φ(x) (Hendrycks and Gimpel 2016), and its derivative Φ(x) + x φ(x). The same source for all
// devices.
#pragma once

#include "elementary.h"

namespace kasosei {

struct Gelu {
  Floats value, derivative;
};

// With t = |x| / √2: for small t, erf is an odd polynomial; for larger ones erfc(t) = exp(−t · polynomial), so that the
// negative tail, Φ = erfc(t) / 2, keeps its relative accuracy. Minimax coefficients by N. Juffa (error of erf below one
// unit in the last place of float32).
inline Gelu gelu(Floats input) {
  // Beyond ± 14, Φ is 0 or 1; infinity times 0 would be NaN.
  const Floats x = at_most(at_least(input, -14.0f), 14.0f);
  const Floats t = magnitude(x) * 0.70710678118654752f;
  const Floats square = t * t;

  Floats near = all(-5.96761703e-4f);
  near = near * square + 4.99119423e-3f;
  near = near * square - 2.67681349e-2f;
  near = near * square + 1.12819925e-1f;
  near = near * square - 3.76125336e-1f;
  near = near * square + 1.28379166e-1f;
  const Floats erf = near * t + t;

  Floats far = t * -1.72853470e-5f + 3.83197126e-4f;
  const Floats coefficient = t * -3.88396438e-3f + 2.42546219e-2f;
  far = far * square + coefficient;
  far = far * t - 1.06777877e-1f;
  far = far * t - 6.34846687e-1f;
  far = far * t - 1.28717512e-1f;
  far = far * t - t;
  const Floats half_erfc = exponential(far) * 0.5f;

  const Floats upper_tail = choose(t > 0.927734375f, half_erfc, 0.5f - 0.5f * erf);
  const Floats distribution = choose(x < 0.0f, upper_tail, 1.0f - upper_tail);
  const Floats density = exponential(-square) * 0.39894228040143268f;
  return {choose(input > 14.0f, input, x * distribution), distribution + x * density};
}

}  // namespace kasosei
