/** Of the gradients of single examples: how much they differ, and how large their mean is. */
export interface Noise {
  /** tr Σ, the sum of the variances of a per-sample gradient's components. */
  readonly trace: number
  /** ‖G‖², the square of the true gradient; an unbiased estimate may be negative. */
  readonly square: number
}

/**
 * Unbiased estimates of tr Σ and ‖G‖² from the Gram matrix of N ≥ 2 per-sample gradients, K_ij = gᵢ · gⱼ, row-major
 * [N, N] (McCandlish et al. 2018, appendix A.1, with batches of 1 and N): the mean of ‖gᵢ‖² is K's trace over N, and
 * ‖ḡ‖² its sum over N².
 */
export const noiseOf = (gram: Float64Array, n: number): Noise => {
  let diagonal = 0
  let others = 0
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      if (i === j) diagonal += gram[i * n + j]!
      else others += gram[i * n + j]!
    }
  }
  // The products of different examples have the mean ‖G‖², and ‖gᵢ‖² has tr Σ + ‖G‖².
  const square = others / (n * (n - 1))
  return { trace: diagonal / n - square, square }
}
