import { softmaxCrossEntropy, tf, type } from "kasosei"
import { fineTuning } from "kasosei/plugins/finetune/shared/fine-tuning"
import { fineTuningOptions } from "kasosei/plugins/finetune/shared/options"

/**
 * R-Drop (Wu et al. 2021, equation 4): the cross-entropy of two passes, which differ by dropout, and α times the mean of
 * the two Kullback–Leibler divergences between their predictions, halved as the paper's loss of a pair is.
 */
export const rDrop = fineTuning({
  name: "r-drop",
  module: import.meta.url,
  summary: "Fine-tunes a classifier so that two passes with dropout agree",
  options: type({
    "+": "reject",
    ...fineTuningOptions,
    /** α. */
    consistency: "number >= 0 = 1",
  }),
  objective: ({ consistency }) => ({
    labels: "classes",
    passes: 2,
    loss: ({ labels_N, forward }) => {
      const [first_NC, second_NC] = [forward(0).logits_NC, forward(1).logits_NC]
      const entropy = tf.add(
        softmaxCrossEntropy(first_NC, labels_N),
        softmaxCrossEntropy(second_NC, labels_N),
      )
      const [p_NC, q_NC] = [tf.logSoftmax(first_NC), tf.logSoftmax(second_NC)]
      // KL(p, q) + KL(q, p) = Σ (p − q) (log p − log q).
      const both_NC = tf.mul(tf.sub(tf.exp(p_NC), tf.exp(q_NC)), tf.sub(p_NC, q_NC))
      const divergence = tf.mean(tf.sum(both_NC, 1))
      return tf.add(tf.div(entropy, 2), tf.mul(divergence, consistency / 4)).asScalar()
    },
  }),
})
