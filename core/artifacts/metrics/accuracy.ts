import type { Ratio } from "./ratio.ts"

/** The share of examples whose class was predicted. */
export const accuracy = (predictions: Float64Array, labels: Float64Array): Ratio => {
  let correct = 0
  for (let i = 0; i < labels.length; i++) if (predictions[i] === labels[i]) correct++
  return { numerator: correct, denominator: labels.length }
}
