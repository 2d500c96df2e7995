import type { Interval } from "../shared/statistics/interval.ts"

/** A fixed number of decimals, with a true minus sign. */
export const decimal = (value: number, digits: number): string => {
  const text = value.toFixed(digits)
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−")
}

/** The shortest form: 1e-5, 1.5e-5; rounding errors in the last bits, as in 3 * 1e-5, do not appear. */
export const learningRate = (lr: number): string => Number(lr.toPrecision(12)).toExponential()

/** The text of a cell that has no interval, saying why; `noun` is what was counted. */
const reasons = {
  empty: (noun: string) => `no ${noun}`,
  single: (noun: string) => `one ${noun}`,
  two: (noun: string) => `two ${noun}s`,
  equal: () => "all equal",
  "one-sided": () => "one-sided",
}

export const interval = (of: Interval, digits: number, noun: string): string =>
  of.kind === "interval" ? `${decimal(of.low, digits)} to ${decimal(of.high, digits)}` : reasons[of.why](noun)

export const pValue = (p: number): string => (p < 0.0001 ? "< 0.0001" : decimal(p, 4))

/** The lower and upper ends, for two columns of a CSV file. */
export const ends = (of: Interval): readonly [number | null, number | null] =>
  of.kind === "interval" ? [of.low, of.high] : [null, null]
