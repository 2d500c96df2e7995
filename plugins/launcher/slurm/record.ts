/** What was submitted, kept in the folder of its launch: `slurm.json`. */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { type FileError, readJson, writeJson } from "../../../core/io/files.ts"

export const Record = type({
  "+": "reject",
  arrays: type({
    "+": "reject",
    /** The job's id. */
    id: "string",
    /** Null for the job that publishes. */
    level: "number.integer >= 0 | null",
    /** The tasks of its level that it has: so many, from this one on. */
    first: "number.integer >= 0",
    tasks: "number.integer >= 1",
    /** As sbatch was given them. */
    arguments: "string[]",
  }).array(),
})
export type Record = typeof Record.infer

const pathIn = (folder: string) => join(folder, "slurm.json")

export const writeRecord = (folder: string, record: Record): Effect.Effect<void, FileError> =>
  writeJson(pathIn(folder), record)

/** The ids of the jobs that were submitted for a launch; undefined if none were. */
export const readSubmitted = (folder: string): Effect.Effect<readonly string[] | undefined> =>
  readJson(pathIn(folder), Record).pipe(
    Effect.map(({ arrays }) => arrays.map(({ id }) => id)),
    Effect.orElseSucceed(() => undefined),
  )
