import type * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "./kernel.ts"
import type { TensorSource } from "./safetensors.ts"

/**
 * The values of a float32 tensor, to be read immediately; not a copy if the backend can share its memory, since copying
 * a large model to save it leaves gigabytes to the garbage collector. Valid until the next op or borrowing, or until the
 * tensor is disposed of; read-only.
 */
export const borrowKernel = defineKernel(
  "borrow",
  (tensor: tf.Tensor): Float32Array | Promise<Float32Array> => tensor.data<"float32">(),
)

/** A tensor to be saved in a file under a name. The caller disposes of it, after it is written. */
export const sourceOf = (name: string, tensor: tf.Tensor): TensorSource => ({
  name,
  shape: tensor.shape,
  values: () => borrowKernel(tensor),
})
