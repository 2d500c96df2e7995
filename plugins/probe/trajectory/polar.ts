import { acos } from "../../../core/tensor/elementary.ts"

/** The three dot products from which a point's polar coordinates follow. Those of several tensors add up. */
export interface Products {
  /** Δ · Δ */
  readonly own: number
  /** Δ_init · Δ_init */
  readonly start: number
  /** Δ · Δ_init */
  readonly along: number
}

export interface Polar {
  /** ‖Δ‖ / ‖Δ_init‖ */
  readonly r: number
  /** The angle between Δ and Δ_init in radians, from 0 to π; null if Δ is zero. */
  readonly phi: number | null
}

/**
 * Dot products of the displacements Δ = θ − θ_end and Δ_init = θ_start − θ_end, in float64, since the parameters move by
 * a small fraction of their size.
 *
 * @param theta a tensor's values; `start` and `end` are its values at the start and the end of the run
 */
export const productsOf = (theta: Float32Array, start: Float32Array, end: Float32Array): Products => {
  const products = { own: 0, start: 0, along: 0 }
  for (let i = 0; i < theta.length; i++) {
    const delta = theta[i]! - end[i]!
    const whole = start[i]! - end[i]!
    products.own += delta * delta
    products.start += whole * whole
    products.along += delta * whole
  }
  return products
}

export const addProducts = (all: readonly Products[]): Products =>
  all.reduce(
    (sum, next) => ({
      own: sum.own + next.own,
      start: sum.start + next.start,
      along: sum.along + next.along,
    }),
    { own: 0, start: 0, along: 0 },
  )

/** Polar coordinates; undefined if the start equals the end, or a product is not finite. */
export const polarOf = ({ own, start, along }: Products): Polar | undefined => {
  if (!(start > 0) || !Number.isFinite(own + start + along)) return undefined
  const r = Math.sqrt(own / start)
  if (own === 0) return { r, phi: null }
  // Rounding may put the cosine just outside [−1, 1].
  const cosine = Math.min(1, Math.max(-1, along / Math.sqrt(own * start)))
  return { r, phi: acos(cosine) }
}
