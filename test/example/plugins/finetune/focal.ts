import { tf, type } from "kasosei"
import { fineTuning } from "kasosei/plugins/finetune/shared/fine-tuning"
import { fineTuningOptions } from "kasosei/plugins/finetune/shared/options"

/** The focal loss (Lin et al. 2017, equation 4): −(1 − p)^γ log p, where p is the probability of the labelled class. */
export const focal = fineTuning({
  name: "focal",
  module: import.meta.url,
  summary: "Fine-tunes a classifier by the focal loss",
  options: type({
    "+": "reject",
    ...fineTuningOptions,
    /** γ; with 0 it is the cross-entropy. */
    gamma: "number >= 0 = 2",
  }),
  objective: ({ gamma }) => ({
    labels: "classes",
    loss: ({ labels_N, forward }) => {
      const log_NC = tf.logSoftmax(forward().logits_NC)
      const labelled_NC = tf.oneHot(tf.tensor1d(labels_N, "int32"), log_NC.shape[1]!)
      const log_N = tf.sum(tf.mul(log_NC, labelled_NC), 1)
      const weight_N = tf.pow(tf.sub(1, tf.exp(log_N)), gamma)
      return tf.neg(tf.mean(tf.mul(weight_N, log_N)))
    },
  }),
})
