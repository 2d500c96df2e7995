import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"

/**
 * x Φ(x), the exact (erf) form of Hendrycks and Gimpel 2016, and its derivative Φ + x φ. Φ and φ are the distribution
 * and the density of the standard normal.
 */
export const geluKernel = defineKernel(
  "gelu",
  (x: tf.Tensor): { readonly y: tf.Tensor; readonly derivative: tf.Tensor } => {
    const distribution = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5)
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
    return { y: tf.mul(x, distribution), derivative: tf.add(distribution, tf.mul(x, density)) }
  },
)
