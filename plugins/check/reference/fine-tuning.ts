/** A short fine-tuning run against PyTorch's figures in float64 (`finetune` in `expected.json`). */
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Tensor } from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import type { UnitFailure } from "../../../core/api/failure.ts"
import type { Precision } from "../../../core/api/precision.ts"
import { Progress } from "../../../core/api/progress.ts"
import { type ComparedNumber, type Quantity, quantity } from "../../../core/api/quantity.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { attempt, type FileError, readJson, remove } from "../../../core/io/files.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import type { Parameters } from "../../../core/tensor/parameters.ts"
import { learningRates } from "../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { train } from "../../../core/tensor/training.ts"
import { crossEntropy } from "../../finetune/classification.ts"
import { logitsOf, lossOf } from "../../finetune/shared/classifier.ts"
import type { TrainableModel } from "../../model/encoder.ts"
import { blocksOf, parametersOf } from "../../model/parameters.ts"
import { writeSnapshot } from "../../probe/shared/snapshot.ts"
import { trajectoryRows } from "../../probe/trajectory.ts"
import type { Reference } from "./passes.ts"
import { perturbed } from "./perturbed.ts"

interface Tolerances {
  /** Absolute for losses and logits, relative for the norms of parameters. */
  readonly value: number
  /** Relative. */
  readonly gradient: number
  /** Absolute, for r and for φ in radians. */
  readonly trajectory: number
  /** Figures that rounding moves further than this multiple of their tolerance can tell nothing apart. */
  readonly mostSpread: number
}

/**
 * Those of bfloat16 follow the same rule as for the passes. Where training amplifies rounding, the figures' own spread is
 * allowed instead: see `withSpread`.
 */
const tolerances: Readonly<Record<Precision, Tolerances>> = {
  fp32: { value: 1e-4, gradient: 1e-3, trajectory: 2e-3, mostSpread: 100 },
  tf32: { value: 0.1 / 8, gradient: 0.2 / 8, trajectory: 2e-2 / 8, mostSpread: 10 },
  bf16: { value: 0.1, gradient: 0.2, trajectory: 2e-2, mostSpread: 10 },
}
/** Relative to the peak learning rate; the schedule is computed in float64. */
const scheduleTolerance = 1e-12

const maximumBytes = 2 ** 28

const ExpectedJson = type({
  finetune: {
    lr: "number > 0",
    warmup: "number.integer >= 0",
    steps: "0 < number.integer <= 1000",
    lrs: "number[]",
    losses: "number[]",
    grad_norms_before_clip: "number[]",
    final_logits: "number[][]",
    final_param_norm: "Record<string, number>",
    trajectory: type({ step: "number.integer >= 0", r: "number", phi: "number | null" }).array(),
  },
})
type Expected = (typeof ExpectedJson.infer)["finetune"]

/** The settings of the reference figures, which `expected.json` does not contain. */
const optimiser = adamw({ biasCorrection: false })
const clip = 1

const silent = { report: () => Effect.void }

/** Runs that start from weights which one rounding has moved, to see how far rounding alone moves each figure. */
const shadows = 2
/**
 * A figure may deviate by this multiple of its spread among the shadows. On figures whose losses spike (those of
 * `test/fixtures/spiking`), float32 deviates by 1.2e-4 in the losses and shadows by 5e-4 to 1.1e-3 in PyTorch itself; a
 * learning rate that is off by 1 %, by 0.23.
 */
const spreadFactor = 4

/**
 * Fine-tunes copies of the reference's model on its one batch, on the running backend, and compares learning rates,
 * losses, gradient norms, the final model and its trajectory with the expected ones. What further runs from weights that
 * differ by one rounding do not agree on is not held against the backend.
 *
 * @param precision of the running backend
 * @throws InvalidInput if `expected.json` does not fit the batch or the model
 * @throws FileError
 * @throws UnitFailure if training diverges
 */
export const compareFineTuning: (
  reference: Reference,
  precision: Precision,
) => Effect.Effect<readonly Quantity[], InvalidInput | FileError | UnitFailure> = Effect.fn(
  "compareFineTuning",
)(function* (reference, precision) {
  const path = join(reference.folder, "expected.json")
  const { finetune: expected } = yield* readJson(path, ExpectedJson, maximumBytes)
  const { model, labels } = reference
  const problems = misfits(expected, model.parameters.names, labels.length, model.config.labels.length)
  if (problems.length > 0) return yield* new InvalidInput({ what: path, problems })

  const start = model.parameters
  const found = yield* fineTuned(reference, expected, () => start.clone())
  const moved = yield* Effect.forEach(Array.from({ length: shadows }), (_, seed) =>
    fineTuned(reference, expected, () => perturbed(start, precision, stream(seed, "rounding"))),
  )
  return compared(expected, found, moved, tolerances[precision], start.names)
})

/** The figures of a run, in the order of those that are expected. */
interface Figures {
  readonly learningRates: readonly number[]
  readonly losses: readonly number[]
  readonly gradientNorms: readonly number[]
  readonly logits: readonly number[]
  /** In the order of the parameters. */
  readonly norms: readonly number[]
  readonly distances: readonly number[]
  /** Without those that are undefined, as at the end. */
  readonly angles: readonly number[]
}

const fineTuned = Effect.fn("fineTuned")(function* (
  { model: { config }, batch, labels }: Reference,
  { lr, steps, warmup: warmupSteps, trajectory }: Expected,
  start: () => Parameters,
): Effect.fn.Return<Figures, InvalidInput | FileError | UnitFailure, Scope.Scope> {
  const model: TrainableModel = yield* Effect.acquireRelease(
    Effect.sync(() => ({ config, parameters: start() })),
    (copy) => Effect.sync(() => copy.parameters.dispose()),
  )
  const scratch = yield* temporaryFolder
  const split = { sequences: batch, labels: Float64Array.from(labels) }
  const indices = Int32Array.from(labels, (_, n) => n)
  const metrics = yield* train({
    parameters: model.parameters,
    learningRates: learningRates(linearSchedule({}), lr, steps, warmupSteps),
    optimiser,
    clip,
    loss: () => lossOf(model, crossEntropy, split, indices),
    scratch: join(scratch, "training"),
    at: (step, last) =>
      step === steps
        ? Effect.void
        : Effect.flatMap(last, (last) =>
            writeSnapshot(scratch, { step, loss: last?.loss ?? null, parameters: model.parameters }),
          ),
  }).pipe(Effect.provideService(Progress, silent))
  const rows = yield* trajectoryRows(
    {
      blocks: blocksOf(parametersOf(config, ["pooler", "classifier"])),
      parameters: model.parameters,
      loss: null,
    },
    {
      options: { steps: { at: [], every: 1, last: false }, scopes: ["all"] },
      run: { steps, warmupSteps },
      scratch,
    },
  )
  const logits_NC = logitsOf(model, batch)
  const logits = [...logits_NC.dataSync<"float32">()]
  logits_NC.dispose()
  const angular = trajectory.filter(({ phi }) => phi !== null)
  return {
    learningRates: [...metrics.learningRate],
    losses: [...metrics.loss],
    gradientNorms: [...metrics.gradientNorm],
    logits,
    norms: model.parameters.names.map((name) => normOf(model.parameters.get(name))),
    distances: trajectory.map(({ step }) => rows[step]?.r ?? Number.NaN),
    angles: angular.map(({ step }) => rows[step]?.phi ?? Number.NaN),
  }
}, Effect.scoped)

const normOf = (tensor: Tensor): number =>
  Math.sqrt(tensor.dataSync<"float32">().reduce((sum, x) => sum + x * x, 0))

const temporaryFolder: Effect.Effect<string, FileError, Scope.Scope> = Effect.acquireRelease(
  attempt("make a folder in", tmpdir(), () => mkdtemp(join(tmpdir(), "kasosei-"))),
  remove,
)

const misfits = (
  expected: Expected,
  names: readonly string[],
  count: number,
  classes: number,
): readonly string[] => {
  const { steps, lrs, losses, grad_norms_before_clip, final_logits, final_param_norm, trajectory } = expected
  const problems: string[] = []
  for (const [name, values] of Object.entries({ lrs, losses, grad_norms_before_clip })) {
    if (values.length !== steps) problems.push(`${name}: expected ${steps}, found ${values.length}`)
  }
  if (trajectory.length !== steps + 1 || trajectory.some(({ step }, i) => step !== i)) {
    problems.push(`trajectory: expected the steps from 0 to ${steps}`)
  }
  if (final_logits.length !== count || final_logits.some((row) => row.length !== classes)) {
    problems.push(`final_logits: expected [${count}, ${classes}]`)
  }
  for (const name of names) {
    if (final_param_norm[name] === undefined) problems.push(`final_param_norm: ${name} is missing`)
  }
  return problems
}

/** A figure that is expected, without what was found. */
type ExpectedNumber = Omit<ComparedNumber, "found">

/**
 * Numbers that were found, each with the spread that it is allowed: `spreadFactor` times the largest deviation of a
 * shadow, on the scale of its kind, but `most` at most. A run is a chain, so of figures by step only the steps so far count: rounding is
 * amplified from step to step.
 */
const withSpread = (
  expected: readonly ExpectedNumber[],
  found: readonly number[],
  moved: readonly (readonly number[])[],
  { most, bySteps }: { readonly most: number; readonly bySteps: boolean },
): readonly ComparedNumber[] => {
  const deviations = expected.map(({ scale = 1 }, i) => {
    const furthest = Math.max(...moved.map((figures) => Math.abs(figures[i]! - found[i]!)))
    return furthest === 0 ? 0 : furthest / scale
  })
  return expected.map((number, i) => {
    const spread = Math.max(...(bySteps ? deviations.slice(0, i + 1) : deviations))
    const allowed = Math.min(spreadFactor * spread, most)
    return { ...number, found: found[i]!, spread: allowed * (number.scale ?? 1) }
  })
}

const compared = (
  expected: Expected,
  found: Figures,
  moved: readonly Figures[],
  { value, gradient, trajectory, mostSpread }: Tolerances,
  names: readonly string[],
): readonly Quantity[] => {
  const judged = (
    name: string,
    part: keyof Figures,
    tolerance: number,
    numbers: readonly ExpectedNumber[],
    bySteps: boolean,
  ) => {
    const others = moved.map((figures) => figures[part])
    const most = mostSpread * tolerance
    return quantity(name, tolerance, withSpread(numbers, found[part], others, { most, bySteps }))
  }
  const byUpdate = (values: readonly number[], scale: (value: number) => number) =>
    values.map((value, u): ExpectedNumber => ({ at: `update ${u}`, expected: value, scale: scale(value) }))
  const { lr, lrs, losses, grad_norms_before_clip, final_logits, final_param_norm } = expected
  const logits = final_logits.flatMap((row, n) =>
    row.map((value, i): ExpectedNumber => ({ at: `[${n}][${i}]`, expected: value })),
  )
  const norms = names.map((name): ExpectedNumber => {
    const norm = final_param_norm[name]!
    return { at: name, expected: norm, scale: norm }
  })
  const distances = expected.trajectory.map(
    ({ step, r }): ExpectedNumber => ({ at: `step ${step}`, expected: r }),
  )
  const angles = expected.trajectory.flatMap(({ step, phi }): readonly ExpectedNumber[] =>
    phi === null ? [] : [{ at: `step ${step}`, expected: phi }],
  )
  const relative = (norm: number) => norm
  return [
    judged(
      "learning rates",
      "learningRates",
      scheduleTolerance,
      byUpdate(lrs, () => lr),
      true,
    ),
    judged(
      "losses of fine-tuning",
      "losses",
      value,
      byUpdate(losses, () => 1),
      true,
    ),
    judged(
      "gradient norms of fine-tuning",
      "gradientNorms",
      gradient,
      byUpdate(grad_norms_before_clip, relative),
      true,
    ),
    judged("logits after fine-tuning", "logits", value, logits, false),
    judged("norms of the parameters after fine-tuning", "norms", value, norms, false),
    judged("r of the trajectory", "distances", trajectory, distances, true),
    judged("φ of the trajectory", "angles", trajectory, angles, true),
  ]
}
