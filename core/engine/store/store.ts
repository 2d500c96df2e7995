/**
 * Artifacts on disk, found by content key: written atomically, verified when they are read.
 *
 * ```
 * OUT/artifacts/<plugin>-<key>/   manifest.json  data/…       a finished unit
 * OUT/artifacts/<plugin>-<key>/   divergence.json             a run that diverged, which is a result too
 * OUT/artifacts/<plugin>-<key>/   failure.json                a unit that failed and will be tried again
 * OUT/sources/<digest>.json                                   what these name as their code: sources and packages
 * OUT/scratch/<key>/                                          what an unfinished unit resumes from
 * ```
 *
 * Nothing needs `sources` but plans, which read there what has changed: an artifact can be moved without it.
 *
 * Scratch is kept until its unit is finished or a person deletes it, even if that unit is not requested now because its
 * options, files or plugin changed: another pipeline or other parameters may request it again.
 */
import * as fs from "node:fs/promises"
import { join, relative } from "node:path"
import { type } from "arktype"
import { Context, Effect, Layer } from "effect"
import { UnitFailure } from "../../api/failure.ts"
import type { MadeBy } from "../../api/provenance.ts"
import type { InvalidInput } from "../../io/decode.ts"
import { canonicalJson, digestFile, sha256 } from "../../io/digest.ts"
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
} from "../../io/files.ts"
import { link } from "../../io/link.ts"
import type { KeyParts } from "../key.ts"
import type { Unit } from "../unit.ts"
import { type Acceptance, Code, Divergence, Failed, Manifest, type Parts } from "./manifest.ts"

/** What the store has for a unit. */
export type Stored =
  | { readonly status: "done"; readonly manifest: Manifest }
  | { readonly status: "diverged"; readonly failure: UnitFailure; readonly record: Divergence }
  /** `failed`: why it failed the last time, if it did. */
  | { readonly status: "absent"; readonly failed?: string }

/** An artifact or a divergence in the store, whatever pipeline it was made for. */
export interface Entry {
  readonly folder: string
  readonly record: Manifest | Divergence
  readonly parts: KeyParts
}

/** The record beside an artifact or a divergence. */
export const recordOf = (stored: Stored): Manifest | Divergence | undefined =>
  stored.status === "done" ? stored.manifest : stored.status === "diverged" ? stored.record : undefined

/** The keys that a record has had: its own, and those that it was accepted from. */
export const keysOfRecord = ({ key, accepted = [] }: Manifest | Divergence): readonly string[] => [
  key,
  ...accepted.map(({ from }) => from),
]

/** The same for what the store has for a unit; none if that is nothing. */
export const keysIn = (stored: Stored): readonly string[] => {
  const record = recordOf(stored)
  return record === undefined ? [] : keysOfRecord(record)
}

/** What `stored` gives for a record. */
export const storedAs = (record: Manifest | Divergence): Stored => {
  if ("files" in record) return { status: "done", manifest: record }
  const { reason, step } = record
  const failure = new UnitFailure({ outcome: "diverged", reason, ...(step === undefined ? {} : { step }) })
  return { status: "diverged", failure, record }
}

/** How a unit was made, whether or not that gave an artifact. */
export interface Making {
  readonly seconds: number
  readonly madeBy: MadeBy
}

/** How an artifact was made: what its manifest records besides the files. */
export interface ArtifactMaking extends Making {
  readonly backend: string | null
  readonly missing: readonly string[]
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
      making: ArtifactMaking,
      fill: (folder: string) => Effect.Effect<void, FileError | InvalidInput, R>,
    ) => Effect.Effect<Manifest, FileError | InvalidInput, R>
    readonly writeDivergence: (
      unit: Unit,
      failure: UnitFailure,
      making: Making,
    ) => Effect.Effect<void, FileError>
    /** Records why a unit has no artifact; the artifact replaces it. */
    readonly writeFailure: (unit: Unit, reason: string) => Effect.Effect<void, FileError>
    /**
     * All entries of these plugins, newest first. What is damaged, or of a version of this program that recorded less,
     * is left out.
     */
    readonly entries: (plugins: ReadonlySet<string>) => Effect.Effect<readonly Entry[], FileError>
    /** Gives an entry a second place, under the key of `unit`: its files are linked. Atomic; the entry stays. */
    readonly adopt: (
      unit: Unit,
      entry: Entry,
      accepted: readonly Acceptance[],
    ) => Effect.Effect<void, FileError | InvalidInput>
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
  const artifacts = join(root, "artifacts")
  const folderOf = (unit: Unit) => join(artifacts, `${unit.plugin.name}-${unit.key.slice(0, 20)}`)

  const stored = Effect.fnUntraced(function* (
    unit: Unit,
  ): Effect.fn.Return<Stored, FileError | InvalidInput> {
    const folder = folderOf(unit)
    if (!(yield* exists(folder))) return { status: "absent" }
    if (yield* exists(join(folder, "manifest.json"))) {
      const manifest = yield* readIn(folder, "manifest.json", Manifest)
      if (manifest.key === unit.key) return { status: "done", manifest }
    }
    if (yield* exists(join(folder, "divergence.json"))) {
      return storedAs(yield* readIn(folder, "divergence.json", Divergence))
    }
    if (yield* exists(join(folder, "failure.json"))) {
      const { reason } = yield* readIn(folder, "failure.json", Failed)
      return { status: "absent", failed: reason }
    }
    return { status: "absent" }
  })

  const codes = new Map<string, Code | undefined>()
  const codeFile = (digest: string) => join(root, "sources", `${digest.slice(0, 20)}.json`)

  /** Writes sources and packages once; gives their digest. */
  const writeCode = Effect.fnUntraced(function* ({ sources, packages }: Code) {
    const code: Code = { sources, packages }
    const digest = sha256(canonicalJson(code))
    if (!codes.has(digest) && !(yield* exists(codeFile(digest)))) yield* writeJson(codeFile(digest), code)
    codes.set(digest, code)
    return digest
  })

  const readCode = Effect.fnUntraced(function* (digest: string) {
    if (!codes.has(digest)) {
      const code = yield* Effect.option(readJson(codeFile(digest), Code))
      codes.set(digest, code._tag === "Some" ? code.value : undefined)
    }
    return codes.get(digest)
  })

  /** What a manifest and a divergence have in common. */
  const describe = Effect.fnUntraced(function* (unit: Unit) {
    const { read, inputs, watched, backend, ...code } = unit.parts
    const parts: Parts = {
      code: yield* writeCode(code),
      read: { ...read },
      inputs: { ...inputs },
      watched,
      backend: backend === null ? null : { arithmetic: backend.arithmetic, code: yield* writeCode(backend) },
    }
    const { name, version } = unit.plugin
    return { key: unit.key, plugin: name, version, label: unit.label, options: unit.options, parts }
  })

  const entryIn = Effect.fnUntraced(function* (name: string) {
    const folder = join(artifacts, name)
    const record =
      (yield* readRecord(join(folder, "manifest.json"), Manifest)) ??
      (yield* readRecord(join(folder, "divergence.json"), Divergence))
    if (record === undefined) return []
    const { code: codeDigest, backend, ...others } = record.parts
    const code = yield* readCode(codeDigest)
    const backendCode = backend === null ? null : yield* readCode(backend.code)
    if (code === undefined || backendCode === undefined) return []
    const parts: KeyParts = {
      plugin: { name: record.plugin, version: record.version },
      ...code,
      options: record.options,
      ...others,
      backend: backend === null ? null : { arithmetic: backend.arithmetic, ...backendCode! },
    }
    return [{ folder, record, parts }]
  })

  const entries = Effect.fnUntraced(function* (plugins: ReadonlySet<string>) {
    if (plugins.size === 0 || !(yield* exists(artifacts))) return []
    const names = (yield* attempt("list", artifacts, () => fs.readdir(artifacts))).filter((name) =>
      plugins.has(/^(.+)-[0-9a-f]{20}$/.exec(name)?.[1] ?? ""),
    )
    const found = yield* Effect.forEach(names, entryIn, { concurrency: 32 })
    return found.flat().sort(newestFirst)
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
          ...(yield* describe(unit)),
          backend: making.backend,
          missing: [...making.missing],
          seconds: making.seconds,
          madeBy: making.madeBy,
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

  const adopt: Store["Service"]["adopt"] = (unit, { folder, record }, accepted) =>
    replaceFolder(folderOf(unit), (temporary) =>
      Effect.gen(function* () {
        const adopted = { ...record, ...(yield* describe(unit)), accepted: [...accepted] }
        if (!("files" in record)) return yield* writeJson(join(temporary, "divergence.json"), adopted)
        const data = join(temporary, "data")
        yield* attempt("make", data, () => fs.mkdir(data))
        for (const { path } of record.files) yield* link(join(folder, "data", path), join(data, path))
        yield* writeJson(join(temporary, "manifest.json"), adopted)
      }),
    )

  return {
    root,
    stored,
    write,
    writeDivergence: Effect.fnUntraced(function* (unit, { reason, step }, { seconds, madeBy }) {
      const divergence: Divergence = {
        ...(yield* describe(unit)),
        made: new Date().toISOString(),
        reason,
        ...(step === undefined ? {} : { step }),
        seconds,
        madeBy,
      }
      yield* writeJson(join(folderOf(unit), "divergence.json"), divergence)
    }),
    writeFailure: (unit, reason) =>
      writeJson(join(folderOf(unit), "failure.json"), {
        key: unit.key,
        reason,
      } satisfies typeof Failed.infer),
    entries,
    adopt,
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
      for (const folder of [artifacts, join(root, "sources")]) {
        if (!(yield* exists(folder))) continue
        const names = yield* attempt("list", folder, () => fs.readdir(folder))
        yield* Effect.forEach(names.filter(isTemporary), (name) => remove(join(folder, name)))
      }
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

/** A JSON file; undefined if it is missing or is not what was expected. */
const readRecord = <T extends type.Any>(path: string, schema: T): Effect.Effect<T["infer"] | undefined> =>
  Effect.promise(async () => {
    try {
      const record = schema(JSON.parse(await fs.readFile(path, "utf8")))
      return record instanceof type.errors ? undefined : record
    } catch {
      return undefined
    }
  })

/** When an entry got its key. */
const keyedAt = ({ made, accepted }: Entry["record"]): string => accepted?.at(-1)?.when ?? made

const newestFirst = ({ record: a }: Entry, { record: b }: Entry): number => {
  const [first, second] = [keyedAt(a), keyedAt(b)]
  return first === second ? (a.key < b.key ? -1 : 1) : first > second ? -1 : 1
}

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
