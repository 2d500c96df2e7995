import { exp, hypot } from "../../../../core/tensor/elementary.ts"
import { logGamma } from "./distribution.ts"
import type { Ends } from "./interval.ts"
import { wilson } from "./proportion.ts"

/** k of n. */
export interface Count {
  readonly of: number
  readonly count: number
}

/**
 * Two-sided p of Fisher's exact test of two independent proportions: the probability, with the margins given, of all
 * tables that are no more likely than the one observed.
 */
export const fisherExact = (first: Count, second: Count): number => {
  const total = first.count + second.count
  const low = Math.max(0, total - second.of)
  const high = Math.min(total, first.of)
  const choose = (n: number, k: number) => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1)
  const probability = (k: number) =>
    exp(choose(first.of, k) + choose(second.of, total - k) - choose(first.of + second.of, total))
  const observed = probability(first.count) * (1 + 1e-7)
  let p = 0
  for (let k = low; k <= high; k++) {
    const each = probability(k)
    if (each <= observed) p += each
  }
  // A sum over all tables may miss 1 by its last bits.
  return p > 1 - 1e-12 ? 1 : p
}

/**
 * Interval of the difference of two independent proportions, first − second, from the Wilson interval of each: R.
 * Newcombe, "Interval estimation for the difference between independent proportions" (1998), method 10.
 */
export const newcombeUnpaired = (first: Count, second: Count, level: number): Ends => {
  const [p1, p2] = [first.count / first.of, second.count / second.of]
  const [w1, w2] = [wilson(first.count, first.of, level), wilson(second.count, second.of, level)]
  return {
    low: p1 - p2 - hypot(p1 - w1.low, w2.high - p2),
    high: p1 - p2 + hypot(w1.high - p1, p2 - w2.low),
  }
}
