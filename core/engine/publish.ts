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
 *
 * People put files of their own there. So only what `report.json` lists, and still has the digest that it lists, is
 * replaced or removed, and no symbolic link is followed. All files are written beside first, with the new `report.json`
 * as a journal; then they are renamed, `report.json` last. If that is cut off, the next publication knows from the
 * journal what is not a user's.
 */
import * as fs from "node:fs/promises"
import { basename, join } from "node:path"
import { type } from "arktype"
import { Data, Effect } from "effect"
import { Page } from "../artifacts/page.ts"
import type { InvalidInput } from "../io/decode.ts"
import { canonicalJson, sha256 } from "../io/digest.ts"
import { lockFile } from "../io/file-lock.ts"
import { attempt, errorCode, FileError, listFiles } from "../io/files.ts"
import { isInside } from "../io/inside.ts"
import { type BranchRequest, folderName } from "./branch.ts"
import type { Summary } from "./execute.ts"
import type { Graph } from "./graph.ts"
import { expectedName } from "./name.ts"
import { at, isFolder, makeFolder, moveAway, pointTo, standing, standingIn } from "./publish/place.ts"
import { isStageName, replaceFiles, type Source } from "./publish/replace.ts"
import type { DamagedArtifact } from "./store/damage.ts"
import { Broken, readSealed, sealedText } from "./store/seal.ts"
import { Store } from "./store/store.ts"
import type { Unit } from "./unit.ts"

const Digest = type(/^[0-9a-f]{64}$/)

/** `report.json`, which is sealed: what was published in its folder, and from which units. */
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
const summaryName = "summary.json"
const latestName = "latest"
/** Locked while a report is published. */
const lockName = "publishing.lock"

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
 * @throws FileError if there is no `report.json`, or it cannot be read or is damaged
 */
export const readReport = (folder: string): Effect.Effect<Report, FileError> => {
  const path = join(folder, recordName)
  return attempt("read", path, async () => {
    const report = await readSealed(path, Report)
    if (report instanceof Broken) throw new FileError({ path, doing: "read", found: report.what })
    return report
  })
}

/** The folders of all reports in `out`: those that have a `report.json`. Symbolic links are not followed. */
export const reportFolders = (out: string): Effect.Effect<readonly string[], FileError> =>
  attempt("list", out, async () => {
    const found: string[] = []
    for (const pipeline of await foldersIn(out)) {
      if (expectedName(pipeline) !== undefined) continue
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

// --- publishing --------------------------------------------------------------------------------------------

/** A report that is to be published. */
export interface Publication {
  readonly out: string
  readonly pipeline: string
  /** Completed with defaults. */
  readonly parameters: object
  /** If it is the report of a branch: what was asked for, and the name of the folder for it. */
  readonly branch?: { readonly request: BranchRequest; readonly name: string } | undefined
  readonly command: string
}

/** The folders of ours between `out`, which may be a symbolic link, and that of the report. */
const foldersAbove = ({ out, pipeline, branch }: Publication): readonly string[] => [
  join(out, pipeline),
  ...(branch === undefined ? [] : [join(out, pipeline, branch.name)]),
]

/** The folder of a report. */
export const reportFolder = (publication: Publication): string =>
  join(
    foldersAbove(publication).at(-1)!,
    parametersDigest(publication.parameters, publication.branch?.request),
  )

/**
 * Refuses, before anything runs, what publishing would refuse in the end: something else where a folder of the report
 * would be.
 *
 * @param isWritten whether it will be published, rather than only planned: then its folder must be writable
 * @throws FileError
 */
export const checkReportFolder = (
  publication: Publication,
  { targets }: Graph,
  isWritten: boolean,
): Effect.Effect<void, FileError> => {
  const folder = reportFolder(publication)
  return attempt("use", folder, async () => {
    if (!(await isThere(publication.out))) return
    for (const each of [...foldersAbove(publication), folder]) {
      if (!(await isFolder(each))) return
      if (isWritten) await mustBeWritable(each)
    }
    checkSame(publication, (await readBefore(folder)).record)
    for (const { path } of pagesOf(targets)) await standingIn(folder, `${path}/index.html`)
  })
}

const mustBeWritable = (folder: string): Promise<void> =>
  at("write in", folder, () => fs.access(folder, fs.constants.W_OK))

/** Whether the folder `out` is there, which a symbolic link may lead to. */
const isThere = (out: string): Promise<boolean> =>
  at("use", out, async () => {
    try {
      if ((await fs.stat(out)).isDirectory()) return true
    } catch (cause) {
      if (errorCode(cause) === "ENOENT") return false
      throw cause
    }
    const advice = "Choose another folder with --out"
    throw new FileError({ path: out, doing: "use", found: "expected a folder, found a file", advice })
  })

/** That a report could not be published, once its units were made. */
export class NotPublished extends Data.TaggedError("NotPublished")<{
  readonly cause: DamagedArtifact | FileError | InvalidInput
}> {
  override get message() {
    const { message } = this.cause
    return `the report was not published: ${message}. Finished work is kept: then the same command only publishes the report`
  }
}

export interface Published {
  /** Where to look: the `index.html` of each page. */
  readonly pages: readonly string[]
  /** What is not as one might expect; each a sentence for a person. */
  readonly notes: readonly string[]
}

/**
 * Publishes the finished pages among the targets, with a summary. It is not interrupted, so that a report is whole: it
 * is short.
 *
 * @throws NotPublished if something of a user's is in its place, or it cannot be written
 */
export const publish = (
  publication: Publication,
  { targets }: Graph,
  summary: Summary,
): Effect.Effect<Published, NotPublished, Store> =>
  Effect.gen(function* () {
    const store = yield* Store
    const folder = reportFolder(publication)
    const missing = new Set(summary.failures.map(({ unit }) => unit.key))
    const summaryText = `${JSON.stringify(summaryJson(summary), null, 1)}\n`
    const sources: Source[] = [{ path: summaryName, content: summaryText }]
    const pages: string[] = []
    const absent: string[] = []
    for (const { path, unit } of pagesOf(targets)) {
      if (missing.has(unit.key)) {
        absent.push(path)
        continue
      }
      const from = yield* store.open(unit)
      const files = yield* listFiles(from)
      for (const file of files) sources.push({ path: `${path}/${file}`, from: join(from, file) })
      pages.push(join(folder, path, ...(files.includes("index.html") ? ["index.html"] : [])))
    }
    yield* attempt("make", folder, () => makeFolders(publication))
    // Of two processes that publish the same report one does so after the other.
    yield* lockFile(join(folder, lockName))
    const notes = yield* attempt("publish", folder, () => write(publication, targets, sources, absent)).pipe(
      Effect.uninterruptible,
    )
    return { pages, notes }
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => new NotPublished({ cause })),
  )

/** The folder of a report and those above it; what is in the place of the lock is not followed. */
const makeFolders = async (publication: Publication): Promise<void> => {
  const folder = reportFolder(publication)
  for (const each of [...foldersAbove(publication), folder]) await makeFolder(each)
  await mustBeWritable(folder)
  await fileOrNothing(join(folder, lockName))
}

/** Whether there is a file; if something else is in its place, this is refused. */
const fileOrNothing = async (path: string): Promise<boolean> => {
  const found = await standing(path)
  if (found === "file" || found === "nothing") return found === "file"
  throw new FileError({ path, doing: "use", found: `expected a file, found a ${found}`, advice: moveAway })
}

/** @param absent pages that could not be made this time: an earlier one stays */
const write = async (
  publication: Publication,
  targets: Graph["targets"],
  sources: readonly Source[],
  absent: readonly string[],
): Promise<readonly string[]> => {
  const folder = reportFolder(publication)
  const { record: before, isDamaged, known, leftovers } = await readBefore(folder)
  checkSame(publication, before)
  const isOf = (page: string) => (path: string) => path.startsWith(`${page}/`)
  const kept = Object.entries(before?.files ?? {}).filter(([path]) => absent.some((page) => isOf(page)(path)))
  const keys = Object.entries(targets).map(([target, units]) => {
    // A page that stays needs what it was made from.
    const stays = kept.some(([path]) => isOf(target)(path))
    return [
      target,
      [...new Set([...units.map(({ key }) => key), ...(stays ? (before!.targets[target] ?? []) : [])])],
    ]
  })
  const { pipeline, parameters, branch, command } = publication
  const notes = await replaceFiles({
    folder,
    sources,
    kept: Object.fromEntries(kept),
    known,
    leftovers,
    record: {
      name: recordName,
      isDamaged,
      textOf: (files) =>
        sealedText({
          pipeline,
          parameters,
          ...(branch === undefined ? {} : { branch: branch.request }),
          command,
          made: new Date().toISOString(),
          targets: Object.fromEntries(keys),
          files,
        }),
    },
  })
  const earlier = absent.filter((page) => kept.some(([path]) => isOf(page)(path)))
  const latest = join(folder, "..", latestName)
  const inPlace = await pointTo(latest, basename(folder), isParametersDigest)
  return [
    ...notes,
    ...earlier.map((page) => `${join(folder, page)} is of an earlier run: it could not be made this time`),
    ...(inPlace === undefined
      ? []
      : [`${inPlace} was not made here: left, though it is not the latest report`]),
  ]
}

/** A folder belongs to one set of parameters of one pipeline; a record that was copied there does not say what is ours. */
const checkSame = (publication: Publication, record: Report | undefined): void => {
  if (record === undefined) return
  const folder = reportFolder(publication)
  if (
    record.pipeline === publication.pipeline &&
    parametersDigest(record.parameters, record.branch) === basename(folder)
  )
    return
  throw new FileError({
    path: join(folder, recordName),
    doing: "use",
    found: `it is of other parameters${record.pipeline === publication.pipeline ? "" : `, and of the pipeline ${record.pipeline}`}`,
    advice: "Move the folder to another place",
  })
}

/** What earlier publications left in the folder of a report. */
const readBefore = async (folder: string) => {
  const isRecorded = await fileOrNothing(join(folder, recordName))
  const record = await recordIn(folder)
  const leftovers = (await foldersIn(folder)).filter(isStageName).map((name) => join(folder, name))
  const journals = await Promise.all(leftovers.map(recordIn))
  const known = new Map<string, Set<string>>()
  for (const each of [record, ...journals])
    for (const [file, digest] of Object.entries(each?.files ?? {}))
      known.set(file, (known.get(file) ?? new Set()).add(digest))
  return { record, isDamaged: isRecorded && record === undefined, known, leftovers }
}

/** The record in a folder; undefined if there is none, or it is damaged. */
const recordIn = async (folder: string): Promise<Report | undefined> => {
  try {
    const record = await readSealed(join(folder, recordName), Report)
    return record instanceof Broken ? undefined : record
  } catch {
    return undefined
  }
}

export const summaryJson = ({ reused, made, failures }: Summary) => ({
  reused,
  made,
  failures: failures.map(({ unit, status, kind, reason, step }) => ({
    unit: unit.label,
    key: unit.key,
    status,
    ...(kind === undefined ? {} : { kind }),
    reason,
    ...(step === undefined ? {} : { step }),
  })),
})

/** The pages among targets, each with its folder in that of the report. */
const pagesOf = (targets: Graph["targets"]): readonly { readonly path: string; readonly unit: Unit }[] =>
  Object.entries(targets).flatMap(([target, units]) => {
    const pages = units.filter(({ plugin }) => plugin.gives.name === Page.name)
    if (pages.length === 1) return [{ path: target, unit: pages[0]! }]
    const named = Map.groupBy(pages, ({ label }) => folderName(label).toLowerCase())
    return [...named.values()].flatMap((alike) =>
      alike.map((unit) => {
        const name = folderName(unit.label)
        return { path: `${target}/${alike.length === 1 ? name : `${name}-${unit.key.slice(0, 12)}`}`, unit }
      }),
    )
  })
