import { eigenvaluesByReduction } from "./reduction.ts"

/**
 * The squared singular values of a matrix, in float64, from the Gram matrix of its shorter side: so those below 10⁻¹⁶ of
 * the largest are rounding.
 *
 * @param weight_OI row-major
 * @returns [min(O, I)], descending, none negative
 */
export const squaredSingularValues = (
  weight_OI: Float32Array,
  outputs: number,
  inputs: number,
): Float64Array => {
  const isWide = outputs <= inputs
  const rows = Math.min(outputs, inputs)
  const length = Math.max(outputs, inputs)
  const vectors = Array.from({ length: rows }, (_, row) =>
    Float64Array.from({ length }, (_, at) => weight_OI[isWide ? row * inputs + at : at * inputs + row]!),
  )
  return eigenvaluesByReduction(gramOf(vectors), rows)
}

/** Its lower triangle, [R, R]. Two by two, since the four sums do not wait for each other. */
const gramOf = (vectors: readonly Float64Array[]): Float64Array => {
  const n = vectors.length
  const gram = new Float64Array(n * n)
  for (let i = 0; i < n; i += 2) {
    const a = vectors[i]!
    const b = vectors[i + 1] ?? a
    for (let j = 0; j <= i; j += 2) {
      const c = vectors[j]!
      const d = vectors[j + 1] ?? c
      let ac = 0
      let ad = 0
      let bc = 0
      let bd = 0
      for (let k = 0; k < a.length; k++) {
        const ak = a[k]!
        const bk = b[k]!
        const ck = c[k]!
        const dk = d[k]!
        ac += ak * ck
        ad += ak * dk
        bc += bk * ck
        bd += bk * dk
      }
      gram[i * n + j] = ac
      if (j + 1 < n) gram[i * n + j + 1] = ad
      if (i + 1 < n) gram[(i + 1) * n + j] = bc
      if (i + 1 < n && j + 1 < n) gram[(i + 1) * n + j + 1] = bd
    }
  }
  return gram
}
