/**
 * Artifacts on disk, found by content key: written atomically, verified when they are read.
 *
 * ```
 * OUT/artifacts/<plugin>-<key>/   manifest.json  data/…       a finished unit
 * OUT/artifacts/<plugin>-<key>/   divergence.json             a run that diverged, which is a result too
 * OUT/scratch/<key>/                                          what an unfinished unit resumes from
 * ```
 *
 * Scratch is kept until its unit is finished or a person deletes it, even if that unit is not requested now because its
 * options, files or plugin changed: another pipeline or other parameters may request it again.
 */
import * as fs from "node:fs/promises"
import { join, relative } from "node:path"
import { type } from "arktype"
import { Context, Effect, Layer } from "effect"
import { UnitFailure } from "../api/failure.ts"
import type { InvalidInput } from "../io/decode.ts"
import { digestFile, sha256 } from "../io/digest.ts"
import {
  attempt,
  exists,
  FileError,
  isTemporary,
  listFiles,
  readJson,
  remove,
  replaceFolder,
  writeJson,
} from "../io/files.ts"
import type { Unit } from "./graph.ts"

export const Manifest = type({
  "+": "reject",
  key: "string == 64",
  plugin: "string",
  version: "number",
  label: "string",
  options: "Record<string, unknown>",
  /** The backend that computed it; null if none was needed. */
  backend: "string | null",
  /** Keys of the cohort members that were missing when it was made, because their runs diverged or failed. */
  missing: "string[]",
  seconds: "number >= 0",
  flops: "number >= 0",
  made: "string",
  files: type({
    "+": "reject",
    path: "string",
    bytes: "number.integer >= 0",
    sha256: "string == 64",
  }).array(),
  /** Over the paths and digests of all files: equal artifacts have equal digests. */
  digest: "string == 64",
})
export type Manifest = typeof Manifest.infer

const Divergence = type({ "+": "reject", reason: "string", "step?": "number.integer >= 0" })

/** What the store has for a unit. */
export type Stored =
  | { readonly status: "done"; readonly manifest: Manifest }
  | { readonly status: "diverged"; readonly failure: UnitFailure }
  | { readonly status: "absent" }

/** How a unit was made: what its manifest records besides the files. */
export interface Making {
  readonly backend: string | null
  readonly missing: readonly string[]
  readonly seconds: number
}

export class Store extends Context.Service<
  Store,
  {
    /** The folder that contains everything. */
    readonly root: string
    readonly stored: (unit: Unit) => Effect.Effect<Stored, FileError | InvalidInput>
    /** Writes an artifact atomically, replacing an earlier one. */
    readonly write: <R>(
      unit: Unit,
      making: Making,
      fill: (folder: string) => Effect.Effect<void, FileError | InvalidInput, R>,
    ) => Effect.Effect<Manifest, FileError | InvalidInput, R>
    readonly writeDivergence: (unit: Unit, failure: UnitFailure) => Effect.Effect<void, FileError>
    /** The folder of a finished artifact's data, its files verified once per process. */
    readonly open: (unit: Unit) => Effect.Effect<string, FileError | InvalidInput>
    /** The folder for what an unfinished unit resumes from; created if missing. */
    readonly scratch: (key: string) => Effect.Effect<string, FileError>
    readonly freeScratch: (key: string) => Effect.Effect<void>
    /** Removes half-written artifacts of killed processes. Only safe while no other process writes any. */
    readonly removeHalfWritten: Effect.Effect<void, FileError>
  }
>()("kasosei/core/Store") {
  static readonly layer = (root: string) => Layer.sync(Store, () => Store.of(storeAt(root)))
}

const storeAt = (root: string): Store["Service"] => {
  const verified = new Map<string, string>()
  const folderOf = (unit: Unit) => join(root, "artifacts", `${unit.plugin.name}-${unit.key.slice(0, 20)}`)

  const stored = Effect.fnUntraced(function* (unit: Unit) {
    const folder = folderOf(unit)
    if (yield* exists(join(folder, "manifest.json"))) {
      const manifest = yield* readIn(folder, "manifest.json", Manifest)
      if (manifest.key === unit.key) return { status: "done", manifest } as const
    }
    if (yield* exists(join(folder, "divergence.json"))) {
      const { reason, step } = yield* readIn(folder, "divergence.json", Divergence)
      const failure = new UnitFailure({
        outcome: "diverged",
        reason,
        ...(step === undefined ? {} : { step }),
      })
      return { status: "diverged", failure } as const
    }
    return { status: "absent" } as const
  })

  const write: Store["Service"]["write"] = Effect.fnUntraced(function* (unit, making, fill) {
    const folder = folderOf(unit)
    // An artifact that was made with other members missing, or whose files are damaged, is replaced.
    yield* replaceFolder(folder, (temporary) =>
      Effect.gen(function* () {
        const data = join(temporary, "data")
        yield* attempt("make", data, () => fs.mkdir(data))
        yield* fill(data)
        const files = yield* describeFiles(data)
        const manifest: Manifest = {
          key: unit.key,
          plugin: unit.plugin.name,
          version: unit.plugin.version,
          label: unit.label,
          options: unit.options,
          backend: making.backend,
          missing: [...making.missing],
          seconds: making.seconds,
          flops: unit.cost.flops,
          made: new Date().toISOString(),
          files,
          digest: sha256(files.map((file) => `${file.sha256} ${file.path}\n`).join("")),
        }
        yield* writeJson(join(temporary, "manifest.json"), manifest)
      }),
    )
    return yield* readIn(folder, "manifest.json", Manifest)
  })

  const open = Effect.fnUntraced(function* (unit: Unit) {
    const folder = folderOf(unit)
    const data = join(folder, "data")
    const manifest = yield* readIn(folder, "manifest.json", Manifest)
    if (verified.get(unit.key) === manifest.digest) return data
    for (const file of manifest.files) {
      const path = join(data, file.path)
      if (relative(data, path).startsWith("..")) {
        const found = `${JSON.stringify(file.path)} points outside the artifact's folder`
        return yield* new FileError({ path: join(folder, "manifest.json"), doing: "read", found })
      }
      const digest = yield* digestOf(path)
      if (digest !== file.sha256) {
        return yield* new FileError({
          path,
          doing: "read",
          found: "its content has changed since it was written (its SHA-256 differs)",
          advice: removeToRemake(folder),
        })
      }
    }
    verified.set(unit.key, manifest.digest)
    return data
  })

  const scratchOf = (key: string) => join(root, "scratch", key.slice(0, 20))

  return {
    root,
    stored,
    write,
    writeDivergence: (unit, { reason, step }) =>
      writeJson(join(folderOf(unit), "divergence.json"), { reason, ...(step === undefined ? {} : { step }) }),
    open,
    scratch: (key) => {
      const folder = scratchOf(key)
      return Effect.as(
        attempt("make", folder, () => fs.mkdir(folder, { recursive: true })),
        folder,
      )
    },
    freeScratch: (key) => remove(scratchOf(key)),
    removeHalfWritten: Effect.gen(function* () {
      const folder = join(root, "artifacts")
      if (!(yield* exists(folder))) return
      const names = yield* attempt("list", folder, () => fs.readdir(folder))
      yield* Effect.forEach(names.filter(isTemporary), (name) => remove(join(folder, name)))
    }),
  }
}

const removeToRemake = (folder: string): string => `Delete ${folder} to have it computed again`

/** A JSON file in an artifact's folder; a power cut may have left it empty. */
const readIn = <T extends type.Any>(folder: string, name: string, schema: T) =>
  Effect.mapError(readJson(join(folder, name), schema), (error) => {
    const { path, doing, found } =
      error._tag === "FileError"
        ? error
        : { path: error.what, doing: "read", found: error.problems.join("; ") }
    return new FileError({ path, doing, found, advice: removeToRemake(folder) })
  })

const digestOf = (path: string): Effect.Effect<string, FileError> =>
  attempt("read", path, () => digestFile(path))

/** The files of an artifact with their sizes and digests. */
const describeFiles = Effect.fnUntraced(function* (folder: string) {
  return yield* Effect.forEach(
    yield* listFiles(folder),
    Effect.fnUntraced(function* (path) {
      const { size } = yield* attempt("read", join(folder, path), () => fs.stat(join(folder, path)))
      return { path, bytes: size, sha256: yield* digestOf(join(folder, path)) }
    }),
  )
})
