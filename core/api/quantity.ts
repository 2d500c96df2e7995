/** The result of comparing figures with their reference. */
export interface Quantity {
  readonly name: string
  /** The largest deviation among its numbers, on the scale of `tolerance`. */
  readonly worst: number
  readonly tolerance: number
  readonly ok: boolean
  /** Which number has the largest deviation. */
  readonly at: string
  readonly expected: number
  readonly found: number
}

/** One number of a quantity. */
export interface ComparedNumber {
  readonly at: string
  readonly expected: number
  readonly found: number
  /** The deviation is divided by this: 1 by default, for an absolute deviation. */
  readonly scale?: number
}

/**
 * The worst of several comparisons. A deviation that is not finite counts as infinite.
 *
 * @throws RangeError if there is nothing to compare
 */
export const quantity = (
  name: string,
  tolerance: number,
  comparisons: Iterable<ComparedNumber>,
): Quantity => {
  let worst: Quantity | undefined
  for (const { at, expected, found, scale = 1 } of comparisons) {
    const distance = Math.abs(found - expected) / scale
    const deviation = Number.isFinite(distance) ? distance : Number.POSITIVE_INFINITY
    if (worst !== undefined && deviation <= worst.worst) continue
    worst = { name, worst: deviation, tolerance, ok: deviation <= tolerance, at, expected, found }
  }
  if (worst === undefined) throw new RangeError(`${name}: there is nothing to compare`)
  return worst
}
