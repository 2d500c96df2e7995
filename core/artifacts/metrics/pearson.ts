/**
 * Pearson's correlation, as `scipy.stats.pearsonr` computes it.
 *
 * @returns a number in [−1, 1]; NaN if either side is constant or has a NaN, or for fewer than two pairs
 * @throws RangeError if the two differ in length
 */
export const pearson = (x: ArrayLike<number>, y: ArrayLike<number>): number => {
  if (x.length !== y.length) throw new RangeError(`expected equal lengths, found ${x.length} and ${y.length}`)
  // The rounded mean of a constant may differ from it.
  if (isConstant(x) || isConstant(y)) return Number.NaN
  const meanX = mean(x)
  const meanY = mean(y)
  let xy = 0
  let xx = 0
  let yy = 0
  for (let i = 0; i < x.length; i++) {
    const dx = x[i]! - meanX
    const dy = y[i]! - meanY
    xy += dx * dy
    xx += dx * dx
    yy += dy * dy
  }
  // Rounding may carry a perfect correlation beyond 1.
  return Math.min(1, Math.max(-1, xy / Math.sqrt(xx * yy)))
}

const isConstant = (values: ArrayLike<number>): boolean => {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false
  return true
}

const mean = (values: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return sum / values.length
}
