import { exp, log } from "../../../../core/tensor/elementary.ts"
import { bisect, logGamma, normalCdf, studentTails, studentTwoSided } from "./distribution.ts"
import type { Ends } from "./interval.ts"

/**
 * The probability that a two-sided t test at level 1 − α finds a difference on the side where it is.
 *
 * @param distance the difference over its standard error
 */
export const studentPower = (distance: number, df: number, alpha: number): number => {
  const critical = studentTwoSided(1 - alpha, df)
  // T = (Z + distance) / R with R² = χ²/df: the mean over R, by Simpson's rule, of P(Z > critical · R − distance).
  const steps = 400
  const spread = 8 / Math.sqrt(2 * df)
  const from = Math.max(1e-9, 1 - spread)
  const step = (1 + spread - from) / steps
  const logScale = log(2) + (df / 2) * log(df / 2) - logGamma(df / 2)
  let sum = 0
  for (let i = 0; i <= steps; i++) {
    const r = from + i * step
    const density = exp(logScale + (df - 1) * log(r) - (df * r * r) / 2)
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2
    sum += weight * density * normalCdf(distance - critical * r)
  }
  return Math.min(1, (sum * step) / 3)
}

/** The power that a design is asked for where nothing else is said, as J. Cohen (1988) proposes. */
export const SUFFICIENT_POWER = 0.8

/**
 * The difference, in standard deviations of the differences, that a two-sided paired t test at level 1 − α finds with
 * {@link SUFFICIENT_POWER}.
 *
 * @param pairs ≥ 2
 */
export const detectableDifference = (pairs: number, alpha: number): number => {
  const tooSmall = (difference: number) =>
    studentPower(difference * Math.sqrt(pairs), pairs - 1, alpha) < SUFFICIENT_POWER
  let high = 1
  while (tooSmall(high)) high *= 2
  return bisect(0, high, tooSmall)
}

/** Mean, standard deviation (ddof 0) and number of the runs of a cohort. */
export interface Summary {
  readonly mean: number
  readonly deviation: number
  readonly of: number
}

/** Welch's t test of two independent samples, from their summaries: B. L. Welch (1947). */
export const welch = (
  first: Summary,
  second: Summary,
  level: number,
): { readonly difference: number; readonly p: number; readonly interval: Ends } => {
  const parts = [first, second].map(({ deviation, of }) => ({
    variance: deviation ** 2 / (of - 1),
    df: of - 1,
  }))
  const variance = parts.reduce((sum, part) => sum + part.variance, 0)
  const df = variance ** 2 / parts.reduce((sum, part) => sum + part.variance ** 2 / part.df, 0)
  const difference = first.mean - second.mean
  const half = studentTwoSided(level, df) * Math.sqrt(variance)
  return {
    difference,
    p: studentTails(difference / Math.sqrt(variance), df),
    interval: { low: difference - half, high: difference + half },
  }
}
