/** A figure held against its reference. */
export interface Quantity {
  readonly name: string
  /** The largest deviation among the numbers of this name, as `tolerance` is meant. */
  readonly worst: number
  readonly tolerance: number
  readonly ok: boolean
  /** Where the deviation is largest. */
  readonly at: string
  readonly expected: number
  readonly found: number
}

/** One number of a quantity. */
export interface ComparedNumber {
  readonly at: string
  readonly expected: number
  readonly found: number
  /** What a deviation is divided by; 1 where left out: an absolute one. */
  readonly scale?: number
}

/** The worst of several comparisons. A number that is not finite is worse than any. */
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
