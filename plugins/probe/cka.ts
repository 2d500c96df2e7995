import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { optional } from "../../core/api/plugin.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import type { RunLength } from "../../core/api/watch.ts"
import { Checkpoint, type CheckpointEstimate, type CheckpointTaken } from "../../core/artifacts/checkpoint.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { exists, writeFolder } from "../../core/io/files.ts"
import { limitsOfCheckpoint, sequenceProblems } from "../model/compatibility.ts"
import type { EncoderModel } from "../model/encoder.ts"
import { loadModel } from "../model/hugging-face.ts"
import type { ClassifierView } from "../model/view.ts"
import { ckaOf } from "./cka/hsic.ts"
import { gramOf } from "./shared/gram/gram.ts"
import {
  Poolings,
  representationColumns,
  representationCost,
  representationCount,
  representationsOf,
  vectorsOf,
} from "./shared/representations.ts"
import { drawSamples } from "./shared/samples.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe besides step 0, which is always observed. */
  steps: Steps.default(() => ({ at: [], last: true })),
  /** N, the number of training examples. */
  samples: "4 <= number.integer <= 1024 = 128",
  /** What stands for an example. */
  poolings: Poolings,
  /** Whether each block is compared with the `same` one, or with `all` blocks of the reference. */
  blocks: "'same' | 'all' = 'same'",
})
type Options = typeof Options.infer

const takes = { reference: optional(Checkpoint) }

const CkaRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  ...representationColumns,
  /** The block of the reference. */
  referenceBlock: "string",
  samples: "number.integer >= 4",
  cka: "number | null",
})
/**
 * `cka` is the debiased linear CKA between the representations that a block gives at the step and those of a block of
 * the reference: 1 if they are equal up to rotation and scale, about 0 if they are independent. Null if the examples'
 * representations are all the same on one side, as those of [CLS] are before the first layer.
 */
export type CkaRow = typeof CkaRow.infer

const GramRow = type({
  "+": "reject",
  ...representationColumns,
  gram: type.instanceOf(Float64Array),
})
type GramRow = typeof GramRow.infer
/** The Gram matrices of the reference, in the scratch folder. */
const Reference = observationsOf<GramRow>(GramRow)

const gramsOf = Effect.fnUntraced(function* (
  model: EncoderModel,
  step: number,
  sequences: Sequences,
  { samples, poolings }: Options,
) {
  const representations = yield* representationsOf({ model, step }, sequences, poolings)
  return representations.map(({ values, ...of }): GramRow => {
    return { ...of, gram: gramOf(vectorsOf(values, samples)).slice() }
  })
})

const refuse = (problems: readonly string[]) => new InvalidInput({ what: "cka", problems })

/** Those of a checkpoint, which has no pooler, or one that the run may have drawn anew. */
const gramsOfCheckpoint = Effect.fnUntraced(function* (
  { folder, config: json }: CheckpointTaken,
  { step, train, config }: ClassifierView,
  sequences: Sequences,
  options: Options,
) {
  const model = yield* Effect.acquireRelease(loadModel(folder, { outputHeads: {} }), ({ parameters }) =>
    Effect.sync(() => parameters.dispose()),
  )
  const limits = limitsOfCheckpoint({ folder, config: json }, model.config)
  const problems = sequenceProblems("the run's data", train.sequences, config.vocabularySize, limits)
  if (problems.length > 0) return yield* refuse(problems)
  return yield* gramsOf(model, step, sequences, options)
}, Effect.scoped)

const observe = Effect.fn("cka")(function* (
  view: ClassifierView,
  { options, inputs: { reference }, scratch }: ObserveContext<Options, typeof takes>,
) {
  const { samples } = options
  const { step } = view
  const { sequences } = yield* drawSamples(view, samples)
  const own = yield* gramsOf(view, step, sequences, options)
  const folder = join(scratch, "reference")
  if (!(yield* exists(folder))) {
    // Without a checkpoint this is step 0.
    const first =
      reference === undefined ? own : yield* gramsOfCheckpoint(reference, view, sequences, options)
    yield* writeFolder(folder, (folder) => Reference.write(folder, first))
  }
  const others = yield* Reference.read(folder)
  return own.flatMap(({ block, layer, pooling, gram }) =>
    others
      .filter((other) => other.pooling === pooling && (options.blocks === "all" || other.block === block))
      .map((other): CkaRow => {
        const cka = ckaOf(gram, other.gram, samples)
        return { step, block, layer, pooling, referenceBlock: other.block, samples, cka }
      }),
  )
})

const stepsOf = ({ steps }: Options, run: RunLength): readonly number[] => {
  const chosen = chooseSteps(steps, run)
  return chosen.includes(0) ? chosen : [0, ...chosen]
}

/** How many pairs of blocks are compared at a step. */
const pairsOf = (
  { poolings, blocks }: Options,
  { layers }: RunEstimate,
  reference: CheckpointEstimate | undefined,
): number =>
  poolings.reduce((pairs, pooling) => {
    // Of the embeddings and the layers; and of the pooler, which a checkpoint is not asked for.
    const pooled = pooling === "cls" ? 1 : 0
    const own = layers + 1 + pooled
    const others = reference === undefined ? own : reference.layers + 1
    return pairs + (blocks === "all" ? own * others : Math.min(own, others))
  }, 0)

const rowBytes = 130

/**
 * How much a run's representations of the same examples still resemble those of a reference, block by block: those of
 * step 0 or, with `reference`, those of a checkpoint, such as the one that further training started from.
 */
export const cka = probe<ClassifierView, RunEstimate>()({
  name: "cka",
  version: 1,
  module: import.meta.url,
  summary: "Similarity of the representations to those of step 0 or of another checkpoint, by layer",
  options: Options,
  takes,
  gives: observationsOf<CkaRow>(CkaRow),
  steps: stepsOf,
  observe,
  estimate: (options, run, { reference }) => {
    const { samples, poolings } = options
    if (reference !== undefined && reference.vocabularySize !== run.vocabularySize) {
      throw refuse([
        `reference must have the vocabulary of the run's model, ${run.vocabularySize} tokens (was ${reference.vocabularySize})`,
      ])
    }
    const observations = stepsOf(options, run).length
    const rows = observations * pairsOf(options, run, reference)
    const { flops, calls, memory } = representationCost(run, samples, poolings)
    const ofReference =
      reference === undefined
        ? { flops: 0, calls: 0, memory: 0 }
        : representationCost({ ...run, ...reference }, samples, poolings)
    const grams = representationCount(run, poolings) * Float64Array.BYTES_PER_ELEMENT * samples ** 2
    return {
      rows,
      cost: cost({
        flops: observations * flops + ofReference.flops,
        calls: observations * calls + ofReference.calls,
        // Beside the run's, the parameters of the reference, of about as many layers.
        memory:
          Math.max(memory, ofReference.memory + (reference === undefined ? 0 : 4 * run.parameters)) +
          2 * grams,
        disk: rowBytes * rows,
        scratch: grams + rowBytes * rows,
      }),
    }
  },
})
