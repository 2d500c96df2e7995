import { exp } from "../elementary.ts"
import { implement } from "../kernel.ts"
import { geluKernel } from "../ops/gelu.ts"
import { allocate, view } from "./memory.ts"

const density = (x: number): number => exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)

/** Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/(3·5) + …), terms of one sign, so exact to about 1e-16 (Marsaglia 2004). */
const distribution = (x: number): number => {
  let term = x
  let sum = x
  for (let k = 3; Math.abs(term) > 1e-18 * Math.abs(sum); k += 2) {
    term *= (x * x) / k
    sum += term
  }
  return 0.5 + density(x) * sum
}

/** Beyond ± limit, Φ is taken as 0 or 1, which changes x Φ(x) by less than 5e-15. */
const limit = 8
const nodesPerUnit = 64

/** Φ and φ, interleaved, at −8, −8 + 1/64, …, 8. */
const table = (() => {
  const nodes = 2 * limit * nodesPerUnit + 1
  const values = new Float64Array(2 * nodes)
  for (let node = 0; node < nodes; node++) {
    const x = node / nodesPerUnit - limit
    values[2 * node] = distribution(x)
    values[2 * node + 1] = density(x)
  }
  return values
})()

/**
 * The Taylor series of φ around the nearest node, to third order, and its integral: |s| ≤ 1/128, so the error is at
 * most 2e-10 for φ and 1e-12 for Φ, far below float32's rounding.
 */
const gelu = implement(geluKernel, (input) => {
  const output = { y: allocate(input.shape), derivative: allocate(input.shape) }
  const x = view(input)
  const y = view(output.y)
  const derivative = view(output.derivative)
  for (let index = 0; index < x.length; index++) {
    const value = x[index]!
    if (value >= limit || value <= -limit) {
      const saturated = value > 0 ? 1 : 0
      y[index] = saturated === 1 ? value : 0
      derivative[index] = saturated
      continue
    }
    const node = (value * nodesPerUnit + (limit * nodesPerUnit + 0.5)) | 0
    const x0 = node / nodesPerUnit - limit
    const s = value - x0
    const phi0 = table[2 * node + 1]!
    const c1 = -x0
    const c2 = (x0 * x0 - 1) * 0.5
    const c3 = x0 * (3 - x0 * x0) * (1 / 6)
    const phi = phi0 * (1 + s * (c1 + s * (c2 + s * c3)))
    const cumulative = table[2 * node]! + phi0 * s * (1 + s * (c1 * 0.5 + s * (c2 * (1 / 3) + s * c3 * 0.25)))
    y[index] = value * cumulative
    derivative[index] = cumulative + value * phi
  }
  return output
})

export const geluImplementations = [gelu]
