import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import type { RunLength } from "../../core/api/watch.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import type { EncoderConfig } from "../model/config.ts"
import { layerOf } from "../model/parameters.ts"
import type { ClassifierView } from "../model/view.ts"
import { selfCheck } from "./fisher/self-check.ts"
import { type Blocks, blockGrams, parameterGrams } from "./shared/gram/block-grams.ts"
import { columnsFor, countOf, labelSources } from "./shared/gram/columns.ts"
import { observationCost } from "./shared/gram/cost.ts"
import { drawLabelled } from "./shared/likelihood.ts"
import { effectiveRank, entropyRank, spectralRank } from "./shared/rank.ts"
import { eigenvalues } from "./shared/spectrum.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"
import { tensorsOf } from "./shared/tensors.ts"

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
  /**
   * `true`: the empirical Fisher. `sampled`: that of one label for each example, drawn from the model. `expected`: the
   * true Fisher in expectation over labels, which is the Gauss–Newton matrix.
   */
  labels: type.enumerated(...labelSources).default("true"),
  /** Whether the Gram matrices of a layer's 16 tensors are kept beside that of the layer. */
  grams: "'layers' | 'tensors' = 'layers'",
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
  labels: type.enumerated(...labelSources),
  gram: type.instanceOf(Float64Array),
  trace: "number >= 0",
  erank: "number.integer >= 0",
  normalised: "0 <= number <= 1",
  srank: "number.integer >= 0",
  entropyRank: "number >= 0",
  selfCheck: "number | null",
  tensors: "string | null",
  tensorGrams: type.instanceOf(Float64Array).or("null"),
})
/**
 * The Fisher of a block at a step, from the Gram matrix of its per-sample gradients.
 *
 * `layer` counts from 0; null if the block is not a layer. `labels` is the option of that name. `gram` is [M, M], row-major, for M columns: the nonzero
 * eigenvalues of the Fisher are its eigenvalues divided by `samples`, N, so any other rank or threshold follows from it.
 * M is N, but N (C − 1) if labels are expected and there are C classes. `trace` is the trace of `gram`. `erank` is the
 * effective rank at the threshold, and `normalised` is that divided by M; `srank` is that of Kumar et al. 2021 at the
 * threshold, `entropyRank` that of Roy and Vetterli 2007. If all gradients are zero, so are the ranks. `selfCheck` is the worst
 * deviation of an entry between the methods of computing the Gram matrix, as a fraction of its largest entry; null
 * unless the option is set. `tensorGrams` is [16, M, M], the Gram matrices of a layer's tensors, whose sum is `gram`, and
 * `tensors` their names, separated by spaces, such as `query.weight`: the same in every layout; null unless the option
 * `grams` is `tensors`, and for blocks that are not layers.
 */
export type FisherRow = typeof FisherRow.infer

/** The eigenvalues of a row's Gram matrix, descending, [M]: those of the Fisher times `samples`. */
export const eigenvaluesOf = ({ gram }: Pick<FisherRow, "gram">): Float64Array =>
  eigenvalues(gram, Math.sqrt(gram.length))

/** The effective rank at another threshold follows from the eigenvalues. */
export { effectiveRank }

const stepsOf = (options: Options, run: RunLength) => chooseSteps(options.steps, run)

const chosen = (blocks: Blocks, wanted: Options["blocks"]): Blocks =>
  new Map(
    [...blocks].filter(([block]) =>
      wanted.some((name) => (name === "layers" ? layerOf(block) !== undefined : name === block)),
    ),
  )

/** The Gram matrices of a layer's tensors, one after another. */
const tensorGramsOf = (
  { layout }: EncoderConfig,
  layer: number | undefined,
  grams: ReadonlyMap<string, Float64Array>,
): Pick<FisherRow, "tensors" | "tensorGrams"> => {
  if (layer === undefined) return { tensors: null, tensorGrams: null }
  const tensors = tensorsOf(layout, layer)
  const parts = [...tensors.values()].map((parameter) => grams.get(parameter)!)
  const size = parts[0]!.length
  const tensorGrams = new Float64Array(parts.length * size)
  for (const [at, part] of parts.entries()) tensorGrams.set(part, at * size)
  return { tensors: [...tensors.keys()].join(" "), tensorGrams }
}

const observe = Effect.fn("fisher")(function* (view: ClassifierView, { options }: ObserveContext<Options>) {
  const { step, config, parameters, logits, stream } = view
  const { samples, threshold } = options
  const columns = columnsFor(options.labels, yield* drawLabelled(view, samples), logits, stream)
  const size = countOf(columns)
  const blocks = chosen(view.blocks, options.blocks)
  const model = { config, parameters, logits }
  const ofParameters = parameterGrams(model, blocks, columns)
  const grams = blockGrams(blocks, ofParameters)
  const unsound = [...grams].filter(([, gram]) => !gram.every(Number.isFinite)).map(([block]) => block)
  if (unsound.length > 0) {
    const reason = `the gradients of ${unsound.join(", ")} are not finite`
    return yield* new UnitFailure({ outcome: "diverged", reason, step })
  }
  const checked = options.selfCheck ? selfCheck(model, blocks, columns) : undefined
  return [...grams].map(([block, gram]): FisherRow => {
    const spectrum = eigenvalues(gram, size)
    const erank = effectiveRank(spectrum, threshold)
    const layer = layerOf(block)
    return {
      step,
      block,
      layer: layer ?? null,
      samples,
      labels: options.labels,
      gram: gram.slice(),
      trace: Array.from({ length: size }, (_, i) => gram[i * size + i]!).reduce((sum, x) => sum + x, 0),
      erank,
      normalised: erank / size,
      srank: spectralRank(spectrum, threshold),
      entropyRank: entropyRank(spectrum),
      selfCheck: checked?.get(block) ?? null,
      ...tensorGramsOf(config, options.grams === "tensors" ? layer : undefined, ofParameters),
    }
  })
})

/** Bytes of a row on disk, without its matrices. */
const rowBytes = 400

/** The tensors of a layer. */
const layerTensors = 16

/**
 * Effective ranks of the block-diagonal Fisher F = (1/N) Σ gᵢgᵢᵀ, gᵢ = ∇ log p(yᵢ | xᵢ; θ) without dropout, by default
 * the empirical one, with the true labels (Takenaka and Taki 2025, table 2, figures 3 and 4). A layer has all 16 of its
 * tensors. Of a run that learns scores, p is a normal distribution around the model's output with variance 1.
 */
export const fisher = probe<ClassifierView, RunEstimate>()({
  name: "fisher",
  version: 1,
  module: import.meta.url,
  summary: "Effective ranks of the Fisher by layer, and the Gram matrices of per-sample gradients",
  options: Options,
  gives: observationsOf<FisherRow>(FisherRow),
  steps: stepsOf,
  observe,
  // The number of classes is not known before the run: two are assumed.
  estimate: (options, run) => {
    const observations = stepsOf(options, run).length
    const layers = options.blocks.includes("layers")
    const others = new Set(options.blocks).size - (layers ? 1 : 0)
    const blocks = others + (layers ? run.layers : 0)
    const rows = observations * (blocks + (layers ? 1 : 0))
    const kept = options.grams === "tensors" && layers ? observations * run.layers * layerTensors : 0
    const { flops, calls, memory } = observationCost(run, { ...options, layers, blocks })
    const disk = rows * rowBytes + (rows + kept) * 8 * options.samples ** 2
    return {
      rows,
      cost: cost({
        flops: observations * flops,
        calls: observations * calls,
        memory,
        disk,
        // Each observation's rows stay in the scratch folder until the run ends.
        scratch: disk,
      }),
    }
  },
})
