/** The result of training: a checkpoint from which fine-tuning, or transformers, starts. */
import { join } from "node:path"
import { Effect } from "effect"
import { writeJson } from "../../../core/io/files.ts"
import { writeTensors } from "../../../core/tensor/borrow.ts"
import type { Metrics } from "../../../core/tensor/training.ts"
import { configJson } from "../../model/config.ts"
import type { EncoderModel } from "../../model/encoder.ts"
import { type OutputHead, storedParametersOf } from "../../model/parameters.ts"

/** BERT's own dropout rate (Devlin et al. 2019). */
const standardDropout = 0.1

/**
 * Writes the encoder and the given output heads so that transformers opens them, as BertForMaskedLM with that head or
 * else as BertModel. A pooler is written in both cases, since fine-tuning starts from it: if one arm of a study had
 * none, fine-tuning would draw a new one in that arm alone. A family without a pooler in transformers gets none.
 *
 * The configuration gets BERT's own dropout rates, not those used in training: programs that fine-tune by the
 * configuration would otherwise train each arm differently.
 *
 * @throws FileError
 */
export const saveExport = Effect.fnUntraced(function* (
  folder: string,
  { config, parameters }: EncoderModel,
  outputHeads: readonly OutputHead[],
) {
  const tensors = storedParametersOf(config, outputHeads).map(({ name }) => ({
    name,
    tensor: parameters.get(name),
  }))
  const standard = { ...config, hiddenDropout: standardDropout, attentionDropout: standardDropout }
  const architecture = outputHeads.includes("maskedLanguageModel") ? "BertForMaskedLM" : "BertModel"
  yield* writeTensors(join(folder, "model.safetensors"), tensors)
  yield* writeJson(join(folder, "config.json"), configJson(standard, architecture))
})

/** A score on a dev set during training. */
export interface Evaluation {
  /** After this many updates. */
  readonly step: number
  /** Higher is better; null where it is undefined. */
  readonly score: number | null
}

/** How a checkpoint was trained. */
export interface TrainingRecord {
  readonly method: string
  readonly options: Readonly<Record<string, unknown>>
  /** Sentences of the corpus that were trained on, or anchors of labelled pairs. */
  readonly sentences: number
  /** How many anchors have a hard negative of their own, and how many one of another anchor. */
  readonly hardNegatives?: { readonly own: number; readonly others: number }
  readonly metrics: Metrics
  /** Scores on the dev set, if there is one. */
  readonly evaluations?: readonly Evaluation[]
  /** The checkpoint is the model after this many updates. */
  readonly exportedStep: number
}

/** Writes `training.json`, the record of training: options, loss curve and dev scores. */
export const writeRecord = (folder: string, { metrics, ...record }: TrainingRecord) =>
  writeJson(join(folder, "training.json"), {
    ...record,
    loss: Array.from(metrics.loss),
    learningRate: Array.from(metrics.learningRate),
    gradientNorm: Array.from(metrics.gradientNorm),
  })
