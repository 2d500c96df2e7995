/**
 * The spectral density of a symmetric matrix of which only products are known: its outermost eigenvalues by Lanczos's
 * algorithm, the others by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017) on the complement of their
 * eigenvectors. D is the size of the matrix.
 */
import { type Krylov, lanczos, type RitzPair, ritzVectors } from "./lanczos.ts"
import type { Operator } from "./product.ts"

/** A point of the density: `count` eigenvalues, in expectation, at `value`. */
export interface Point {
  readonly value: number
  readonly count: number
}

export interface Density {
  /** Eigenvalues that Lanczos's algorithm has found. */
  readonly found: readonly number[]
  /** For each random vector, the density of the others: D − found.length eigenvalues. */
  readonly estimates: readonly (readonly Point[])[]
  /** The same from half as many iterations. */
  readonly coarse: readonly (readonly Point[])[]
  /** The largest asymmetry that was seen: see `Krylov`. */
  readonly asymmetry: number
}

export interface Effort {
  /** Iterations of Lanczos's algorithm from each random vector. */
  readonly iterations: number
  /** Random vectors for the quadrature. */
  readonly vectors: number
  /** Random vector v, [D], of independent elements of mean 0 and the same variance; 0 is for the first search. */
  readonly draw: (v: number) => Float64Array
}

/** A Ritz value counts as an eigenvalue if its residual is at most this fraction of it: its error is then a square of it. */
const converged = 0.01

export const densityOf = (
  operator: Operator,
  size: number,
  { iterations, vectors, draw }: Effort,
): Density => {
  const search = lanczos(operator, draw(0), iterations)
  const locked = outermost(search)
  const without = ritzVectors(search, locked)
  const others = size - locked.length
  const pointsOf = (pairs: readonly RitzPair[]): readonly Point[] =>
    pairs.map(({ value, weight }) => ({ value, count: others * weight }))
  const runs = Array.from({ length: others > 0 ? vectors : 0 }, (_, v) =>
    lanczos(operator, draw(v + 1), iterations, without),
  )
  return {
    found: locked.map(({ value }) => value),
    estimates: runs.map(({ pairs }) => pointsOf(pairs)),
    coarse: runs.map(({ halfway }) => pointsOf(halfway)),
    asymmetry: Math.max(search.asymmetry, ...runs.map(({ asymmetry }) => asymmetry)),
  }
}

/** The converged Ritz pairs, by size, up to the first that has not converged. */
const outermost = ({ pairs }: Krylov): readonly RitzPair[] => {
  const bySize = [...pairs].sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
  const first = bySize.findIndex(
    ({ value, residual }) => residual > converged * Math.abs(value) || value === 0,
  )
  return first === -1 ? bySize : bySize.slice(0, first)
}

export interface Estimated {
  readonly value: number
  /** By the jackknife over random vectors; 0 if all eigenvalues were found, null if there is one vector. */
  readonly standardError: number | null
  /**
   * How far the value is from that of half as many iterations. A point of the quadrature stands for all eigenvalues
   * around it: with more points they are told apart, which no number of random vectors does.
   */
  readonly change: number
}

/** A figure of the density and how far chance may have moved it. */
const estimated = (
  { found, estimates, coarse }: Density,
  figure: (points: readonly Point[]) => number,
): Estimated => {
  const exact = found.map((value) => ({ value, count: 1 }))
  const of = (some: Density["estimates"]) =>
    figure([...exact, ...some.flat().map(({ value, count }) => ({ value, count: count / some.length }))])
  const k = estimates.length
  const value = of(estimates)
  const change = Math.abs(value - of(coarse))
  if (k < 2) return { value, standardError: k === 0 ? 0 : null, change }
  const without = estimates.map((_, left) => of(estimates.filter((_, v) => v !== left)))
  const mean = without.reduce((sum, x) => sum + x, 0) / k
  const squares = without.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { value, change, standardError: Math.sqrt(((k - 1) / k) * squares) }
}

const sumOf = (points: readonly Point[], each: (value: number) => number): number =>
  points.reduce((sum, { value, count }) => sum + count * each(value), 0)

/** Σ λ */
export const traceOf = (density: Density): Estimated =>
  estimated(density, (points) => sumOf(points, (x) => x))

/** Σ |λ| */
export const absoluteTraceOf = (density: Density): Estimated =>
  estimated(density, (points) => sumOf(points, Math.abs))

/** The share of Σ |λ| that negative eigenvalues have. */
export const negativeShareOf = (density: Density): Estimated =>
  estimated(density, (points) => {
    const total = sumOf(points, Math.abs)
    return total === 0 ? 0 : sumOf(points, (x) => Math.max(0, -x)) / total
  })

/**
 * The effective rank of an indefinite matrix: the least j for which the j eigenvalues of the largest |λ| have more than
 * `threshold` of Σ |λ|. Where a point stands for several eigenvalues, it is interpolated among them.
 */
export const effectiveRankOf = (density: Density, threshold: number): Estimated => {
  if (absoluteTraceOf(density).value === 0) return { value: 0, standardError: 0, change: 0 }
  const rank = estimated(density, (points) => {
    const bySize = points.toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value))
    const enough = threshold * sumOf(points, Math.abs)
    let [sum, rank] = [0, 0]
    for (const { value, count } of bySize) {
      const mass = count * Math.abs(value)
      if (sum + mass > enough) return rank + (enough - sum) / Math.abs(value)
      sum += mass
      rank += count
    }
    return rank
  })
  return { ...rank, value: Math.floor(rank.value) + 1 }
}
