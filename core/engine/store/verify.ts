/** Every digest of every file of a store compared with what is there. */
import { join } from "node:path"
import { Effect, Result } from "effect"
import { digestFile } from "../../io/digest.ts"
import { attempt, errorCode, type FileError, listNames } from "../../io/files.ts"
import { readReport, reportFolders } from "../publish.ts"
import { codeFile, readCodeFile } from "./codes.ts"
import { moveAside, type SetAside } from "./damage.ts"
import { type Item, inventory } from "./inventory.ts"
import { changedFile, inspect } from "./record.ts"
import { Broken } from "./seal.ts"

/** Something that is not as it was written. */
export interface Problem {
  /** The label of a unit, or a path in the store. */
  readonly of: string
  readonly found: string
  /** What setting aside moves: in `artifacts`, a folder or some of its files; or files. Nothing of a report is moved. */
  readonly moves: { readonly name: string; readonly paths: readonly string[] } | undefined
}

export interface Verified {
  readonly artifacts: number
  readonly files: number
  readonly bytes: number
  readonly problems: readonly Problem[]
}

/** Reads every file of the artifacts, of `sources` and of the published reports. */
export const verifyStore = Effect.fnUntraced(function* (root: string): Effect.fn.Return<Verified, FileError> {
  const items = (yield* inventory(root)).filter(({ state }) => state !== "earlier")
  const problems = yield* Effect.forEach(items, (item) => problemsOfItem(root, item), { concurrency: 4 })
  const sources = yield* listNames(join(root, "sources"))
  for (const name of sources) problems.push(yield* problemsOfCode(root, codeFile(name.slice(0, 20)), name))
  for (const folder of yield* reportFolders(root)) problems.push(yield* problemsOfReport(root, folder))
  return {
    artifacts: items.length,
    files: items.reduce((sum, { files }) => sum + files, 0),
    bytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
    problems: problems.flat(),
  }
})

/** Sets a damaged thing aside; undefined if it is of a report, which the pipeline publishes anew. */
export const setProblemAside = Effect.fnUntraced(function* (
  root: string,
  { of, found, moves }: Problem,
): Effect.fn.Return<SetAside | undefined, FileError> {
  if (moves === undefined) return undefined
  return { of, found, to: yield* moveAside(root, moves.name, moves.paths) }
})

const problemsOfItem = Effect.fnUntraced(function* (
  root: string,
  { name, label, state, note }: Item,
): Effect.fn.Return<readonly Problem[], FileError> {
  const folder = join(root, "artifacts", name)
  const whole = { name, paths: [] }
  if (state === "damaged") return [{ of: label, found: note!, moves: whole }]
  if (state !== "done" && state !== "extra") return []
  return yield* attempt("read", folder, async () => {
    const inside = await inspect(folder)
    if (inside.status !== "done") return []
    const changed = await changedFile(folder, inside.record)
    if (changed !== undefined) return [{ of: label, found: changed, moves: whole }]
    const paths = inside.extra.map((path) => `artifacts/${name}/${path}`)
    return paths.length === 0 ? [] : [{ of: label, found: note!, moves: { name, paths } }]
  })
})

const problemsOfCode = Effect.fnUntraced(function* (root: string, file: string, name: string) {
  const path = `sources/${name}`
  const found =
    path === file
      ? yield* Effect.promise(() => readCodeFile(root, file))
      : new Broken("expected no such file")
  return found instanceof Broken && !found.earlier
    ? [{ of: path, found: found.what, moves: { name: "sources", paths: [path] } }]
    : []
})

const problemsOfReport = Effect.fnUntraced(function* (
  root: string,
  folder: string,
): Effect.fn.Return<readonly Problem[]> {
  const of = folder.slice(root.length + 1)
  const read = yield* Effect.result(readReport(folder))
  if (Result.isFailure(read)) return [{ of, found: read.failure.message, moves: undefined }]
  const { files, command } = read.success
  const changed = yield* Effect.promise(async () => {
    const some: string[] = []
    for (const [path, digest] of Object.entries(files)) {
      const now = await digestFile(join(folder, path)).catch((cause) => `cannot be read: ${errorCode(cause)}`)
      if (now !== digest) some.push(path)
    }
    return some
  })
  if (changed.length === 0) return []
  const found = `${changed.join(", ")} ${changed.length === 1 ? "is" : "are"} not as published; publish again with ${command}`
  return [{ of, found, moves: undefined }]
})
