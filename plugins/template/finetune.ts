import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { fineTuning } from "../finetune/shared/fine-tuning.ts"
import { fineTuningOptions } from "../finetune/shared/options.ts"

/**
 * Fine-tunes a classifier by cross-entropy with smoothed labels (Szegedy et al. 2016, section 7): of C classes the
 * labelled one counts 1 − ε + ε / C, and each other one ε / C.
 */
export const templateFinetune = fineTuning({
  name: "template-finetune",
  module: import.meta.url,
  summary: "Fine-tunes a classifier by cross-entropy with smoothed labels",
  options: type({
    "+": "reject",
    ...fineTuningOptions,
    /** ε; without smoothing it is the plugin classification. */
    smoothing: "0 <= number < 1 = 0.1",
  }),
  objective: ({ smoothing }) => ({
    labels: "classes",
    loss: ({ labels_N, forward }) => {
      const { logits_NC } = forward()
      const log_NC = tf.logSoftmax(logits_NC)
      const labelled_NC = tf.oneHot(tf.tensor1d(labels_N, "int32"), logits_NC.shape[1])
      const labelled: tf.Scalar = tf.mean(tf.sum(tf.mul(log_NC, labelled_NC), 1))
      return tf.neg(tf.add(tf.mul(labelled, 1 - smoothing), tf.mul(tf.mean(log_NC), smoothing)))
    },
  }),
})
