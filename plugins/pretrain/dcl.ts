import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { cosines, leaveOut } from "./shared/contrastive/cosines.ts"
import { contrastiveOptions } from "./shared/contrastive/options.ts"
import { contrastiveTraining } from "./shared/contrastive-training.ts"

/**
 * Decoupled contrastive learning (Yeh et al. 2022, equation 6): InfoNCE over both views, whose denominator leaves out
 * the positive pair. For each view: −cos(xᵢ, yᵢ) / τ + log Σ exp(cos / τ) over all views of the other sentences.
 */
export const dcl = contrastiveTraining({
  name: "dcl",
  module: import.meta.url,
  summary: "Decoupled contrastive further training: InfoNCE without the positive pair in the denominator",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** τ. */
    temperature: "0 < number <= 100 = 0.05",
  }),
  loss: ({ first_NH, second_NH }, { temperature }) => {
    const count = first_NH.shape[0]
    const logits_2N2N: tf.Tensor2D = tf.div(cosines(tf.concat([first_NH, second_NH])), temperature)
    const sameSentence_2N2N: tf.Tensor2D = tf.tile(tf.eye(count), [2, 2])
    const positives_2N2N = tf.sub(sameSentence_2N2N, tf.eye(2 * count))
    const positive_2N = tf.sum(tf.mul(logits_2N2N, positives_2N2N), 1)
    const negative_2N = tf.logSumExp(leaveOut(logits_2N2N, sameSentence_2N2N), 1)
    return tf.mean(tf.sub(negative_2N, positive_2N))
  },
})
