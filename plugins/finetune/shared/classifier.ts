/** An encoder with a classifier (Devlin et al. 2019, section 4): its logits, its loss on a batch, its predictions. */
import * as tf from "@tensorflow/tfjs-core"
import type { Split } from "../../../core/artifacts/examples.ts"
import { type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { type EncoderModel, encode, type ModelDropout } from "../../model/encoder.ts"
import { classify, clsIndices } from "../../model/output-heads.ts"
import { predictAll } from "../../model/predict.ts"
import { type Objective, type Outputs, predictionOf } from "./objective.ts"

/**
 * Logits, [N, outputs]; the caller disposes of them.
 *
 * @param dropout for training; nothing is dropped if omitted
 */
export const logitsOf = (model: EncoderModel, batch: Sequences, dropout?: ModelDropout): tf.Tensor2D =>
  tf.tidy(() => outputsOf(model, batch, dropout).logits_NC)

/** The caller disposes of the outputs, or calls it in a tidy. */
const outputsOf = (model: EncoderModel, batch: Sequences, dropout?: ModelDropout): Outputs => {
  const cls_NH = encode(model, batch, { dropout, indices: clsIndices(batch.offsets) })
  return { cls_NH, logits_NC: classify(model, cls_NH, dropout) }
}

/** The dropout of an update: the rate, the run's seed and the index of the update. */
export interface UpdateDropout {
  readonly rate: number
  readonly seed: number
  readonly update: number
}

/** The masks of pass 0 come from the stream `dropout`, those of pass n from `dropout-n`. */
const dropoutOf = ({ rate, seed, update }: UpdateDropout, pass: number): ModelDropout => ({
  rate,
  stream: stream(seed, pass === 0 ? "dropout" : `dropout-${pass}`),
  iteration: update,
})

/**
 * An objective's mean loss of the examples at the given indices.
 *
 * @param dropout for training; nothing is dropped if omitted
 */
export const lossOf = (
  model: EncoderModel,
  objective: Objective,
  split: Split,
  indices: Int32Array,
  dropout?: UpdateDropout,
): tf.Scalar =>
  tf.tidy(() => {
    const sequences = selectSequences(split.sequences, indices)
    const forward = (pass = 0) => outputsOf(model, sequences, dropout && dropoutOf(dropout, pass))
    const labelOf = (index: number) => split.labels[index]!
    return objective.labels === "classes"
      ? objective.loss({ labels_N: Int32Array.from(indices, labelOf), forward })
      : objective.loss({ labels_N: Float32Array.from(indices, labelOf), forward })
  })

/**
 * The prediction for each sequence, without dropout.
 *
 * @param step the number of updates done, for the failure
 * @throws UnitFailure `diverged` if a logit is not finite
 */
export const predict = (model: EncoderModel, objective: Objective, sequences: Sequences, step: number) =>
  predictAll((batch) => logitsOf(model, batch), predictionOf(objective), sequences, step)
