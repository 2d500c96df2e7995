/**
 * Effective ranks of a positive semi-definite matrix, from its eigenvalues λ (descending, none negative). All ranks of
 * the zero matrix are 0.
 */
import { exp, log } from "../../../core/tensor/elementary.ts"

/** The least j for which the j largest of `values` make up `enough` of their sum; 0 if all are zero. */
const leastCount = (values: Float64Array, enough: (fraction: number) => boolean): number => {
  const total = sumOf(values)
  if (total === 0) return 0
  let sum = 0
  const last = values.findIndex((value) => {
    sum += value
    return enough(sum / total)
  })
  return last === -1 ? values.length : last + 1
}

const sumOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0)

/**
 * The effective rank of the study: the least j with Σ₁ʲ λ / Σ λ > threshold. The inequality is strict, so 100 equal
 * eigenvalues have rank 100 at 0.99.
 */
export const effectiveRank = (eigenvalues: Float64Array, threshold: number): number =>
  leastCount(eigenvalues, (fraction) => fraction > threshold)

/**
 * srank of Kumar et al. 2021 (Implicit under-parameterization inhibits data-efficient deep reinforcement learning):
 * the least j with Σ₁ʲ σ / Σ σ ≥ threshold, where the σ = √λ are the singular values of the gradients.
 */
export const spectralRank = (eigenvalues: Float64Array, threshold: number): number =>
  leastCount(eigenvalues.map(Math.sqrt), (fraction) => fraction >= threshold)

/** The effective rank of Roy and Vetterli 2007: exp of the entropy of σ / Σ σ with σ = √λ. */
export const entropyRank = (eigenvalues: Float64Array): number => {
  const sigma = eigenvalues.map(Math.sqrt)
  const total = sumOf(sigma)
  if (total === 0) return 0
  return exp(
    sigma.reduce((entropy, value) => {
      const fraction = value / total
      return fraction === 0 ? entropy : entropy - fraction * log(fraction)
    }, 0),
  )
}
