import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { fineTuning } from "./shared/fine-tuning.ts"
import type { Objective } from "./shared/objective.ts"
import { fineTuningOptions } from "./shared/options.ts"

export const meanSquaredError: Objective = {
  labels: "scores",
  loss: ({ labels_N, forward }) => {
    const { logits_NC } = forward()
    return tf.mean(tf.square(tf.sub(logits_NC, tf.tensor2d(labels_N, logits_NC.shape))))
  },
}

/** Fine-tunes an encoder to predict scores by the mean squared error, as on STS-B (Devlin et al. 2019, section 4.1). */
export const regression = fineTuning({
  name: "regression",
  module: import.meta.url,
  summary: "Fine-tunes an encoder to predict scores, by default with AdamW without bias correction",
  options: type({ "+": "reject", ...fineTuningOptions }),
  objective: () => meanSquaredError,
})
