/** In the scratch folder of a job: which units it is of, since its own name does not say so. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { type } from "arktype"
import { Effect, Option } from "effect"
import { attempt, type FileError, listNames, readJson, remove } from "../../io/files.ts"
import { sizeOf } from "./size.ts"

const Scratch = type({ "+": "reject", label: "string", keys: "string[]" })
/** The units that a job makes, and the label of the one that it runs. */
export type Scratch = typeof Scratch.infer

const name = "job.json"

/** Says which units a scratch folder is of. It need not outlive a power cut: the job is then of unknown units. */
export const describeScratch = (folder: string, scratch: Scratch) =>
  attempt("write", folder, () => fs.writeFile(join(folder, name), `${JSON.stringify(scratch)}\n`))

/** undefined if that is unknown. */
export const readScratch = (folder: string): Effect.Effect<Scratch | undefined> =>
  Effect.map(Effect.option(readJson(join(folder, name), Scratch)), Option.getOrUndefined)

/**
 * Removes what jobs have left to resume from of which all units are there: they were killed just before they removed it.
 *
 * @param isThere by the key of a unit
 */
export const freeFinished = Effect.fnUntraced(function* (
  root: string,
  isThere: (key: string) => boolean,
): Effect.fn.Return<void, FileError> {
  const scratch = join(root, "scratch")
  for (const name of yield* listNames(scratch)) {
    const of = yield* readScratch(join(scratch, name))
    if (of !== undefined && of.keys.length > 0 && of.keys.every(isThere)) yield* remove(join(scratch, name))
  }
})

/** What a job that was stopped, or is still at work, has left to resume from. */
export interface Unfinished {
  /** Its path in the store. */
  readonly folder: string
  /** undefined if it is not known of which unit it is. */
  readonly label: string | undefined
  readonly keys: readonly string[]
  readonly bytes: number
  /** When it was last written to, ms since 1970. */
  readonly made: number
}

/** All of a store. */
export const unfinishedIn = Effect.fnUntraced(function* (
  root: string,
): Effect.fn.Return<readonly Unfinished[], FileError> {
  const scratch = join(root, "scratch")
  return yield* Effect.forEach(
    yield* listNames(scratch),
    Effect.fnUntraced(function* (name) {
      const of = yield* readScratch(join(scratch, name))
      const { bytes, newest: made } = yield* attempt("read", join(scratch, name), () =>
        sizeOf(join(scratch, name)),
      )
      return { folder: `scratch/${name}`, label: of?.label, keys: of?.keys ?? [], bytes, made }
    }),
  )
})
