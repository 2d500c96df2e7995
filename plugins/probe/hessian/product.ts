/** Products of a Hessian with vectors, by differentiating a gradient (Pearlmutter 1994): exact up to float32. */
import * as tf from "@tensorflow/tfjs-core"
import { twiceDifferentiable } from "../../../core/tensor/differentiable.ts"
import type { ReadonlyParameters } from "../../../core/tensor/parameters.ts"

/** A symmetric matrix, as a function that multiplies a vector by it: [D] to [D]. */
export type Operator = (vector_D: Float64Array) => Float64Array

/**
 * The Hessian of a loss in some parameters, D numbers in the order of their names.
 *
 * @param loss differentiable twice: see `twiceDifferentiable`
 */
export const hessianOf =
  (loss: () => tf.Scalar, parameters: ReadonlyParameters, names: readonly string[]): Operator =>
  (vector_D) => {
    const tensors = names.map((name) => parameters.get(name))
    const product_D = new Float64Array(vector_D.length)
    twiceDifferentiable(() =>
      tf.tidy(() => {
        const directions = split(vector_D, tensors)
        const slope = () => {
          const { grads } = tf.engine().gradients(loss, tensors, undefined, true)
          return tf.addN(grads.map((gradient, at) => tf.sum(tf.mul(gradient, directions[at]!))))
        }
        let from = 0
        for (const gradient of tf.engine().gradients(slope, tensors, undefined, true).grads) {
          product_D.set(gradient.dataSync<"float32">(), from)
          from += gradient.size
        }
      }),
    )
    return product_D
  }

/** A tensor in the shape of each, from successive elements. */
const split = (vector_D: Float64Array, tensors: readonly tf.Tensor[]): readonly tf.Tensor[] => {
  let from = 0
  return tensors.map(({ shape, size }) => {
    from += size
    return tf.tensor(Float32Array.from(vector_D.subarray(from - size, from)), shape)
  })
}
