import type * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "./kernel.ts"
import type { TensorSource } from "./safetensors.ts"

/**
 * The values of a float32 tensor for reading at once, without a copy where the backend has none to make: a large model
 * that is copied to be written leaves gigabytes to the garbage collector. Valid until the next op, or the tensor's end;
 * not to be written.
 */
export const borrowKernel = defineKernel(
  "borrow",
  (tensor: tf.Tensor): Float32Array | Promise<Float32Array> => tensor.data<"float32">(),
)

/** A tensor to be written into a file, under a name. It must be there until it is written. */
export const sourceOf = (name: string, tensor: tf.Tensor): TensorSource => ({
  name,
  shape: tensor.shape,
  values: () => borrowKernel(tensor),
})
