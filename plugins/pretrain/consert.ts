import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { softmaxCrossEntropy } from "../../core/tensor/ops/softmax-cross-entropy.ts"
import { augmentations } from "./consert/augmentation.ts"
import { augmentedViews } from "./consert/views.ts"
import { cosines, leaveOut } from "./shared/contrastive/cosines.ts"
import { contrastiveOptions } from "./shared/contrastive/options.ts"
import { contrastiveTraining } from "./shared/contrastive-training.ts"

const fraction = "0 <= number < 1"
const augmentation = type.enumerated(...augmentations)

/**
 * Unsupervised ConSERT (Yan et al. 2021): the two views of a sentence differ by how its embeddings are augmented before
 * the first layer, and each view is to be found among the other views of all sentences (NT-Xent, their equation 1).
 * Defaults are those of their best combination: feature cutoff and shuffled positions, and no dropout in training.
 * Unlike theirs, the sentence embedding is that of SimCSE, the head on [CLS], so that arms differ by the method alone.
 */
export const consert = contrastiveTraining({
  name: "consert",
  module: import.meta.url,
  summary: "ConSERT: contrastive further training on augmented embeddings of sentences",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** The dropout rate of hidden states and of attention probabilities, besides the augmentations. */
    dropout: `${fraction} = 0`,
    /** How the first view is made: none, shuffle, token-cutoff, feature-cutoff, dropout. */
    first: augmentation.default("feature-cutoff"),
    /** How the second view is made. */
    second: augmentation.default("shuffle"),
    /** Fraction of a sentence's tokens that token-cutoff sets to 0, special tokens included. */
    tokenCutoff: `${fraction} = 0.15`,
    /** Fraction of the features that feature-cutoff sets to 0 in all tokens of a sentence. */
    featureCutoff: `${fraction} = 0.2`,
    /** The probability with which dropout as an augmentation sets an element to 0. */
    embeddingDropout: `${fraction} = 0.2`,
    /** The temperature of NT-Xent. */
    temperature: "0 < number <= 100 = 0.1",
  }),
  views: (model, sentences, chosen_N, dropout, { first, second, seed, ...rates }) =>
    augmentedViews(model, sentences, chosen_N, dropout, { first, second, rates, seed }),
  loss: ({ first_NH, second_NH }, { temperature }) => {
    const count = first_NH.shape[0]
    const logits_2N2N: tf.Tensor2D = tf.div(cosines(tf.concat([first_NH, second_NH])), temperature)
    const positives = Int32Array.from({ length: 2 * count }, (_, i) => (i + count) % (2 * count))
    return softmaxCrossEntropy(leaveOut(logits_2N2N, tf.eye(2 * count)), positives)
  },
})
