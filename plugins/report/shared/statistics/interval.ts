import { studentTwoSided } from "./distribution.ts"
import { mean, standardDeviation } from "./moments.ts"

/** The coverage of every interval of the report. */
export const COVERAGE = 0.95

/** The ends of an interval. */
export interface Ends {
  readonly low: number
  readonly high: number
}

/** An interval, or why the sample gives none. */
export type Interval =
  | { readonly kind: "interval"; readonly low: number; readonly high: number }
  | {
      readonly kind: "none"
      /** `equal`: all values are the same. `one-sided`: every resample lies on one side of the estimate. */
      readonly why: "empty" | "single" | "two" | "equal" | "one-sided"
    }

/** Why no interval can be estimated from these values; null if one can. Two values are enough for Student's t. */
export const tooLittle = (values: readonly number[]): (Interval & { kind: "none" }) | null => {
  if (values.length === 0) return { kind: "none", why: "empty" }
  if (values.length === 1) return { kind: "none", why: "single" }
  return values.every((value) => value === values[0]) ? { kind: "none", why: "equal" } : null
}

/** mean ± t·s/√n, Student's t with n − 1 degrees of freedom, s with ddof 1. */
export const meanInterval = (values: readonly number[]): Interval => {
  const none = tooLittle(values)
  if (none !== null) return none
  const n = values.length
  const half = (studentTwoSided(COVERAGE, n - 1) * standardDeviation(values, 1)) / Math.sqrt(n)
  return { kind: "interval", low: mean(values) - half, high: mean(values) + half }
}
