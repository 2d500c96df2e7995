import { integers, stream } from "../../../../core/tensor/stream.ts"
import { normalCdf, normalQuantile } from "./distribution.ts"
import { COVERAGE, type Interval, tooLittle } from "./interval.ts"

/** Number of resamples drawn for each interval. */
export const RESAMPLES = 10_000

const draws = stream(20250310, "bootstrap")

/**
 * Bias-corrected and accelerated bootstrap interval of `statistic` (B. Efron, "Better bootstrap confidence
 * intervals", 1987), with the acceleration from the jackknife. The resamples depend only on the number of values, so
 * the same values in the same order give the same bits, whatever else is computed.
 */
export const bcaInterval = (
  values: readonly number[],
  statistic: (sample: ArrayLike<number>) => number,
): Interval => {
  const none = tooLittle(values)
  if (none !== null) return none
  // With one of two values left out, no spread remains to estimate the acceleration from.
  if (values.length === 2) return { kind: "none", why: "two" }

  const n = values.length
  const chosen = integers({ stream: draws, site: 0, iteration: 0 }, RESAMPLES * n, n)
  const sample = new Float64Array(n)
  const replicates = Float64Array.from({ length: RESAMPLES }, (_, b) => {
    for (let i = 0; i < n; i++) sample[i] = values[chosen[b * n + i]!]!
    return statistic(sample)
  })
  const jackknife = values.map((_, left) => statistic(values.filter((_, i) => i !== left)))
  return bcaOfReplicates(statistic(values), replicates, jackknife)
}

/**
 * The BCa interval from its parts: the estimate, its bootstrap replicates, and the estimates with one value left
 * out. Replicates equal to the estimate count half towards the bias; percentiles interpolate linearly.
 */
export const bcaOfReplicates = (
  estimate: number,
  replicates: Float64Array,
  jackknife: readonly number[],
): Interval => {
  const sorted = replicates.slice().sort()
  // A resample that only reorders the values may differ from the estimate in the last bits: it counts as a tie.
  const tolerance = 1e-12 * Math.max(Math.abs(estimate), sorted[sorted.length - 1]! - sorted[0]!)
  let below = 0
  for (const replicate of sorted) {
    if (Math.abs(replicate - estimate) <= tolerance) below += 0.5
    else if (replicate < estimate) below += 1
  }
  const bias = normalQuantile(below / sorted.length)
  const acceleration = accelerationOf(jackknife, tolerance)
  const at = (z: number): number | null => {
    const shifted = bias + z
    const stretch = 1 - acceleration * shifted
    return Number.isFinite(shifted) && stretch > 0
      ? percentile(sorted, normalCdf(bias + shifted / stretch))
      : null
  }
  const reach = normalQuantile((1 + COVERAGE) / 2)
  const low = at(-reach)
  const high = at(reach)
  return low === null || high === null ? { kind: "none", why: "one-sided" } : { kind: "interval", low, high }
}

/** Σd³ / (6 (Σd²)^{3/2}), d = mean − estimate without value i; 0 if leaving one out changes nothing. */
const accelerationOf = (jackknife: readonly number[], tolerance: number): number => {
  const centre = jackknife.reduce((sum, each) => sum + each, 0) / jackknife.length
  const distances = jackknife.map((each) => centre - each)
  if (distances.every((d) => Math.abs(d) <= tolerance)) return 0
  const squares = distances.reduce((sum, d) => sum + d * d, 0)
  return distances.reduce((sum, d) => sum + d ** 3, 0) / (6 * squares ** 1.5)
}

const percentile = (sorted: Float64Array, p: number): number => {
  const position = p * (sorted.length - 1)
  const below = Math.floor(position)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low + (position - below) * (high - low)
}
