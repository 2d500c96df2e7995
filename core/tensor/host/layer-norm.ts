import type * as tf from "@tensorflow/tfjs-core"
import { implement } from "../kernel.ts"
import {
  layerNormInputGradientKernel,
  layerNormKernel,
  layerNormParameterGradientsKernel,
} from "../ops/layer-norm.ts"
import { allocate, view } from "./memory.ts"

// Sums are in float64, separate for even and odd features: the processor overlaps the two chains of additions.

const layerNorm = implement(layerNormKernel, (x_TH, gamma_H, beta_H, epsilon) => {
  const [tokens, hidden] = x_TH.shape
  const result = {
    y_TH: allocate<tf.Tensor2D>([tokens, hidden]),
    normalised_TH: allocate<tf.Tensor2D>([tokens, hidden]),
    rstd_T: allocate<tf.Tensor1D>([tokens]),
  }
  const x = view(x_TH)
  const gamma = view(gamma_H)
  const beta = view(beta_H)
  const y = view(result.y_TH)
  const normalised = view(result.normalised_TH)
  const rstds = view(result.rstd_T)
  for (let t = 0; t < tokens; t++) {
    const start = t * hidden
    const end = start + hidden
    let even = 0
    let odd = 0
    let index = start
    for (; index + 1 < end; index += 2) {
      even += x[index]!
      odd += x[index + 1]!
    }
    if (index < end) even += x[index]!
    const mean = (even + odd) / hidden
    even = 0
    odd = 0
    for (index = start; index + 1 < end; index += 2) {
      const left = x[index]! - mean
      const right = x[index + 1]! - mean
      even += left * left
      odd += right * right
    }
    if (index < end) even += (x[index]! - mean) ** 2
    const rstd = 1 / Math.sqrt((even + odd) / hidden + epsilon)
    rstds[t] = rstd
    for (let h = 0; h < hidden; h++) {
      const value = (x[start + h]! - mean) * rstd
      normalised[start + h] = value
      y[start + h] = value * gamma[h]! + beta[h]!
    }
  }
  return result
})

const layerNormInputGradient = implement(
  layerNormInputGradientKernel,
  (dy_TH, normalised_TH, rstd_T, gamma_H) => {
    const [tokens, hidden] = dy_TH.shape
    const dx_TH = allocate<tf.Tensor2D>([tokens, hidden])
    const dy = view(dy_TH)
    const normalised = view(normalised_TH)
    const rstds = view(rstd_T)
    const gamma = view(gamma_H)
    const dx = view(dx_TH)
    for (let t = 0; t < tokens; t++) {
      const start = t * hidden
      let sum = 0
      let along = 0
      for (let h = 0; h < hidden; h++) {
        const g = dy[start + h]! * gamma[h]!
        sum += g
        along += g * normalised[start + h]!
      }
      const mean = sum / hidden
      const meanAlong = along / hidden
      const rstd = rstds[t]!
      for (let h = 0; h < hidden; h++) {
        const index = start + h
        dx[index] = (dy[index]! * gamma[h]! - mean - normalised[index]! * meanAlong) * rstd
      }
    }
    return dx_TH
  },
)

const layerNormParameterGradients = implement(layerNormParameterGradientsKernel, (dy_TH, normalised_TH) => {
  const [tokens, hidden] = dy_TH.shape
  const dGamma = new Float64Array(hidden)
  const dBeta = new Float64Array(hidden)
  const result = { dGamma_H: allocate<tf.Tensor1D>([hidden]), dBeta_H: allocate<tf.Tensor1D>([hidden]) }
  const dy = view(dy_TH)
  const normalised = view(normalised_TH)
  for (let t = 0, index = 0; t < tokens; t++) {
    for (let h = 0; h < hidden; h++, index++) {
      const g = dy[index]!
      dGamma[h]! += g * normalised[index]!
      dBeta[h]! += g
    }
  }
  view(result.dGamma_H).set(dGamma)
  view(result.dBeta_H).set(dBeta)
  return result
})

export const layerNormImplementations = [layerNorm, layerNormInputGradient, layerNormParameterGradients]
