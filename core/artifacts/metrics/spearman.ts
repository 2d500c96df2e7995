import { pearson } from "./pearson.ts"

/** The rank of each value in ascending order, from 1; equal values get the mean of their ranks. */
export const averageRanks = (values: ArrayLike<number>): Float64Array => {
  const order = Int32Array.from({ length: values.length }, (_, i) => i).sort(
    (a, b) => values[a]! - values[b]!,
  )
  const ranks = new Float64Array(values.length)
  for (let start = 0; start < order.length; ) {
    let end = start + 1
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2
    start = end
  }
  return ranks
}

/**
 * Spearman's rank correlation with average ranks for ties: Pearson's correlation of the ranks, as
 * `scipy.stats.spearmanr` computes it.
 *
 * @returns a number in [−1, 1]; NaN if either side is constant or has a NaN, or for fewer than two pairs
 * @throws RangeError if the two differ in length
 */
export const spearman = (x: ArrayLike<number>, y: ArrayLike<number>): number => {
  if (x.length !== y.length) throw new RangeError(`expected equal lengths, found ${x.length} and ${y.length}`)
  for (let i = 0; i < x.length; i++) if (Number.isNaN(x[i]!) || Number.isNaN(y[i]!)) return Number.NaN
  // The mean of average ranks is exact, so it adds no rounding error to the sums.
  return pearson(averageRanks(x), averageRanks(y))
}
