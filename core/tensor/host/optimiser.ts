import type * as tf from "@tensorflow/tfjs-core"
import { implement } from "../kernel.ts"
import { adamwKernel } from "../ops/adamw.ts"
import { clippingScale, globalNormKernel } from "../ops/global-norm.ts"
import { allocate, view } from "./memory.ts"

/** In float64, in four interleaved sums. */
const sumOfSquares = (x: Float32Array): number => {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let index = 0
  for (; index + 3 < x.length; index += 4) {
    s0 += x[index]! * x[index]!
    s1 += x[index + 1]! * x[index + 1]!
    s2 += x[index + 2]! * x[index + 2]!
    s3 += x[index + 3]! * x[index + 3]!
  }
  for (; index < x.length; index++) s0 += x[index]! * x[index]!
  return s0 + s1 + (s2 + s3)
}

const globalNorm = implement(globalNormKernel, (gradients, watched) => {
  const norm = allocate<tf.Scalar>([])
  let sum = 0
  for (const gradient of gradients) sum += sumOfSquares(view(gradient))
  const finite = watched.every((number) => Number.isFinite(view(number)[0]))
  view(norm)[0] = finite ? Math.sqrt(sum) : Number.NaN
  return norm
})

/**
 * The moments are updated in place. The parameters are not: tfjs's wasm backend keeps a repacked copy of every right
 * factor of a matrix product until that tensor is disposed of, and would keep multiplying by the old values.
 */
const adamw = implement(adamwKernel, (updates, { norm, largestNorm, beta1, beta2, epsilon }) => {
  const size = view(norm)[0]!
  if (!Number.isFinite(size)) return updates.map(({ theta, m, v }) => ({ theta, m, v }))
  const gradientScale = clippingScale(size, largestNorm)
  const rest1 = 1 - beta1
  const rest2 = 1 - beta2
  return updates.map(({ theta, gradient, m, v, stepSize, decay }) => {
    const next = allocate(theta.shape)
    const old = view(theta)
    const g = view(gradient)
    const first = view(m)
    const second = view(v)
    const updated = view(next)
    const kept = 1 - decay
    for (let index = 0; index < updated.length; index++) {
      const scaled = g[index]! * gradientScale
      const mean = beta1 * first[index]! + rest1 * scaled
      const square = beta2 * second[index]! + rest2 * scaled * scaled
      first[index] = mean
      second[index] = square
      updated[index] = (old[index]! - (stepSize * mean) / (Math.sqrt(square) + epsilon)) * kept
    }
    theta.dispose()
    return { theta: next, m, v }
  })
})

export const optimiserImplementations = [globalNorm, adamw]
