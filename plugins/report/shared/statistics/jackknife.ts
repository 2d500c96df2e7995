import { studentTwoSided } from "./distribution.ts"
import type { Ends } from "./interval.ts"
import { mean } from "./moments.ts"

/**
 * estimate ± t · s, s from the estimates with one of n units left out, s² = (n − 1)/n Σ (estimate₍ᵢ₎ − their mean)²
 * (J. Tukey 1958), n − 1 degrees of freedom. Units, such as seeds, may have several values each.
 *
 * @param without the estimate without unit i; null if it is undefined then
 * @returns null if an estimate is undefined, or nothing varies
 */
export const jackknifeInterval = (
  n: number,
  estimate: number,
  without: (i: number) => number | null,
  level: number,
): Ends | null => {
  if (n < 3) return null
  const each = Array.from({ length: n }, (_, i) => without(i))
  const known = each.flatMap((one) => (one === null || !Number.isFinite(one) ? [] : [one]))
  if (known.length < n || !Number.isFinite(estimate)) return null
  const centre = mean(known)
  const squares = known.reduce((sum, one) => sum + (one - centre) ** 2, 0)
  const half = studentTwoSided(level, n - 1) * Math.sqrt(((n - 1) / n) * squares)
  return half === 0 ? null : { low: estimate - half, high: estimate + half }
}
