import type * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../../../../core/tensor/kernel.ts"
import { sumsGram } from "./gram.ts"
import type { GramMethod } from "./gram-method.ts"
import { type Factors, linearGram } from "./linear.ts"

/**
 * Gram matrices of the same N samples, float64, row-major and exactly symmetric, where the backend computes them: a
 * device that runs ahead is waited for once, when all are read. Whoever makes them disposes of them.
 */
export interface Grams {
  /** Writes the matrix `at`: that of a linear layer's weight. */
  linear(at: number, factors: Factors, method: GramMethod): void
  /**
   * Writes that of each sample's sum over its tokens, of x or of x · factor element by element.
   *
   * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1
   */
  sums(at: number, x_TD: tf.Tensor2D, offsets: Int32Array, factor_TD?: tf.Tensor2D): void
  /** Writes one that was computed elsewhere, [N, N]. */
  write(at: number, gram: Float64Array): void
  /** All, [count, N, N]: those that were not written are anything. */
  read(): Float64Array
  dispose(): void
}

/** Room for `count` Gram matrices of N samples. */
export const gramsKernel = defineKernel("grams", (count: number, samples: number): Grams => {
  const size = samples ** 2
  const grams = new Float64Array(count * size)
  const write = (at: number, gram: Float64Array) => grams.set(gram, at * size)
  return {
    linear: (at, factors, method) => write(at, linearGram(factors, method)),
    sums: (at, x_TD, offsets, factor_TD) => write(at, sumsGram(x_TD, offsets, factor_TD)),
    write,
    read: () => grams,
    dispose: () => {},
  }
})
