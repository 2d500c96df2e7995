import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import { optional } from "../../core/api/plugin.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import type { RunLength } from "../../core/api/watch.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { borrowKernel } from "../../core/tensor/borrow.ts"
import type { EncoderConfig } from "../model/config.ts"
import { layerWeights } from "../model/cost.ts"
import { loadModel } from "../model/hugging-face.ts"
import { poolerOf } from "../model/layouts/layout.ts"
import type { ClassifierView } from "../model/view.ts"
import { effectiveRank, entropyRank } from "./shared/rank.ts"
import { openSnapshot, writeSnapshot } from "./shared/snapshot.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"
import { squaredSingularValues } from "./weight-rank/singular-values.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe besides step 0, which is always observed. */
  steps: Steps.default(() => ({ at: [], last: true })),
})
type Options = typeof Options.infer

/** A checkpoint from whose weights distances are measured, such as the one that further training started from. */
const takes = { reference: optional(Checkpoint) }

const ofLayer = ["query", "key", "value", "attentionOutput", "intermediate", "output"] as const

const WeightRankRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  block: "string",
  layer: "number.integer >= 0 | null",
  weight: type.enumerated(...ofLayer, "pooler"),
  weightErank: "number.integer >= 0",
  weightRank: "0 <= number <= 1",
  weightEntropyRank: "number >= 0",
  stableRank: "number >= 0",
  norm: "number >= 0",
  distance: "number >= 0 | null",
})
/**
 * The singular values σ of a weight matrix W at a step.
 *
 * `weightErank` is the least j for which the j largest σ² make up more than 0.99 of their sum, as in the Fisher's
 * effective rank, `weightRank` that divided by the number of singular values, `weightEntropyRank` the effective rank of
 * Roy and Vetterli 2007, `stableRank` Σ σ² / max σ² (Rudelson and Vershynin 2007), `norm` the Frobenius norm ‖W‖ and
 * `distance` ‖W − W₀‖ from the weight at step 0 or of the reference; null if that has no such weight, as a checkpoint may
 * have no pooler. The ranks of a zero matrix are 0.
 */
export type WeightRankRow = typeof WeightRankRow.infer

interface Weight extends Pick<WeightRankRow, "block" | "layer" | "weight"> {
  readonly parameter: string
}

const poolerWeight = ({ layout }: Pick<EncoderConfig, "layout">): string => `${poolerOf(layout)}.weight`

const weightsOf = ({ config: { layers, layout }, parameters }: ClassifierView): readonly Weight[] => {
  const inLayers = Array.from({ length: layers }, (_, layer) =>
    ofLayer.map((weight): Weight => {
      return { parameter: `${layout.layer(layer)[weight]}.weight`, block: `layer.${layer}`, layer, weight }
    }),
  ).flat()
  const parameter = poolerWeight({ layout })
  const pooler: Weight = { parameter, block: "pooler", layer: null, weight: "pooler" }
  return parameters.has(parameter) ? [...inLayers, pooler] : inLayers
}

const threshold = 0.99

const refuse = (problem: string) => new InvalidInput({ what: "weight-rank", problems: [problem] })

/** Leaves the weights to measure distances from in the scratch folder. */
const writeStart = Effect.fnUntraced(function* (
  view: ClassifierView,
  names: readonly string[],
  { inputs: { reference }, scratch }: ObserveContext<Options, typeof takes>,
) {
  if (reference === undefined) return yield* writeSnapshot(scratch, view, names)
  // A pooler that is drawn is none of the checkpoint's.
  const outputHeads = { pooler: { readOrDraw: view.stream } }
  return yield* Effect.acquireUseRelease(
    loadModel(reference.folder, { outputHeads }),
    Effect.fnUntraced(function* ({ config, parameters, drawn }) {
      const wanted = names.filter((name) => !(drawn.includes("pooler") && name === poolerWeight(config)))
      const missing = wanted.find((name) => !parameters.has(name))
      if (missing !== undefined) {
        return yield* refuse(`reference must be a model of the run's layout: it has no ${missing}`)
      }
      return yield* writeSnapshot(scratch, { ...view, parameters }, wanted)
    }),
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )
})

const observe = Effect.fn("weight-rank")(function* (
  view: ClassifierView,
  context: ObserveContext<Options, typeof takes>,
) {
  const { step, parameters } = view
  const weights = weightsOf(view)
  if (step === 0) {
    yield* writeStart(
      view,
      weights.map(({ parameter }) => parameter),
      context,
    )
  }
  const start = yield* openSnapshot(context.scratch, 0)
  const rows: WeightRankRow[] = []
  for (const { parameter, ...of } of weights) {
    const [outputs, inputs] = parameters.get(parameter).shape as [number, number]
    const before = start.has(parameter) ? yield* start.read(parameter) : null
    const now = yield* Effect.promise(async () => borrowKernel(parameters.get(parameter)))
    if (!now.every(Number.isFinite)) {
      const reason = `the parameter ${parameter} is not finite`
      return yield* new UnitFailure({ outcome: "diverged", reason, step })
    }
    const squares = squaredSingularValues(now, outputs, inputs)
    const erank = effectiveRank(squares, threshold)
    const sum = sumOf(now, (value) => value)
    rows.push({
      step,
      ...of,
      weightErank: erank,
      weightRank: erank / squares.length,
      weightEntropyRank: entropyRank(squares),
      stableRank: squares[0]! === 0 ? 0 : sum / squares[0]!,
      norm: Math.sqrt(sum),
      distance: before === null ? null : Math.sqrt(sumOf(now, (value, i) => value - before[i]!)),
    })
    yield* Effect.yieldNow
  }
  return rows
}, Effect.scoped)

/** The sum of squares, in float64. */
const sumOf = (values: Float32Array, of: (value: number, index: number) => number): number => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += of(values[i]!, i) ** 2
  return sum
}

const stepsOf = ({ steps }: Options, run: RunLength): readonly number[] => {
  const chosen = chooseSteps(steps, run)
  return chosen.includes(0) ? chosen : [0, ...chosen]
}

/** Half a symmetric product of the shorter side with itself, and the reduction to tridiagonal form. */
const spectrumFlops = (outputs: number, inputs: number): number => {
  const short = Math.min(outputs, inputs)
  return outputs * inputs * short + (4 / 3) * short ** 3
}

const rowBytes = 260

/**
 * The ranks of the weight matrices of the layers and of the pooler, and how far they have moved. In float64 on the
 * processor, whatever the precision of the run: seconds for BERT-base, minutes for BERT-large.
 */
export const weightRank = probe<ClassifierView, RunEstimate>()({
  name: "weight-rank",
  version: 1,
  module: import.meta.url,
  summary: "Effective, entropy and stable ranks of the weight matrices, and how far they have moved",
  options: Options,
  takes,
  gives: observationsOf<WeightRankRow>(WeightRankRow),
  steps: stepsOf,
  observe,
  estimate: (options, run, { reference }) => {
    const { layers, hidden, intermediate } = run
    for (const size of ["layers", "hidden", "intermediate"] as const) {
      if (reference !== undefined && reference[size] !== run[size]) {
        throw refuse(`reference must have the run's ${size}, ${run[size]} (was ${reference[size]})`)
      }
    }
    const observations = stepsOf(options, run).length
    const rows = observations * (ofLayer.length * layers + 1)
    const square = spectrumFlops(hidden, hidden)
    const inLayer = 4 * square + 2 * spectrumFlops(intermediate, hidden)
    const largest = hidden * Math.max(hidden, intermediate)
    return {
      rows,
      cost: cost({
        flops: observations * (layers * inLayer + square),
        // The reference while it is read; then a matrix in float64, its start in float32, and two Gram matrices.
        memory: Math.max(reference === undefined ? 0 : 4 * run.parameters, 12 * largest + 16 * hidden ** 2),
        disk: rowBytes * rows,
        scratch: 4 * (layers * layerWeights(run) + hidden ** 2) + rowBytes * rows,
      }),
    }
  },
})
