/** A short fine-tuning run against PyTorch's figures in float64 (`finetune` in `expected.json`). */
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import type { UnitFailure } from "../../../core/api/failure.ts"
import { Progress } from "../../../core/api/progress.ts"
import { type ComparedNumber, type Quantity, quantity } from "../../../core/api/quantity.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { attempt, type FileError, readJson, remove } from "../../../core/io/files.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { learningRates } from "../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"
import { type Metrics, train } from "../../../core/tensor/training.ts"
import { crossEntropy } from "../../finetune/classification.ts"
import { logitsOf, lossOf } from "../../finetune/shared/classifier.ts"
import type { EncoderModel, TrainableModel } from "../../model/encoder.ts"
import { blocksOf, parametersOf } from "../../model/parameters.ts"
import { writeSnapshot } from "../../probe/shared/snapshot.ts"
import { type TrajectoryRow, trajectoryRows } from "../../probe/trajectory.ts"
import type { Reference } from "./passes.ts"

/** Absolute for losses and logits, relative for the norms of parameters. */
const valueTolerance = 1e-4
/** Relative. */
const gradientTolerance = 1e-3
/** Absolute, for r and for φ in radians. */
const trajectoryTolerance = 2e-3
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

/**
 * Fine-tunes a copy of the reference's model on its one batch, on the running backend, and compares learning rates,
 * losses, gradient norms, the final model and its trajectory with the expected ones.
 *
 * @throws InvalidInput if `expected.json` does not fit the batch or the model
 * @throws FileError
 * @throws UnitFailure if training diverges
 */
export const compareFineTuning: (
  reference: Reference,
) => Effect.Effect<readonly Quantity[], InvalidInput | FileError | UnitFailure> = Effect.fn(
  "compareFineTuning",
)(function* ({ folder, model: { config, parameters }, batch, labels }) {
  const path = join(folder, "expected.json")
  const { finetune: expected } = yield* readJson(path, ExpectedJson, maximumBytes)
  const problems = misfits(expected, parameters.names, labels.length, config.labels.length)
  if (problems.length > 0) return yield* new InvalidInput({ what: path, problems })

  const model: TrainableModel = yield* Effect.acquireRelease(
    Effect.sync(() => ({ config, parameters: parameters.clone() })),
    (copy) => Effect.sync(() => copy.parameters.dispose()),
  )
  const scratch = yield* temporaryFolder
  const split = { sequences: batch, labels: Float64Array.from(labels) }
  const indices = Int32Array.from(labels, (_, n) => n)
  const { lr, steps, warmup: warmupSteps } = expected
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
        : writeSnapshot(scratch, { step, loss: last?.loss ?? null, parameters: model.parameters }),
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
  return [
    ...compareMetrics(expected, metrics),
    ...compareModel(expected, model, logitsOf(model, batch)),
    ...compareTrajectory(expected, rows),
  ]
}, Effect.scoped)

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

const compareMetrics = (expected: Expected, metrics: Metrics): readonly Quantity[] => {
  const bySteps = (values: readonly number[], found: Float64Array, scale: (value: number) => number) =>
    values.map(
      (value, s): ComparedNumber => ({
        at: `update ${s}`,
        expected: value,
        found: found[s]!,
        scale: scale(value),
      }),
    )
  const { lr, lrs, losses, grad_norms_before_clip } = expected
  return [
    quantity(
      "learning rates",
      scheduleTolerance,
      bySteps(lrs, metrics.learningRate, () => lr),
    ),
    quantity(
      "losses of fine-tuning",
      valueTolerance,
      bySteps(losses, metrics.loss, () => 1),
    ),
    quantity(
      "gradient norms of fine-tuning",
      gradientTolerance,
      bySteps(grad_norms_before_clip, metrics.gradientNorm, (value) => value),
    ),
  ]
}

/** @param logits_NC the fine-tuned model's; disposed of here */
const compareModel = (
  { final_logits, final_param_norm }: Expected,
  { parameters }: EncoderModel,
  logits_NC: ReturnType<typeof logitsOf>,
): readonly Quantity[] => {
  const logits = logits_NC.arraySync()
  logits_NC.dispose()
  return [
    quantity(
      "logits after fine-tuning",
      valueTolerance,
      final_logits.flatMap((row, n) =>
        row.map(
          (value, i): ComparedNumber => ({ at: `[${n}][${i}]`, expected: value, found: logits[n]![i]! }),
        ),
      ),
    ),
    quantity(
      "norms of the parameters after fine-tuning",
      valueTolerance,
      parameters.names.map((name): ComparedNumber => {
        const value = final_param_norm[name]!
        const squares = parameters
          .get(name)
          .dataSync<"float32">()
          .reduce((sum, x) => sum + x * x, 0)
        return { at: name, expected: value, found: Math.sqrt(squares), scale: value }
      }),
    ),
  ]
}

const compareTrajectory = ({ trajectory }: Expected, rows: readonly TrajectoryRow[]): readonly Quantity[] => {
  const angles = trajectory.flatMap(({ step, phi }): readonly ComparedNumber[] =>
    phi === null ? [] : [{ at: `step ${step}`, expected: phi, found: rows[step]?.phi ?? Number.NaN }],
  )
  const distances = trajectory.map(
    ({ step, r }): ComparedNumber => ({
      at: `step ${step}`,
      expected: r,
      found: rows[step]?.r ?? Number.NaN,
    }),
  )
  return [
    quantity("r of the trajectory", trajectoryTolerance, distances),
    quantity("φ of the trajectory", trajectoryTolerance, angles),
  ]
}
