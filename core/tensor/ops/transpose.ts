import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"

/** [H, T] from [T, H]. */
export const transposeKernel = defineKernel(
  "transpose",
  (x_TH: tf.Tensor2D): tf.Tensor2D => tf.transpose(x_TH),
)
