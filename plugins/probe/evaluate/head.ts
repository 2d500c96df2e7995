import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { type EncoderModel, encode } from "../../model/encoder.ts"
import { loadModel } from "../../model/hugging-face.ts"
import { classify, clsIndices } from "../../model/output-heads.ts"

/**
 * A checkpoint's classifier upon the encoder of another model, until the scope ends.
 *
 * @param folder that of the checkpoint
 * @throws InvalidInput if it has no classifier, or one of another layout or hidden size
 * @throws FileError
 */
export const loadHead = Effect.fnUntraced(function* (folder: string, { config, parameters }: EncoderModel) {
  const head = yield* Effect.acquireRelease(
    loadModel(folder, { outputHeads: { pooler: "read", classifier: "read" }, only: "classifier" }),
    (head) => Effect.sync(() => head.parameters.dispose()),
  )
  const found = head.config
  if (found.layout !== config.layout || found.hidden !== config.hidden) {
    const expected = `a model of ${config.layout.title} with the hidden size ${config.hidden}, as the run's is`
    const problem = `head: expected ${expected}, found ${found.layout.title} with ${found.hidden}`
    return yield* new InvalidInput({ what: folder, problems: [problem] })
  }
  const has = (name: string) => head.parameters.has(name)
  const model: EncoderModel = {
    config,
    parameters: {
      ...parameters,
      get: <T extends tf.Tensor>(name: string) =>
        has(name) ? head.parameters.get<T>(name) : parameters.get<T>(name),
    },
  }
  /** [N, outputs]; the caller disposes of the tensor. */
  const logits = (batch: Sequences): tf.Tensor2D =>
    tf.tidy(() => classify(model, encode(model, batch, { indices: clsIndices(batch.offsets) })))
  return { outputs: found.labels, logits }
})
