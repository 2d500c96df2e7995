import { integers, stream } from "../../../../core/tensor/stream.ts"

const draws = stream(20250310, "sign-flip")
/** Beyond this, signs are drawn instead of enumerated. */
const mostEnumerated = 16
const DRAWN = 10_000

/**
 * Two-sided p of the sum of differences, each of which would have either sign with the same probability if the sides of
 * its pair were exchangeable. Over all 2ⁿ signs up to 16 differences that are not 0, exact for any number of integers;
 * beyond, over 10,000 drawn signs and the observed one.
 */
export const signFlip = (differences: readonly number[]): number => {
  const nonZero = differences.filter((difference) => difference !== 0).map(Math.abs)
  const observed = Math.abs(differences.reduce((sum, difference) => sum + difference, 0))
  if (observed === 0) return 1
  if (nonZero.every(Number.isInteger)) return ofIntegers(nonZero, observed)
  // Sums of the same numbers in another order may differ in the last bits.
  const reached = observed * (1 - 1e-12)
  if (nonZero.length <= mostEnumerated) {
    let sums = [0]
    for (const size of nonZero) sums = sums.flatMap((sum) => [sum - size, sum + size])
    return sums.filter((sum) => Math.abs(sum) >= reached).length / sums.length
  }
  const n = nonZero.length
  const signs = integers({ stream: draws, site: 0, iteration: 0 }, DRAWN * n, 2)
  let hits = 1
  for (let b = 0; b < DRAWN; b++) {
    let sum = 0
    for (let i = 0; i < n; i++) sum += signs[b * n + i] === 0 ? -nonZero[i]! : nonZero[i]!
    if (Math.abs(sum) >= reached) hits++
  }
  return hits / (DRAWN + 1)
}

/** By the distribution of the sum of those with a positive sign. */
const ofIntegers = (sizes: readonly number[], observed: number): number => {
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const probability = new Float64Array(total + 1)
  probability[0] = 1
  let reached = 0
  for (const size of sizes) {
    reached += size
    for (let s = reached; s >= 0; s--) {
      probability[s] = (probability[s]! + (s >= size ? probability[s - size]! : 0)) / 2
    }
  }
  // The sum is total − 2 · (the part with a negative sign).
  const tail = (total - observed) / 2
  return Math.min(1, 2 * probability.subarray(0, tail + 1).reduce((sum, each) => sum + each, 0))
}
