/** Every digest of every file of a store compared with what is there. */
import { join, relative } from "node:path"
import { Effect, Result } from "effect"
import { digestFile } from "../../io/digest.ts"
import { attempt, errorCode, type FileError, listNames } from "../../io/files.ts"
import { copiesFolder, isWholeCopy } from "../freeze.ts"
import { launchesIn, launchRecord, readLaunch } from "../launch.ts"
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

/** Reads every file of the artifacts, of `sources`, of the published reports, and of launches with their code. */
export const verifyStore = Effect.fnUntraced(function* (root: string): Effect.fn.Return<Verified, FileError> {
  const items = (yield* inventory(root)).filter(({ state }) => state !== "earlier")
  const problems = yield* Effect.forEach(items, (item) => problemsOfItem(root, item), { concurrency: 4 })
  const sources = yield* listNames(join(root, "sources"))
  for (const name of sources) problems.push(yield* problemsOfCode(root, codeFile(name.slice(0, 20)), name))
  for (const folder of yield* reportFolders(root)) problems.push(yield* problemsOfReport(root, folder))
  for (const id of yield* launchesIn(root)) problems.push(yield* problemsOfLaunch(root, id))
  const copies = yield* listNames(copiesFolder(root))
  for (const name of copies) problems.push(yield* problemsOfCopy(root, name))
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

const problemsOfLaunch = Effect.fnUntraced(function* (root: string, id: string) {
  const of = launchRecord(id)
  const read = yield* Effect.result(readLaunch(root, id))
  return Result.isSuccess(read) ? [] : [{ of, found: read.failure.found, moves: { name: id, paths: [of] } }]
})

const problemsOfCopy = Effect.fnUntraced(function* (root: string, name: string) {
  const folder = join(copiesFolder(root), name)
  if (yield* Effect.promise(() => isWholeCopy(folder).catch(() => false))) return []
  const of = relative(root, folder)
  return [{ of, found: "it is not the code that was copied", moves: { name, paths: [of] } }]
})

/** Files that a problem names. */
const mostNamed = 3

const problemsOfReport = Effect.fnUntraced(function* (
  root: string,
  folder: string,
): Effect.fn.Return<readonly Problem[]> {
  const of = folder.slice(root.length + 1)
  const read = yield* Effect.result(readReport(folder))
  if (Result.isFailure(read)) {
    const found = `report.json: ${read.failure.found}; run its pipeline with the same parameters: that publishes it again`
    return [{ of, found, moves: undefined }]
  }
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
  const some = changed.slice(0, mostNamed).join(", ")
  const more = changed.length > mostNamed ? ` and ${changed.length - mostNamed} more` : ""
  const are = changed.length === 1 ? "is" : "are"
  const found = `${some}${more} ${are} gone or not as published; publish again with ${command}`
  return [{ of, found, moves: undefined }]
})
