/** Lanczos's algorithm with full reorthogonalisation (Golub and Van Loan, Matrix Computations, §10.3). */

import { eigenpairs } from "../shared/tridiagonal.ts"
import type { Operator } from "./product.ts"

export interface RitzPair {
  /** An approximate eigenvalue. */
  readonly value: number
  /** ‖A u − θ u‖ for the Ritz vector u of length 1: an eigenvalue is at most this far away. */
  readonly residual: number
  /** The squared component of the start along the Ritz vector: its weight in Gauss quadrature (Golub and Welsch 1969). */
  readonly weight: number
  /** [k], the coefficients of the Ritz vector in the basis. */
  readonly coefficients: Float64Array
}

export interface Krylov {
  readonly pairs: readonly RitzPair[]
  /** Those after half of the iterations. */
  readonly halfway: readonly RitzPair[]
  /** [k][D], orthonormal; in float32, which is as precise as products with a Hessian are. */
  readonly basis: readonly Float32Array[]
  /**
   * The largest entry of Vᵀ A V that symmetry makes zero, as a fraction of the largest: how far the operator is from
   * a symmetric one, by rounding or otherwise.
   */
  readonly asymmetry: number
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** Takes the components along orthonormal vectors from `vector`, in place, and gives them. */
const project = (vector: Float64Array, onto: readonly Float32Array[]): readonly number[] =>
  onto.map((unit) => {
    const component = dot(unit, vector)
    for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! - component * unit[i]!
    return component
  })

/** Divides by the length, in place, and gives it. */
const normalise = (vector: Float64Array): number => {
  const length = Math.sqrt(dot(vector, vector))
  if (length > 0) for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! / length
  return length
}

/**
 * The Krylov space of an operator on the complement of some directions.
 *
 * @param start [D], not along these directions alone
 * @param iterations k at most: fewer if the space is exhausted
 * @param without [r][D], orthonormal: the operator is that which has them projected away on both sides
 */
export const lanczos = (
  operator: Operator,
  start: Float64Array,
  iterations: number,
  without: readonly Float32Array[] = [],
): Krylov => {
  const basis: Float32Array[] = []
  const diagonal: number[] = []
  const off: number[] = []
  let vector: Float64Array = start.slice()
  project(vector, without)
  let length = normalise(vector)
  let forbidden = 0
  let largest = 0
  while (basis.length < iterations && length > 0) {
    basis.push(Float32Array.from(vector))
    const next = operator(vector)
    project(next, without)
    const components = project(next, basis)
    const at = basis.length - 1
    diagonal.push(components[at]!)
    for (const component of components.slice(0, Math.max(0, at - 1)))
      forbidden = Math.max(forbidden, Math.abs(component))
    // Once more, since the first projection leaves rounding errors ("twice is enough", Parlett).
    project(next, without)
    project(next, basis)
    length = normalise(next)
    largest = Math.max(largest, Math.abs(components[at]!), length)
    // What is left is rounding: the space is exhausted.
    if (length <= 1e-7 * largest) length = 0
    off.push(length)
    vector = next
  }
  return {
    basis,
    asymmetry: largest === 0 ? 0 : forbidden / largest,
    pairs: ritzPairs(diagonal, off, basis.length),
    halfway: ritzPairs(diagonal, off, Math.ceil(basis.length / 2)),
  }
}

/** Those after k iterations, from Vᵀ A V: its diagonal and the entries beside it, of which the last leads out of it. */
const ritzPairs = (diagonal: readonly number[], off: readonly number[], k: number): readonly RitzPair[] =>
  eigenpairs(diagonal.slice(0, k), off.slice(0, Math.max(0, k - 1))).map(({ value, vector }) => ({
    value,
    residual: off[k - 1]! * Math.abs(vector.at(-1)!),
    weight: vector[0]! ** 2,
    coefficients: vector,
  }))

/** The Ritz vectors of some pairs, [r][D]. */
export const ritzVectors = ({ basis }: Krylov, pairs: readonly RitzPair[]): readonly Float32Array[] =>
  pairs.map(({ coefficients }) => {
    const sum = new Float64Array(basis[0]!.length)
    for (const [at, vector] of basis.entries()) {
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + coefficients[at]! * vector[i]!
    }
    return Float32Array.from(sum)
  })
