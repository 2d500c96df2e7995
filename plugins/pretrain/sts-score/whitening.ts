/**
 * Whitening of embeddings (Su et al. 2021; Huang et al. 2021): x ↦ W (x − μ) with Wᵀ W the inverse of the covariance, so
 * that what it was fitted on has mean 0 and the identity as its covariance. They take W from a singular value
 * decomposition; the one here, from Cholesky's, differs by a rotation, which changes no cosine.
 *
 * Uses only +, −, ×, ÷ and square roots, so that every runtime gives the same bits.
 */

/** Remaining variances below this fraction of the largest mean square are rounding errors of embeddings in float32. */
const negligible = 1e-12

export interface Whitening {
  /** R, the rank of the covariance: one below H where the last LayerNorm binds the features together. */
  readonly dimensions: number
  /** Whitens N embeddings, [N · H]. @returns [N · R], row after row */
  readonly apply: (embeddings: Float32Array) => Float64Array
}

export interface MeanAndCovariance {
  /** [H] */
  readonly mean: Float64Array
  /** [H · H], with ddof 0: only its lower triangle */
  readonly covariance: Float64Array
}

/** Sums over embeddings, from which mean and covariance follow. H features. */
export class Moments {
  private readonly hidden: number
  private count = 0
  /** The first embedding, which is subtracted from all: a mean far from 0 would cost the covariance its digits. */
  private origin: Float64Array | undefined
  private readonly sum: Float64Array
  private readonly products: Float64Array

  constructor(hidden: number) {
    this.hidden = hidden
    this.sum = new Float64Array(hidden)
    this.products = new Float64Array(hidden * hidden)
  }

  /** @param embeddings [N · H] */
  add(embeddings: Float32Array): void {
    const { hidden, sum, products } = this
    this.origin ??= Float64Array.from(embeddings.subarray(0, hidden))
    const x = new Float64Array(hidden)
    for (let start = 0; start < embeddings.length; start += hidden) {
      for (let i = 0; i < hidden; i++) x[i] = embeddings[start + i]! - this.origin[i]!
      for (let i = 0; i < hidden; i++) {
        sum[i]! += x[i]!
        for (let j = 0; j <= i; j++) products[i * hidden + j]! += x[i]! * x[j]!
      }
      this.count++
    }
  }

  result(): MeanAndCovariance {
    const { hidden, sum, products, count, origin } = this
    if (origin === undefined) throw new RangeError("expected at least one embedding")
    const covariance = products.map((product, index) => {
      const [i, j] = [Math.floor(index / hidden), index % hidden]
      return product / count - (sum[i]! / count) * (sum[j]! / count)
    })
    return { mean: sum.map((value, i) => origin[i]! + value / count), covariance }
  }
}

/**
 * By Cholesky's decomposition with pivoting (Higham, Accuracy and Stability of Numerical Algorithms, §10.3): it ends
 * where the remaining variances vanish, and the features that are left are combinations of those before.
 */
export const whitening = ({ mean, covariance }: MeanAndCovariance): Whitening => {
  const hidden = mean.length
  const order = Int32Array.from({ length: hidden }, (_, i) => i)
  const entry = (i: number, j: number) => covariance[Math.max(i, j) * hidden + Math.min(i, j)]!
  const remaining = Float64Array.from(order, (i) => entry(i, i))
  // Row k has the factor's entries of feature order[k].
  const factor = new Float64Array(hidden * hidden)
  const least =
    negligible * remaining.reduce((most, variance, i) => Math.max(most, variance + mean[i]! ** 2), 0)
  let rank = 0
  for (; rank < hidden; rank++) {
    let pivot = rank
    for (let k = rank + 1; k < hidden; k++) {
      if (remaining[order[k]!]! > remaining[order[pivot]!]!) pivot = k
    }
    if (!(remaining[order[pivot]!]! > least)) break
    swap(order, factor, hidden, rank, pivot)
    const diagonal = Math.sqrt(remaining[order[rank]!]!)
    factor[rank * hidden + rank] = diagonal
    for (let k = rank + 1; k < hidden; k++) {
      let rest = entry(order[k]!, order[rank]!)
      for (let m = 0; m < rank; m++) rest -= factor[k * hidden + m]! * factor[rank * hidden + m]!
      const value = rest / diagonal
      factor[k * hidden + rank] = value
      remaining[order[k]!]! -= value * value
    }
  }
  const apply = (embeddings: Float32Array): Float64Array => {
    const count = embeddings.length / hidden
    const whitened = new Float64Array(count * rank)
    for (let n = 0; n < count; n++) {
      const z = whitened.subarray(n * rank, (n + 1) * rank)
      for (let k = 0; k < rank; k++) {
        let rest = embeddings[n * hidden + order[k]!]! - mean[order[k]!]!
        for (let m = 0; m < k; m++) rest -= factor[k * hidden + m]! * z[m]!
        z[k] = rest / factor[k * hidden + k]!
      }
    }
    return whitened
  }
  return { dimensions: rank, apply }
}

/** Swaps two features: their places in the order and their rows of the factor. */
const swap = (order: Int32Array, factor: Float64Array, hidden: number, i: number, j: number): void => {
  if (i === j) return
  const place = order[i]!
  order[i] = order[j]!
  order[j] = place
  const row = factor.slice(i * hidden, (i + 1) * hidden)
  factor.copyWithin(i * hidden, j * hidden, (j + 1) * hidden)
  factor.set(row, j * hidden)
}
