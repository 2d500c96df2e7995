/**
 * Exact two-sided p value of Wilcoxon's signed-rank test: under the null hypothesis, both signs of each difference are
 * equally likely. Zeros are left out and tied magnitudes share their mean rank; the distribution is that of the actual
 * ranks over all 2ⁿ signs, so the value is exact with ties too.
 *
 * @returns null if all differences are zero; `n` counts the differences that are not zero
 */
export const signedRank = (
  differences: readonly number[],
): { readonly n: number; readonly p: number } | null => {
  const nonZero = differences.filter((difference) => difference !== 0)
  if (nonZero.length === 0) return null
  const ranks = doubledRanks(nonZero.map(Math.abs))
  const positive = ranks.reduce((sum, rank, i) => sum + (nonZero[i]! > 0 ? rank : 0), 0)
  const total = ranks.reduce((sum, rank) => sum + rank, 0)

  // probability[s]: the probability that the doubled ranks with a positive sign sum to s.
  const probability = new Float64Array(total + 1)
  probability[0] = 1
  let reached = 0
  for (const rank of ranks) {
    reached += rank
    for (let s = reached; s >= 0; s--) {
      probability[s] = (probability[s]! + (s >= rank ? probability[s - rank]! : 0)) / 2
    }
  }
  const tail = Math.min(positive, total - positive)
  const p = 2 * probability.subarray(0, tail + 1).reduce((sum, each) => sum + each, 0)
  return { n: nonZero.length, p: Math.min(1, p) }
}

/** Twice the rank of each value, ascending from 2; ties share their mean rank, which doubled is an integer. */
const doubledRanks = (values: readonly number[]): readonly number[] => {
  const sorted = [...values].sort((a, b) => a - b)
  return values.map((value) => sorted.indexOf(value) + 1 + sorted.lastIndexOf(value) + 1)
}
