/**
 * The state of training on disk, so that it can be stopped and resumed: one folder for each save, named by its step,
 * written whole or not at all. Tensors are written and read one at a time: a large model has gigabytes.
 */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import { ArrayFile, readArray, writeArray } from "../artifacts/arrays.ts"
import { InvalidInput } from "../io/decode.ts"
import { attempt, type FileError, readJson, remove, writeFolder, writeJson } from "../io/files.ts"
import { writeTensors } from "./borrow.ts"
import type { OptimiserState } from "./optimiser.ts"
import type { Parameters } from "./parameters.ts"
import { openSafetensors } from "./safetensors.ts"

/** What changes during training. */
export interface TrainingState {
  readonly parameters: Parameters
  /** The names of the parameters that are trained: the others are not part of the state. */
  readonly trained: readonly string[]
  readonly optimiser: OptimiserState
  /** The number of updates done. */
  readonly step: number
  /** [all steps of training], filled up to `step` */
  readonly loss: Float64Array
  readonly gradientNorm: Float64Array
}

const StateFile = type({
  "+": "reject",
  step: "number.integer >= 0",
  loss: ArrayFile,
  gradientNorm: ArrayFile,
})

const tensorsFile = "tensors.safetensors"

/** The tensors of a state with their names in the file. */
const tensorsOf = ({ parameters, trained, optimiser }: TrainingState) => [
  ...trained.map((name) => ({ key: `parameters/${name}`, set: parameters, name })),
  ...[...optimiser].flatMap(([kept, set]) =>
    set.names.map((name) => ({ key: `optimiser.${kept}/${name}`, set, name })),
  ),
]

/** The names of the saved states in `scratch`, newest first; there are two only if a save was cut off. */
const savedIn = (
  scratch: string,
): Effect.Effect<readonly { readonly name: string; readonly step: number }[], FileError> =>
  attempt("list", scratch, async () => {
    await fs.mkdir(scratch, { recursive: true })
    const names = await fs.readdir(scratch)
    const steps = names.flatMap((name) => Number(/^training-(\d{1,15})$/.exec(name)?.[1] ?? []))
    return steps.sort((a, b) => b - a).map((step) => ({ name: `training-${step}`, step }))
  })

/**
 * Saves a state in the folder `scratch`, replacing an older one.
 *
 * @throws FileError if it cannot be written
 */
export const saveTraining = Effect.fn("saveTraining")(function* (
  scratch: string,
  state: TrainingState,
): Effect.fn.Return<void, FileError> {
  const { step } = state
  const name = `training-${step}`
  yield* writeFolder(
    join(scratch, name),
    Effect.fnUntraced(function* (folder) {
      const tensors = tensorsOf(state).map(({ key, set, name }) => ({ name: key, tensor: set.get(name) }))
      yield* writeTensors(join(folder, tensorsFile), tensors)
      yield* writeJson(join(folder, "state.json"), {
        step,
        loss: yield* writeArray(folder, "loss", state.loss),
        gradientNorm: yield* writeArray(folder, "gradient-norm", state.gradientNorm),
      })
    }),
  )
  for (const older of yield* savedIn(scratch))
    if (older.name !== name) yield* remove(join(scratch, older.name))
})

/** Opens a saved state and checks that it fits `state`, which does not change. */
const openState = Effect.fnUntraced(function* (folder: string, state: TrainingState, until: number) {
  const file = yield* readJson(join(folder, "state.json"), StateFile)
  const loss = yield* readArray(folder, file.loss, "f64")
  const gradientNorm = yield* readArray(folder, file.gradientNorm, "f64")
  const tensors = yield* openSafetensors(join(folder, tensorsFile))
  const expected = tensorsOf(state)
  const misfits = expected.filter(({ key, set, name }) => {
    const entry = tensors.entries.get(key)
    return entry?.dtype !== "F32" || !tf.util.arraysEqual([...entry.shape], set.get(name).shape)
  })
  const lengths = [loss.length, gradientNorm.length]
  if (misfits.length > 0 || tensors.entries.size !== expected.length) {
    const names = misfits.map(({ key }) => key).join(", ")
    return yield* new InvalidInput({
      what: tensors.path,
      problems: [`it is the state of another model or optimiser (${names})`],
    })
  }
  if (lengths.some((length) => length !== state.loss.length) || file.step > until) {
    const found = `expected at most step ${until} of ${state.loss.length}, found step ${file.step} of ${lengths.join(" and ")}`
    return yield* new InvalidInput({ what: folder, problems: [found] })
  }
  return { step: file.step, loss, gradientNorm, tensors }
})

/** Reads a saved state into `state`; returns its step, or undefined if it cannot be used. */
const fill = Effect.fnUntraced(function* (folder: string, state: TrainingState, until: number) {
  const saved = yield* Effect.catch(openState(folder, state, until), (error) =>
    Effect.as(Effect.logWarning(`a saved state cannot be used and is removed: ${error.message}`), undefined),
  )
  if (saved === undefined) return undefined
  for (const { key, set, name } of tensorsOf(state)) {
    set.set(name, tf.tensor(yield* saved.tensors.read(key), set.get(name).shape))
  }
  state.loss.set(saved.loss)
  state.gradientNorm.set(saved.gradientNorm)
  return saved.step
})

/**
 * Reads the state that is saved in `scratch`, if any, into `stateAt` of its step. One that cannot be used (damaged in a
 * power cut, or of another model or length) is removed with a warning, and training starts over, with the same bits.
 *
 * @param stateAt the state to fill: its tensors have the names and shapes of those that are saved at this step. That of
 *   step 0 is as it was before training
 * @param until the last step from which to resume
 * @returns the step to resume from
 * @throws FileError or InvalidInput if the disk fails, or the file changes, while tensors are read
 */
export const loadTraining = Effect.fn("loadTraining")(function* (
  scratch: string,
  stateAt: (step: number) => TrainingState,
  until: number,
): Effect.fn.Return<number, FileError | InvalidInput> {
  for (const { name, step: saved } of yield* savedIn(scratch)) {
    const folder = join(scratch, name)
    const step = yield* Effect.scoped(fill(folder, stateAt(saved), until))
    if (step !== undefined) return step
    yield* remove(folder)
  }
  return stateAt(0).step
})
