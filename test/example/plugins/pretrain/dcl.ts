import { tf, type } from "kasosei"
import { contrastiveOptions } from "kasosei/plugins/pretrain/shared/contrastive/options"
import { contrastiveTraining } from "kasosei/plugins/pretrain/shared/contrastive-training"

/**
 * Decoupled contrastive learning (Yeh et al. 2022, equation 6): InfoNCE over both views, whose denominator leaves out
 * the positive pair. For each view: −cos(xᵢ, yᵢ) / τ + log Σ exp(cos / τ) over all views of the other sentences.
 */
export const dcl = contrastiveTraining({
  name: "dcl",
  module: import.meta.url,
  summary: "Decoupled contrastive further training on sentences",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** τ. */
    temperature: "0 < number <= 100 = 0.05",
  }),
  loss: ({ first_NH, second_NH }, { temperature }) => {
    const count = first_NH.shape[0]
    const views_2NH = tf.concat([first_NH, second_NH])
    const unit_2NH = tf.div(views_2NH, tf.norm(views_2NH, 2, 1, true))
    const cosines_2N2N = tf.div(tf.matMul(unit_2NH, unit_2NH, false, true), temperature)
    const same_NN = tf.eye(count)
    const sameSentence_2N2N = tf.tile(same_NN, [2, 2])
    const positives_2N2N = tf.sub(sameSentence_2N2N, tf.eye(2 * count))
    const positive_2N = tf.sum(tf.mul(cosines_2N2N, positives_2N2N), 1)
    // Cosines are at most 1, so exponentials of (cos − 1) / τ do not overflow.
    const others_2N2N = tf.mul(tf.exp(tf.sub(cosines_2N2N, 1 / temperature)), tf.sub(1, sameSentence_2N2N))
    const negative_2N = tf.add(tf.log(tf.sum(others_2N2N, 1)), 1 / temperature)
    return tf.mean(tf.sub(negative_2N, positive_2N))
  },
})
