/**
 * Eigenvalues and eigenvectors of a symmetric tridiagonal matrix by the implicit QL algorithm with Wilkinson's shifts
 * (Golub and Van Loan, Matrix Computations, §8.3; tql2 of EISPACK).
 */

export interface Eigenpair {
  readonly value: number
  /** [m], of length 1 */
  readonly vector: Float64Array
}

/**
 * @param diagonal [m]
 * @param off [m − 1], the entries beside it
 * @throws RangeError if an entry is not finite
 */
export const eigenpairs = (diagonal: readonly number[], off: readonly number[]): readonly Eigenpair[] => {
  const m = diagonal.length
  // Row k is eigenvector k.
  const vectors = Array.from({ length: m }, (_, k) => {
    const unit = new Float64Array(m)
    unit[k] = 1
    return unit
  })
  const values = diagonalised(diagonal, off, (i, cosine, sine) =>
    rotate(vectors[i]!, vectors[i + 1]!, cosine, sine),
  )
  return Array.from(values, (value, k) => ({ value, vector: vectors[k]! }))
}

/**
 * The eigenvalues alone, in no order, [m].
 *
 * @param rotated called with each rotation of the rows i and i + 1, by its cosine and sine
 * @throws RangeError if an entry is not finite
 */
export const diagonalised = (
  diagonal: ArrayLike<number>,
  off: ArrayLike<number>,
  rotated?: (i: number, cosine: number, sine: number) => void,
): Float64Array => {
  const m = diagonal.length
  const d = Float64Array.from(diagonal)
  const e = new Float64Array(m)
  e.set(off)
  if (!d.every(Number.isFinite) || !e.every(Number.isFinite))
    throw new RangeError("the matrix has entries that are not finite")
  for (let l = 0; l < m; l++) {
    for (;;) {
      let end = l
      // An entry that vanishes beside its neighbours on the diagonal splits the matrix.
      while (end + 1 < m && Math.abs(e[end]!) > Number.EPSILON * (Math.abs(d[end]!) + Math.abs(d[end + 1]!)))
        end++
      if (end === l) break
      const ratio = (d[l + 1]! - d[l]!) / (2 * e[l]!)
      const root = Math.sqrt(ratio * ratio + 1)
      let g = d[end]! - d[l]! + e[l]! / (ratio + (ratio < 0 ? -root : root))
      let [sine, cosine, shift] = [1, 1, 0]
      let i = end - 1
      for (; i >= l; i--) {
        const f = sine * e[i]!
        const b = cosine * e[i]!
        const length = Math.sqrt(f * f + g * g)
        e[i + 1] = length
        if (length === 0) {
          d[i + 1] = d[i + 1]! - shift
          break
        }
        sine = f / length
        cosine = g / length
        g = d[i + 1]! - shift
        const r = (d[i]! - g) * sine + 2 * cosine * b
        shift = sine * r
        d[i + 1] = g + shift
        g = cosine * r - b
        rotated?.(i, cosine, sine)
      }
      if (i < l) {
        d[l] = d[l]! - shift
        e[l] = g
      }
      e[end] = 0
    }
  }
  return d
}

const rotate = (lower: Float64Array, upper: Float64Array, cosine: number, sine: number): void => {
  for (let k = 0; k < lower.length; k++) {
    const [a, b] = [lower[k]!, upper[k]!]
    upper[k] = sine * a + cosine * b
    lower[k] = cosine * a - sine * b
  }
}
