/**
 * Reports in `--out`, where people read them: a folder for each set of parameters of a pipeline.
 *
 * ```
 * OUT/NAME/<digest>/<target>/…       the pages of a report, a folder for each target that is one
 * OUT/NAME/<digest>/summary.json     how the run ended that published it
 * OUT/NAME/<digest>/report.json      what was published, and from which units
 * OUT/NAME/latest                    a link to the folder that was published last
 * OUT/NAME/branch-…/<digest>/        the same for a branch of a run
 * ```
 */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { type } from "arktype"
import type { Effect } from "effect"
import type { InvalidInput } from "../io/decode.ts"
import { canonicalJson, sha256 } from "../io/digest.ts"
import { attempt, errorCode, type FileError, readJson } from "../io/files.ts"
import type { BranchRequest } from "./branch.ts"
import { nameProblem } from "./name.ts"

const Digest = type(/^[0-9a-f]{64}$/)

/** A path inside a folder: whoever follows it stays there. */
const isInside = (path: string): boolean =>
  !path.includes("\0") && path.split("/").every((part) => part !== "" && part !== "." && part !== "..")

/** `report.json`: what was published in its folder, and from which units. */
export const Report = type({
  "+": "reject",
  pipeline: "string",
  /** Completed with defaults. */
  parameters: "Record<string, unknown>",
  /** What was branched, if this is the report of a branch. */
  "branch?": { "+": "reject", run: "string", at: "number.integer >= 0", set: "string[]" },
  /** The command line that published it. */
  command: "string",
  /** When it was published, ISO 8601. */
  made: "string",
  /** The keys of the units of each target. While they are in the store, nothing of this is computed again. */
  targets: type({ "[string]": Digest.array() }),
  /** The SHA-256 of each file that was written, by its path in the folder. Other files there are a user's. */
  files: type({ "[string]": Digest }).narrow(
    (files, context) => Object.keys(files).every(isInside) || context.mustBe("paths inside the folder"),
  ),
})
export type Report = typeof Report.infer

const recordName = "report.json"

/** The name of the folder for a report with these parameters. A branch of a run counts as one of them. */
export const parametersDigest = (parameters: object, branch?: BranchRequest): string =>
  sha256(canonicalJson(branch === undefined ? parameters : { ...parameters, "--branch": branch })).slice(
    0,
    12,
  )

const isParametersDigest = (name: string): boolean => /^[0-9a-f]{12}$/.test(name)

/**
 * What was published in a report's folder.
 *
 * @throws FileError if there is no `report.json` or it cannot be read, InvalidInput if it is damaged
 */
export const readReport = (folder: string): Effect.Effect<Report, FileError | InvalidInput> =>
  readJson(join(folder, recordName), Report)

/** The folders of all reports in `out`: those that have a `report.json`. Symbolic links are not followed. */
export const reportFolders = (out: string): Effect.Effect<readonly string[], FileError> =>
  attempt("list", out, async () => {
    const found: string[] = []
    for (const pipeline of await foldersIn(out)) {
      if (nameProblem(pipeline) !== undefined) continue
      for (const name of await foldersIn(join(out, pipeline))) {
        const folder = join(out, pipeline, name)
        if (isParametersDigest(name)) found.push(folder)
        // A branch of a run has reports of its own.
        else
          for (const inside of await foldersIn(folder))
            if (isParametersDigest(inside)) found.push(join(folder, inside))
      }
    }
    const published = await Promise.all(found.map((folder) => isFile(join(folder, recordName))))
    return found.filter((_, i) => published[i]).sort()
  })

/** The names of the folders in a folder; none if it does not exist. */
const foldersIn = async (path: string): Promise<readonly string[]> => {
  try {
    const entries = await fs.readdir(path, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return []
    throw cause
  }
}

const isFile = async (path: string): Promise<boolean> => {
  const found = await fs.lstat(path).catch(() => undefined)
  return found?.isFile() === true
}
