/** The result of comparing figures with their reference: that of the number that deviates most, for what is allowed. */
export interface Quantity {
  readonly name: string
  /** Its deviation. */
  readonly worst: number
  /** What is allowed of it. */
  readonly tolerance: number
  /** Whether more is allowed than the quantity's tolerance, because rounding alone moves this number as much. */
  readonly spread: boolean
  readonly ok: boolean
  /** Which number it is. */
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
  /** How far rounding may move this number, before it is divided: allowed even if it is beyond the tolerance. */
  readonly spread?: number
}

/**
 * The worst of several comparisons. Equal numbers do not deviate, whatever the scale; a deviation that is not finite
 * counts as infinite.
 *
 * @throws RangeError if there is nothing to compare
 */
export const quantity = (
  name: string,
  tolerance: number,
  comparisons: Iterable<ComparedNumber>,
): Quantity => {
  let worst: Quantity | undefined
  for (const { at, expected, found, scale = 1, spread = 0 } of comparisons) {
    const deviation = ratio(Math.abs(found - expected), scale)
    const rounding = ratio(spread, scale)
    const allowed = Number.isFinite(rounding) ? Math.max(tolerance, rounding) : tolerance
    if (worst !== undefined && !isWorse(deviation, allowed, worst)) continue
    worst = {
      name,
      worst: deviation,
      tolerance: allowed,
      spread: allowed > tolerance,
      ok: deviation <= allowed,
      at,
      expected,
      found,
    }
  }
  if (worst === undefined) throw new RangeError(`${name}: there is nothing to compare`)
  return worst
}

const ratio = (difference: number, scale: number): number => {
  if (difference === 0) return 0
  const quotient = difference / scale
  return Number.isFinite(quotient) ? quotient : Number.POSITIVE_INFINITY
}

const isWorse = (deviation: number, allowed: number, than: Quantity): boolean => {
  const [part, other] = [ratio(deviation, allowed), ratio(than.worst, than.tolerance)]
  return part > other || (part === other && deviation > than.worst)
}
