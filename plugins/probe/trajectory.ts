import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import type { Observed } from "../../core/api/plugin.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import type { RunLength } from "../../core/api/watch.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { borrowKernel } from "../../core/tensor/borrow.ts"
import { layerWeights } from "../model/cost.ts"
import { layerOf } from "../model/parameters.ts"
import type { ClassifierView } from "../model/view.ts"
import { openSnapshot, type Snapshot, snapshotCopies, takeSnapshot } from "./shared/snapshot.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"
import { addProducts, type Products, polarOf, productsOf } from "./trajectory/polar.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe besides the start and the end of the run, which are always observed. */
  steps: Steps.default(() => ({ at: [1], every: "warmup" as const })),
  /**
   * Which parameters: all, those of the encoder's layers together, or of each layer separately. Layers that are frozen
   * have no rows.
   */
  scopes: type("'all' | 'encoder' | 'layers'")
    .array()
    .atLeastLength(1)
    .default(() => ["all"]),
})
type Options = typeof Options.infer

const TrajectoryRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  /** all, encoder, or layer.0 and so on */
  scope: "string",
  layer: "number.integer >= 0 | null",
  r: "number >= 0",
  phi: "number >= 0 | null",
  loss: "number | null",
})
/**
 * A point of a run's trajectory, seen from its end.
 *
 * `layer` counts from 0. `r` = ‖Δ_t‖ / ‖Δ_init‖, and `phi` is the angle between Δ_t and Δ_init in radians, where
 * Δ_t = θ_t − θ_fin; `phi` is null if Δ_t is zero, as at the end. `loss` is that of the update that led to the step,
 * null at step 0.
 */
export type TrajectoryRow = typeof TrajectoryRow.infer

const stepsOf = (options: Options, run: RunLength): readonly number[] =>
  [...new Set([0, ...chooseSteps(options.steps, run), run.steps])].sort((a, b) => a - b)

interface Scope {
  readonly scope: TrajectoryRow["scope"]
  readonly layer: number | null
  /** The blocks of parameters in it. */
  readonly blocks: readonly string[]
}

const scopesOf = (options: Options, blocks: readonly string[]): readonly Scope[] => {
  const layers = blocks.filter((block) => layerOf(block) !== undefined)
  return options.scopes.flatMap((scope): readonly Scope[] =>
    scope === "layers"
      ? layers.map((block) => ({ scope: block, layer: layerOf(block)!, blocks: [block] }))
      : [{ scope, layer: null, blocks: scope === "all" ? blocks : layers }],
  )
}

const observe = (
  view: ClassifierView,
  { run, scratch, beside }: ObserveContext<Options>,
): Observed<TrajectoryRow> =>
  // The end of the run needs no snapshot: `finish` sees it.
  view.step === run.steps ? [] : Effect.as(takeSnapshot(scratch, view, beside), [])

/** The products of each block of parameters at a snapshot, or without one at the end of the run. */
const productsByBlock = Effect.fnUntraced(function* (
  { blocks, parameters }: Pick<ClassifierView, "blocks" | "parameters">,
  start: Snapshot,
  snapshot: Snapshot | undefined,
) {
  const products = new Map<string, Products>()
  for (const [block, names] of blocks) {
    const parts: Products[] = []
    for (const name of names) {
      const end = yield* Effect.promise(async () => borrowKernel(parameters.get(name)))
      const theta = snapshot === undefined ? end : yield* snapshot.read(name)
      parts.push(productsOf(theta, yield* start.read(name), end))
    }
    products.set(block, addProducts(parts))
  }
  return products
})

/**
 * The rows of a run that has ended, from the snapshots in the probe's scratch folder. A layer whose parameters did not
 * move, such as a frozen one, has no trajectory, and no rows.
 *
 * @throws UnitFailure if the parameters ended where they started, so that there is no scale, or are not finite
 */
export const trajectoryRows = Effect.fn("trajectory")(function* (
  view: Pick<ClassifierView, "blocks" | "parameters" | "loss">,
  { options, run, scratch }: Pick<ObserveContext<Options>, "options" | "run" | "scratch">,
) {
  const rows: TrajectoryRow[] = []
  const start = yield* openSnapshot(scratch, 0)
  const row = Effect.fnUntraced(function* (step: number) {
    const snapshot = step === run.steps ? undefined : yield* openSnapshot(scratch, step)
    const products = yield* productsByBlock(view, start, snapshot)
    for (const { scope, layer, blocks } of scopesOf(options, [...view.blocks.keys()])) {
      const sum = addProducts(blocks.map((block) => products.get(block)!))
      if (scope !== "all" && sum.own === 0 && sum.start === 0) continue
      const polar = polarOf(sum)
      if (polar === undefined) {
        const reason = `the parameters (${scope}) ended where they started, or are not finite: there is no trajectory`
        return yield* new UnitFailure({ outcome: "failed", reason, step })
      }
      const loss = snapshot === undefined ? view.loss : snapshot.loss
      rows.push({ step, scope, layer, ...polar, loss })
    }
  }, Effect.scoped)
  for (const step of stepsOf(options, run)) yield* row(step)
  return rows
}, Effect.scoped)

const rowBytes = 150

/**
 * The trajectory of a fine-tuning run through parameter space, seen from its end (Takenaka and Taki 2025, figure 2). A
 * random walk follows r = cos φ.
 *
 * Snapshots stay on disk until the run ends; r and φ are then computed in float64, one tensor at a time. Snapshots are
 * deleted only with the scratch folder, so that `finish` can run again if it is stopped.
 */
export const trajectory = probe<ClassifierView, RunEstimate>()({
  name: "trajectory",
  version: 1,
  module: import.meta.url,
  summary: "Distance and direction of the parameters from their final values, in polar coordinates",
  options: Options,
  gives: observationsOf<TrajectoryRow>(TrajectoryRow),
  steps: stepsOf,
  observe,
  finish: trajectoryRows,
  estimate: (options, run) => {
    const { parameters, layers } = run
    const points = stepsOf(options, run).length
    const scopes = options.scopes.reduce((sum, scope) => sum + (scope === "layers" ? layers : 1), 0)
    const rows = points * scopes
    // Outside the layers, most parameters are in one tensor: the table of word embeddings.
    const largestTensor = parameters - layers * layerWeights(run)
    return {
      rows,
      cost: cost({
        // For each parameter, two differences and three products with their sums.
        flops: 8 * parameters * points,
        memory: 3 * Float32Array.BYTES_PER_ELEMENT * largestTensor,
        copies: snapshotCopies(parameters),
        disk: rowBytes * rows,
        scratch: Float32Array.BYTES_PER_ELEMENT * parameters * (points - 1),
      }),
    }
  },
})
