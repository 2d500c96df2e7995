/**
 * Mean and standard deviation of a sample of at least one value. Both are computed from differences to the first
 * value, so that a sample of equal values has exactly that mean and a deviation of exactly 0.
 */
export const mean = (sample: ArrayLike<number>): number => {
  const origin = sample[0]!
  let sum = 0
  for (let i = 1; i < sample.length; i++) sum += sample[i]! - origin
  return origin + sum / sample.length
}

/** √(Σ(x − mean)² / (n − ddof)); NaN if n ≤ ddof. */
export const standardDeviation = (sample: ArrayLike<number>, ddof: 0 | 1): number => {
  if (sample.length <= ddof) return Number.NaN
  const centre = mean(sample)
  let squares = 0
  for (let i = 0; i < sample.length; i++) squares += (sample[i]! - centre) ** 2
  return Math.sqrt(squares / (sample.length - ddof))
}
