import { centred } from "../shared/centring.ts"

/**
 * The unbiased estimate HSIC₁ of the Hilbert-Schmidt independence criterion (Song et al. 2012, equation 5) of two Gram
 * matrices of the same N ≥ 4 examples, row-major [N, N]:
 * [tr(K̃ L̃) + 1ᵀK̃1 · 1ᵀL̃1 / ((N − 1)(N − 2)) − 2 / (N − 2) · 1ᵀK̃L̃1] / (N (N − 3)), where K̃ and L̃ are K and L with
 * zeros on the diagonal.
 */
export const unbiasedHsic = (k: Float64Array, l: Float64Array, n: number): number => {
  let products = 0
  let both = 0
  let sumK = 0
  let sumL = 0
  for (let i = 0; i < n; i++) {
    let rowK = 0
    let rowL = 0
    for (let j = 0; j < n; j++) {
      if (i === j) continue
      const at = i * n + j
      products += k[at]! * l[at]!
      rowK += k[at]!
      rowL += l[at]!
    }
    // K̃ is symmetric, so 1ᵀK̃L̃1 is the product of the sums of their rows.
    both += rowK * rowL
    sumK += rowK
    sumL += rowL
  }
  return (products + (sumK * sumL) / ((n - 1) * (n - 2)) - (2 * both) / (n - 2)) / (n * (n - 3))
}

/**
 * Debiased linear CKA (Kornblith et al. 2019, with HSIC₁ as in Nguyen, Raghu and Kornblith 2021) of the representations
 * with these Gram matrices: 1 if they are equal up to rotation and scale, about 0, by chance below it, if they are
 * independent. Null if the representations of one side do not differ beyond rounding.
 */
export const ckaOf = (k: Float64Array, l: Float64Array, n: number): number | null => {
  // Less their mean, which changes no HSIC₁, they lose no digits to it.
  const [centredK, centredL] = [centred(k, n), centred(l, n)]
  const own = unbiasedHsic(centredK, centredK, n) * unbiasedHsic(centredL, centredL, n)
  return own > 0 ? unbiasedHsic(centredK, centredL, n) / Math.sqrt(own) : null
}
