import { join } from "node:path"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import type { InvalidInput } from "../../../core/io/decode.ts"
import { type FileError, readJson, writeFolder, writeJson } from "../../../core/io/files.ts"
import { sourceOf } from "../../../core/tensor/borrow.ts"
import { openSafetensors, writeSafetensors } from "../../../core/tensor/safetensors.ts"
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

/** Writes the current parameters, all or those of the given names, one tensor at a time. */
export const writeSnapshot = (
  scratch: string,
  { step, loss, parameters }: Pick<ClassifierView, "step" | "loss" | "parameters">,
  names: readonly string[] = parameters.names,
): Effect.Effect<void, FileError> =>
  writeFolder(folderOf(scratch, step), (folder) => {
    const sources = names.map((name) => sourceOf(name, parameters.get(name)))
    return Effect.andThen(
      writeSafetensors(join(folder, "parameters.safetensors"), sources),
      writeJson(join(folder, "snapshot.json"), { loss }),
    )
  })

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
