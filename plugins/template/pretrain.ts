import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { infoNCE } from "../../core/tensor/ops/info-nce.ts"
import { contrastiveOptions } from "../pretrain/shared/contrastive/options.ts"
import { contrastiveTraining } from "../pretrain/shared/contrastive-training.ts"

/**
 * InfoNCE in both directions: each view of a sentence is to be found among the other views of all sentences of a batch
 * (Radford et al. 2021, figure 3, for images and texts).
 */
export const templatePretrain = contrastiveTraining({
  name: "template-pretrain",
  module: import.meta.url,
  summary: "Contrastive further training in both directions",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** τ. */
    temperature: "0 < number <= 100 = 0.05",
    /** The weight of the second direction: with 0, the loss is SimCSE's. */
    backward: "0 <= number <= 1 = 0.5",
  }),
  loss: ({ first_NH, second_NH }, { temperature, backward }) => {
    const there = infoNCE(first_NH, second_NH, temperature)
    const back = infoNCE(second_NH, first_NH, temperature)
    return tf.add(tf.mul(there, 1 - backward), tf.mul(back, backward))
  },
})
