import * as tf from "@tensorflow/tfjs-core"

/** The reference definition of the kernel `sumRows`: [H] from [T, H]. */
export const sumRows = (x_TH: tf.Tensor2D): tf.Tensor1D => tf.sum<tf.Tensor1D>(x_TH, 0)
