import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { type Node, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { Run } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { linkFolder } from "../../core/io/link.ts"
import { poolers, traitsAfter } from "./shared/traits.ts"

const takes = { run: Run }

const refusal = new InvalidInput({
  what: "modelOf(run)",
  problems: [
    "the run does not keep its model; give it keepModel: true, as in classification({ …, keepModel: true })",
  ],
})

/** The plugin of {@link modelOf}, which pipeline files call. */
export const keptModel = plugin({
  name: "model-of",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary:
    "The fine-tuned model of a run, in a pipeline file modelOf(run): to train further, or to ask again",
  options: type({ "+": "reject" }),
  takes,
  gives: Checkpoint,
  usesBackend: false,
  estimate: (_options, { run }) => {
    if (!run.keepsModel) throw refusal
    const { layers, hidden, heads, intermediate, vocabularySize, positions, parameters } = run
    // An estimate of a run says neither its dropout rate nor whether its examples are pairs of sentences.
    const trained = { dropout: undefined, pairs: undefined, pooler: poolers.fineTuned }
    const traits = traitsAfter(run.traits, trained)
    return {
      artifact: { layers, hidden, heads, intermediate, vocabularySize, positions, traits },
      // The files are links to the run's own, unless the disk has none.
      cost: cost({ disk: Float32Array.BYTES_PER_ELEMENT * parameters }),
    }
  },
  run: Effect.fn("model-of")(function* ({ inputs }: RunContext<Record<never, never>, typeof takes, unknown>) {
    const { modelFolder } = inputs.run
    if (modelFolder === null) return yield* refusal
    return { write: (folder: string) => linkFolder(modelFolder, folder) }
  }),
})

/**
 * The fine-tuned model of a run as a checkpoint: encoder, pooler where its family stores one, classifier, tokenizer. It
 * can be fine-tuned on another task or trained further, and its classifier can be asked again by `evaluate`.
 *
 * ```ts
 * const first = cohort({}, seeds, (seed) => classification({ data: a, checkpoint, lr, seed, keepModel: true }))
 * const second = mapCohort(first, (run, seed) => classification({ data: b, checkpoint: modelOf(run), lr, seed: 1000 + seed }))
 * ```
 *
 * A plan refuses a run that does not keep its model (`keepModel: true`).
 */
export const modelOf = (run: Node<typeof Run>): Node<typeof Checkpoint> => keptModel({ run })
