import { type } from "arktype"
import { softmaxCrossEntropy } from "../../core/tensor/ops/softmax-cross-entropy.ts"
import { fineTuning } from "./shared/fine-tuning.ts"
import type { Objective } from "./shared/objective.ts"
import { fineTuningOptions } from "./shared/options.ts"

export const crossEntropy: Objective = {
  labels: "classes",
  loss: ({ labels_N, forward }) => softmaxCrossEntropy(forward().logits_NC, labels_N),
}

/** Fine-tunes a classifier by cross-entropy (Devlin et al. 2019, section 4). */
export const classification = fineTuning({
  name: "classification",
  module: import.meta.url,
  summary: "Fine-tunes a classifier, by default with AdamW without bias correction",
  options: type({ "+": "reject", ...fineTuningOptions }),
  objective: () => crossEntropy,
})
