import { type } from "arktype"
import { infoNCE } from "../../core/tensor/ops/info-nce.ts"
import { contrastiveOptions } from "./shared/contrastive/options.ts"
import { contrastiveTraining } from "./shared/contrastive-training.ts"

/**
 * Unsupervised SimCSE (Gao, Yao and Chen 2021, equation 4): an encoder learns to match two views of a sentence, made by
 * different dropout, among all sentences of a batch.
 */
export const simcse = contrastiveTraining({
  name: "simcse",
  module: import.meta.url,
  summary: "Unsupervised SimCSE: contrastive further training on sentences",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** The temperature of InfoNCE. */
    temperature: "0 < number <= 100 = 0.05",
  }),
  loss: ({ first_NH, second_NH }, { temperature }) => infoNCE(first_NH, second_NH, temperature),
})
