/** A number as a fraction, so that fractions of counts compare exactly. */
export interface Ratio {
  readonly numerator: number
  /** Above 0. */
  readonly denominator: number
}

export const quotient = ({ numerator, denominator }: Ratio): number => numerator / denominator

/** Whether `a` exceeds `b`; false if either is NaN. Exact for counts, whose products are below 2⁵³. */
export const exceeds = (a: Ratio, b: Ratio): boolean =>
  a.numerator * b.denominator > b.numerator * a.denominator
