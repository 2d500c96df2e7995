/** How N vectors lie in space, from their Gram matrix alone: K_ij = xᵢ · xⱼ, row-major [N, N]. */
import { exp, log } from "../../../core/tensor/elementary.ts"

/** cos(xᵢ, xⱼ) of all pairs i < j; undefined if a vector is zero. */
const cosinesOf = (gram: Float64Array, n: number): Float64Array | undefined => {
  const norms = Float64Array.from({ length: n }, (_, i) => Math.sqrt(gram[i * n + i]!))
  if (norms.some((norm) => norm === 0)) return undefined
  const cosines = new Float64Array((n * (n - 1)) / 2)
  let pair = 0
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) cosines[pair++] = gram[i * n + j]! / (norms[i]! * norms[j]!)
  }
  return cosines
}

const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length

/**
 * Anisotropy: the mean cosine between vectors of different examples (Ethayarajh 2019, section 3.4), 0 if their
 * directions are uniform and 1 if all are the same. Null if a vector is zero.
 */
export const anisotropyOf = (gram: Float64Array, n: number): number | null => {
  const cosines = cosinesOf(gram, n)
  return cosines === undefined ? null : mean(cosines)
}

/**
 * Uniformity: log E exp(−2 ‖x̂ᵢ − x̂ⱼ‖²) over different examples, x̂ = x / ‖x‖ (Wang and Isola 2020, with t = 2): 0 if all
 * directions are the same, less the more evenly they cover the sphere. Null if a vector is zero.
 */
export const uniformityOf = (gram: Float64Array, n: number): number | null => {
  const cosines = cosinesOf(gram, n)
  if (cosines === undefined) return null
  // ‖x̂ᵢ − x̂ⱼ‖² = 2 − 2 cos.
  return log(mean(cosines.map((cosine) => exp(4 * cosine - 4))))
}
