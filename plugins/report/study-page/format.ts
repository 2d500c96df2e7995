import type { Interval } from "./statistics/interval.ts"

/** Fixed decimals with a true minus sign. */
export const decimal = (value: number, digits: number): string => {
  const text = value.toFixed(digits)
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−")
}

/** The shortest form: 1e-5, 1.5e-5; a product that is off in its last bits reads as what it was meant to be. */
export const learningRate = (lr: number): string => Number(lr.toPrecision(12)).toExponential()

/** What stands in a cell where a number cannot: `noun` is what was counted. */
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

/** The lower and upper end for two columns of a CSV file. */
export const ends = (of: Interval): readonly [number | null, number | null] =>
  of.kind === "interval" ? [of.low, of.high] : [null, null]
