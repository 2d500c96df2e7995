/** Vectors and matrices in float64, and what probes compute of them in another way. */
import { normal, stream } from "../../../core/tensor/stream.ts"

export type Vectors = readonly (readonly number[])[]

/** `count` vectors of N(0, 1). */
export const gaussian = (count: number, size: number, seed = 1): Vectors =>
  Array.from({ length: count }, (_, site) => [
    ...normal({ stream: stream(seed, "test"), site, iteration: 0 }, size),
  ])

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0)

export const norm = (a: readonly number[]): number => Math.sqrt(dot(a, a))

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Row-major [N, N]. */
export const gramOf = (vectors: Vectors): Float64Array =>
  Float64Array.from(vectors.flatMap((a) => vectors.map((b) => dot(a, b))))

/** Less their mean. */
export const centredVectors = (vectors: Vectors): Vectors => {
  const middle = vectors[0]!.map((_, h) => mean(vectors.map((vector) => vector[h]!)))
  return vectors.map((vector) => vector.map((value, h) => value - middle[h]!))
}

/** f of each pair i < j. */
export const pairs = <A>(vectors: Vectors, f: (a: readonly number[], b: readonly number[]) => A): A[] =>
  vectors.flatMap((a, i) => vectors.slice(i + 1).map((b) => f(a, b)))

/** ‖a / ‖a‖ − b / ‖b‖‖² */
export const distance = (a: readonly number[], b: readonly number[]): number => {
  const [ofA, ofB] = [norm(a), norm(b)]
  return a.reduce((sum, value, h) => sum + (value / ofA - b[h]! / ofB) ** 2, 0)
}

/** The rows of a row-major matrix. */
export const rowsIn = (values: ArrayLike<number>, columns: number): Vectors =>
  Array.from({ length: values.length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) => values[row * columns + column]!),
  )

/**
 * The singular values of the matrix with these rows, descending, by rotating pairs of rows until all are orthogonal
 * (Hestenes 1958): without any Gram matrix.
 */
export const singularValues = (vectors: Vectors): number[] => {
  const rows = vectors.map((vector) => [...vector])
  const negligible = 1e-14 * Math.max(...rows.map((row) => dot(row, row)))
  for (let rotated = true; rotated; ) {
    rotated = false
    for (let p = 0; p < rows.length; p++) {
      for (let q = p + 1; q < rows.length; q++) {
        const [a, b] = [rows[p]!, rows[q]!]
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)]
        if (Math.abs(ab) <= negligible) continue
        const theta = (bb - aa) / (2 * ab)
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
        const cosine = 1 / Math.sqrt(t * t + 1)
        rows[p] = a.map((x, i) => cosine * x - cosine * t * b[i]!)
        rows[q] = a.map((x, i) => cosine * t * x + cosine * b[i]!)
        rotated = true
      }
    }
  }
  return rows.map(norm).sort((x, y) => y - x)
}

/** The least j for which the j largest squares make up more than 0.99 of their sum. */
export const erankOf = (sigma: readonly number[]): number => {
  const total = dot(sigma, sigma)
  return sigma.findIndex((_, j) => dot(sigma.slice(0, j + 1), sigma.slice(0, j + 1)) > 0.99 * total) + 1
}

/** exp of the entropy of σ / Σ σ (Roy and Vetterli 2007). */
export const entropyRankOf = (sigma: readonly number[]): number => {
  const total = sigma.reduce((sum, value) => sum + value, 0)
  return Math.exp(sigma.reduce((sum, value) => sum - (value / total) * Math.log(value / total || 1), 0))
}
