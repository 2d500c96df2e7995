import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"

/** [H] from [T, H]. */
export const sumRowsKernel = defineKernel(
  "sumRows",
  (x_TH: tf.Tensor2D): tf.Tensor1D => tf.sum<tf.Tensor1D>(x_TH, 0),
)
