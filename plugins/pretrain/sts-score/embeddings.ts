import type { Sequences } from "../../../core/artifacts/sequences.ts"
import type { EncoderModel } from "../../model/encoder.ts"
import { hiddenStates } from "../../model/inspect.ts"
import { sentenceEmbeddings } from "../shared/contrastive/views.ts"

export const poolings = ["cls", "first-last"] as const
export type Pooling = (typeof poolings)[number]

/** Embeddings of N sequences, row after row, [N · H]. */
export const embeddingsOf =
  (model: EncoderModel, pooling: Pooling) =>
  (sequences: Sequences): Float32Array =>
    pooling === "cls" ? sentenceEmbeddings(model, sequences) : firstAndLast(model, sequences)

/** The mean over a sequence's tokens of the hidden states after the first and after the last layer, [N · H]. */
const firstAndLast = (model: EncoderModel, sequences: Sequences): Float32Array => {
  const { hidden, layers } = model.config
  const { offsets } = sequences
  const means = new Float32Array((offsets.length - 1) * hidden)
  for (const depth of [1, layers]) {
    const hidden_TH = hiddenStates(model, sequences, depth)
    const values = hidden_TH.dataSync<"float32">()
    for (let n = 0; n + 1 < offsets.length; n++) {
      const weight = 1 / (2 * (offsets[n + 1]! - offsets[n]!))
      for (let t = offsets[n]!; t < offsets[n + 1]!; t++) {
        for (let h = 0; h < hidden; h++) means[n * hidden + h]! += weight * values[t * hidden + h]!
      }
    }
    hidden_TH.dispose()
  }
  return means
}
