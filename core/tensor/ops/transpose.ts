import * as tf from "@tensorflow/tfjs-core"

/** The reference definition of the kernel `transpose`: [T, H] to [H, T]. */
export const transpose = (x_TH: tf.Tensor2D): tf.Tensor2D => tf.transpose(x_TH)
