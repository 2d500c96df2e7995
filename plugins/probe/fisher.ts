import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import type { RunLength } from "../../core/api/watch.ts"
import { selectExamples } from "../../core/artifacts/examples.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { permutation } from "../../core/tensor/stream.ts"
import { layerOf } from "../model/parameters.ts"
import type { ClassifierView } from "../model/view.ts"
import type { Labelled } from "./fisher/backward.ts"
import { type Blocks, blockGrams, parameterGrams } from "./fisher/block-grams.ts"
import { observationCost } from "./fisher/cost.ts"
import { effectiveRank, entropyRank, spectralRank } from "./fisher/rank.ts"
import { selfCheck } from "./fisher/self-check.ts"
import { eigenvalues } from "./fisher/spectrum.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe; by default only step 0, before the first update. */
  steps: Steps.default(() => ({ at: [0] })),
  /** N, the number of training examples, which no rank can exceed. */
  samples: "1 <= number.integer <= 256 = 16",
  /** The effective rank is the number of largest eigenvalues whose sum exceeds this fraction of the trace. */
  threshold: "0 < number < 1 = 0.99",
  /** `layers` means each layer, and all of them together as `encoder`. Gradients below the lowest block are skipped. */
  blocks: type("'layers' | 'embeddings' | 'pooler' | 'classifier'")
    .array()
    .atLeastLength(1)
    .default(() => ["layers"]),
  /** Also computes everything by tokens, directly and by definition, and compares. Takes several times as long. */
  selfCheck: "boolean = false",
})
type Options = typeof Options.infer

const FisherRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  /** layer.0, layer.1 and so on, embeddings, pooler, classifier, or encoder for all layers */
  block: "string",
  layer: "number.integer >= 0 | null",
  samples: "number.integer >= 1",
  gram: type.instanceOf(Float64Array),
  trace: "number >= 0",
  erank: "number.integer >= 0",
  normalised: "0 <= number <= 1",
  srank: "number.integer >= 0",
  entropyRank: "number >= 0",
  selfCheck: "number | null",
})
/**
 * The empirical Fisher of a block at a step, from the Gram matrix of its per-sample gradients.
 *
 * `layer` counts from 0; null if the block is not a layer. `gram` is [samples, samples], row-major: the nonzero
 * eigenvalues of F̂ are its eigenvalues divided by `samples`, so any other rank or threshold follows from it. `trace` is
 * the trace of `gram`. `erank` is the effective rank at the threshold, and `normalised` is that divided by `samples`;
 * `srank` is that of Kumar et al. 2021 at the threshold, `entropyRank` that of Roy and Vetterli 2007. If all gradients
 * are zero, so are the ranks. `selfCheck` is the worst deviation of an entry between the methods of computing the Gram
 * matrix, as a fraction of its largest entry; null unless the option is set.
 */
export type FisherRow = typeof FisherRow.infer

/** The eigenvalues of a row's Gram matrix, descending, [samples]: those of F̂ times `samples`. */
export const eigenvaluesOf = ({ gram, samples }: FisherRow): Float64Array => eigenvalues(gram, samples)

const stepsOf = (options: Options, run: RunLength) => chooseSteps(options.steps, run)

/** Training examples that the seed draws without replacement: the same at every step and in every arm. */
const drawBatch = ({ config, train, stream }: ClassifierView, samples: number): Labelled => {
  const indices = permutation(stream, train.labels.length, 0).subarray(0, samples)
  const { sequences, labels } = selectExamples(train, indices)
  // A model of classes has an output for each.
  const isScore = config.labels.length === 1
  return { sequences, labels: isScore ? Float32Array.from(labels) : Int32Array.from(labels) }
}

const chosen = (blocks: Blocks, wanted: Options["blocks"]): Blocks =>
  new Map(
    [...blocks].filter(([block]) =>
      wanted.some((name) => (name === "layers" ? layerOf(block) !== undefined : name === block)),
    ),
  )

const observe = Effect.fn("fisher")(function* (view: ClassifierView, { options }: ObserveContext<Options>) {
  const { step, config, parameters, logits, train } = view
  const { samples, threshold } = options
  const fail = (outcome: UnitFailure["outcome"], reason: string) => new UnitFailure({ outcome, reason, step })
  if (samples > train.labels.length) {
    return yield* fail(
      "failed",
      `samples: expected at most ${train.labels.length}, the number of training examples, found ${samples}`,
    )
  }
  const batch = drawBatch(view, samples)
  const blocks = chosen(view.blocks, options.blocks)
  const model = { config, parameters, logits }
  const grams = blockGrams(blocks, parameterGrams(model, blocks, batch))
  const unsound = [...grams].filter(([, gram]) => !gram.every(Number.isFinite)).map(([block]) => block)
  if (unsound.length > 0) {
    return yield* fail("diverged", `the gradients of ${unsound.join(", ")} are not finite`)
  }
  const checked = options.selfCheck ? selfCheck(model, blocks, batch) : undefined
  return [...grams].map(([block, gram]): FisherRow => {
    const spectrum = eigenvalues(gram, samples)
    const erank = effectiveRank(spectrum, threshold)
    return {
      step,
      block,
      layer: layerOf(block) ?? null,
      samples,
      gram: gram.slice(),
      trace: Array.from({ length: samples }, (_, i) => gram[i * samples + i]!).reduce((sum, x) => sum + x, 0),
      erank,
      normalised: erank / samples,
      srank: spectralRank(spectrum, threshold),
      entropyRank: entropyRank(spectrum),
      selfCheck: checked?.get(block) ?? null,
    }
  })
})

/** Bytes of a row on disk, without its matrix. */
const rowBytes = 300

/**
 * Effective ranks of the block-diagonal empirical Fisher F̂ = (1/N) Σ gᵢgᵢᵀ, gᵢ = ∇ log p(yᵢ | xᵢ; θ) with the true
 * labels and without dropout (Takenaka and Taki 2025, table 2, figures 3 and 4). A layer has all 16 of its tensors.
 * Of a run that learns scores, p is a normal distribution around the model's output with variance 1.
 */
export const fisher = probe<ClassifierView, RunEstimate>()({
  name: "fisher",
  version: 1,
  module: import.meta.url,
  summary: "Effective ranks of the empirical Fisher by layer, and the Gram matrices of per-sample gradients",
  options: Options,
  gives: observationsOf<FisherRow>(FisherRow),
  steps: stepsOf,
  observe,
  estimate: (options, run) => {
    const observations = stepsOf(options, run).length
    const layers = options.blocks.includes("layers")
    const others = new Set(options.blocks).size - (layers ? 1 : 0)
    const blocks = others + (layers ? run.layers : 0)
    const rows = observations * (blocks + (layers ? 1 : 0))
    const { flops, memory } = observationCost(run, { ...options, layers, blocks })
    return {
      rows,
      cost: cost({
        flops: observations * flops,
        memory,
        disk: rows * (rowBytes + 8 * options.samples ** 2),
        // Each observation's rows stay in the scratch folder until the run ends.
        scratch: rows * (rowBytes + 8 * options.samples ** 2),
      }),
    }
  },
})
