import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import type { InvalidInput } from "../../../core/io/decode.ts"
import { type FileError, readJson, writeFolder, writeJson } from "../../../core/io/files.ts"
import { transferKernel, writeTensors } from "../../../core/tensor/borrow.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { openSafetensors } from "../../../core/tensor/safetensors.ts"
import type { ClassifierView } from "../../model/view.ts"

/** The parameters at a step, on disk. */
export interface Snapshot {
  /** The loss of the update that led to the step; null at step 0. */
  readonly loss: number | null
  readonly has: (name: string) => boolean
  readonly read: (name: string) => Effect.Effect<Float32Array, InvalidInput | FileError>
}

const SnapshotFile = type({ "+": "reject", loss: "number | null" })

const folderOf = (scratch: string, step: number) => join(scratch, `snapshot-${step}`)

type Shown = Pick<ClassifierView, "step" | "loss" | "parameters">

/** Writes the current parameters, all or those of the given names, one tensor at a time. */
export const writeSnapshot = (
  scratch: string,
  { step, loss, parameters }: Shown,
  names: readonly string[] = parameters.names,
): Effect.Effect<void, FileError> =>
  writeFolder(folderOf(scratch, step), (folder) => {
    const tensors = names.map((name) => ({ name, tensor: parameters.get(name) }))
    return Effect.andThen(
      writeTensors(join(folder, "parameters.safetensors"), tensors),
      writeJson(join(folder, "snapshot.json"), { loss }),
    )
  })

/**
 * Writes the current parameters: from a device with memory of its own beside the run, which waits only for a copy there.
 *
 * @param beside as a probe is given it
 */
export const takeSnapshot = (
  scratch: string,
  { step, loss, parameters }: Shown,
  beside: (work: Effect.Effect<void, FileError>) => void,
): Effect.Effect<void, FileError> =>
  Effect.suspend(() => {
    if (transferKernel([]) === undefined) return writeSnapshot(scratch, { step, loss, parameters })
    beside(
      Effect.acquireUseRelease(
        Effect.sync(() => sharedCopy(parameters)),
        (copies) => writeSnapshot(scratch, { step, loss, parameters: copies }),
        (copies) => Effect.sync(() => copies.dispose()),
      ),
    )
    return Effect.void
  })

/**
 * The bytes that a snapshot takes on a device with memory of its own until it has left: the parameters, and what such a
 * device may keep of them for products of bfloat16 numbers.
 */
export const snapshotCopies = (parameters: number): number =>
  (Float32Array.BYTES_PER_ELEMENT + Uint16Array.BYTES_PER_ELEMENT) * parameters

/** Tensors of the same values, which share their memory with the parameters until these are updated. */
const sharedCopy = (parameters: Shown["parameters"]): Parameters => {
  const copies = new Parameters()
  for (const name of parameters.names) copies.set(name, tf.clone(parameters.get(name)))
  return copies
}

/** Opens a snapshot until the scope closes. */
export const openSnapshot: (
  scratch: string,
  step: number,
) => Effect.Effect<Snapshot, InvalidInput | FileError, Scope.Scope> = Effect.fnUntraced(
  function* (scratch, step) {
    const folder = folderOf(scratch, step)
    const { loss } = yield* readJson(join(folder, "snapshot.json"), SnapshotFile)
    const { entries, read } = yield* openSafetensors(join(folder, "parameters.safetensors"))
    return { loss, has: (name) => entries.has(name), read }
  },
)
