/**
 * Artifacts on disk, found by content key: written atomically, verified when they are read.
 *
 * ```
 * OUT/artifacts/<plugin>-<key>/   manifest.json  data/…       a finished unit
 * OUT/artifacts/<plugin>-<key>/   divergence.json             a run that diverged, which is a result too
 * OUT/artifacts/<plugin>-<key>/   failure.json                a unit that failed and will be tried again
 * OUT/sources/<digest>.json                                   what these name as their code: sources and packages
 * OUT/scratch/<key>/                                          what an unfinished unit resumes from
 * OUT/damaged/<name>-<when>/                                  what was damaged, and has been set aside
 * OUT/tmp/<owner>/                                            what a process is writing, before it has its name
 * ```
 *
 * Nothing needs `sources` but plans, which read there what has changed: an artifact can be moved without it.
 *
 * Scratch is kept until its unit is finished or a person deletes it, even if that unit is not requested now because its
 * options, files or plugin changed: another pipeline or other parameters may request it again.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Context, Effect, Layer } from "effect"
import type { UnitFailure } from "../../api/failure.ts"
import type { MadeBy } from "../../api/provenance.ts"
import type { InvalidInput } from "../../io/decode.ts"
import { digestFile, sha256 } from "../../io/digest.ts"
import {
  attempt,
  type FileError,
  listFiles,
  listNames,
  remove,
  replaceFolder,
  restoreReplaced,
  writeFile,
} from "../../io/files.ts"
import { link } from "../../io/link.ts"
import { neededBy, type Unit } from "../unit.ts"
import { Codes } from "./codes.ts"
import { DamagedArtifact, moveAside, type SetAside } from "./damage.ts"
import { entriesIn } from "./entries.ts"
import type { Acceptance, Divergence, Failed, Manifest, Parts } from "./manifest.ts"
import { Owners } from "./owners.ts"
import { changedFile, type Found, folderName, inspect } from "./record.ts"
import { sealedText } from "./seal.ts"
import { damageOf, type Entry, type Stored, storedFrom } from "./stored.ts"

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
    /** Reads the record, and the names and sizes of the files. What is damaged is no error. */
    readonly stored: (unit: Unit) => Effect.Effect<Stored, FileError>
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
    readonly writeFailure: (
      unit: Unit,
      why: Pick<Failed, "kind" | "reason" | "launch">,
    ) => Effect.Effect<void, FileError>
    /**
     * All entries of these plugins, newest first, but for those of the units `known`. What is damaged, or of a version
     * of this program that recorded less, is left out.
     */
    readonly entries: (
      plugins: ReadonlySet<string>,
      known?: readonly Unit[],
    ) => Effect.Effect<readonly Entry[], FileError>
    /** Gives an entry a second place, under the key of `unit`: its files are linked. Atomic; the entry stays. */
    readonly adopt: (
      unit: Unit,
      entry: Entry,
      accepted: readonly Acceptance[],
    ) => Effect.Effect<void, FileError>
    /**
     * The folder of a finished artifact's data, its files verified once per process; `again`: even if they were
     * verified before. A damaged artifact is set aside.
     */
    readonly open: (unit: Unit, again?: "again") => Effect.Effect<string, FileError | DamagedArtifact>
    /** Sets aside what is damaged of what the store has for a unit, if something is. */
    readonly setAside: (unit: Unit) => Effect.Effect<readonly SetAside[], FileError>
    /** Writes anew what `sources` has lost of a unit's code; sets aside what is damaged there. */
    readonly restoreCode: (unit: Unit) => Effect.Effect<readonly SetAside[], FileError>
    /** The folder for what an unfinished unit resumes from; created if missing. */
    readonly scratch: (key: string) => Effect.Effect<string, FileError>
    readonly freeScratch: (key: string) => Effect.Effect<void>
    /** Finishes or removes what killed processes have left half done. Safe while others write. */
    readonly removeHalfWritten: Effect.Effect<void, FileError>
  }
>()("kasosei/core/Store") {
  static readonly layer = (root: string) => Layer.sync(Store, () => Store.of(storeAt(root)))
}

const storeAt = (root: string): Store["Service"] => {
  const verified = new Map<string, string>()
  const artifacts = join(root, "artifacts")
  const nameOf = ({ plugin, key }: Unit) => folderName(plugin.name, key)
  const folderOf = (unit: Unit) => join(artifacts, nameOf(unit))
  /** Where something is written before it has its name: in the folder of this process, if it is at work here. */
  const temporary = Effect.gen(function* () {
    const owners = yield* Effect.serviceOption(Owners)
    const folder = owners._tag === "Some" ? yield* owners.value.tmp : join(root, "tmp")
    return join(folder, `${process.pid}-${randomBytes(8).toString("hex")}`)
  })
  const codes = new Codes(root, temporary)

  const found = (unit: Unit) =>
    attempt("read", folderOf(unit), async (): Promise<Found> => {
      const inside = await inspect(folderOf(unit))
      // The name has only the first digits of the key.
      return "record" in inside && inside.record !== undefined && inside.record.key !== unit.key
        ? { status: "damaged", what: "it is of another unit" }
        : inside
    })

  const stored = (unit: Unit) => Effect.map(found(unit), storedFrom)

  /** Sets aside an artifact that is damaged, or what is in its folder and not its own. */
  const setAside = Effect.fnUntraced(function* (unit: Unit) {
    const name = nameOf(unit)
    const inside = yield* found(unit)
    const damaged = damageOf(inside)
    if (damaged === undefined) return []
    const extra = inside.status === "done" ? inside.extra.map((path) => `artifacts/${name}/${path}`) : []
    return [{ of: unit.label, found: damaged, to: yield* moveAside(root, name, extra) }]
  })

  /**
   * Gives what `fill` writes the place of the unit's artifact. One that was made with other members missing is replaced;
   * a damaged one is kept aside.
   */
  const publish = <E, R>(unit: Unit, fill: (folder: string) => Effect.Effect<void, E, R>) =>
    Effect.gen(function* () {
      yield* setAside(unit)
      yield* replaceFolder(folderOf(unit), fill, yield* temporary)
    })

  /** What all records have in common. */
  const named = (unit: Unit) => ({
    key: unit.key,
    plugin: unit.plugin.name,
    label: unit.label,
    inputs: Object.entries(neededBy(unit)).flatMap(([name, units]) =>
      units.map(({ key, label }) => ({ name, key, label })),
    ),
    made: new Date().toISOString(),
  })

  /** What a manifest and a divergence have in common. */
  const describe = Effect.fnUntraced(function* (unit: Unit) {
    const { read, inputs, watched, backend, ...code } = unit.parts
    const parts: Parts = {
      code: yield* codes.write(code),
      read: { ...read },
      inputs: { ...inputs },
      watched,
      backend:
        backend === null ? null : { arithmetic: backend.arithmetic, code: yield* codes.write(backend) },
    }
    return { ...named(unit), version: unit.plugin.version, options: unit.options, parts }
  })

  const write: Store["Service"]["write"] = Effect.fnUntraced(function* (unit, making, fill) {
    let written: Manifest | undefined
    yield* publish(unit, (folder) =>
      Effect.gen(function* () {
        const data = join(folder, "data")
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
          files,
          digest: sha256(files.map((file) => `${file.sha256} ${file.path}\n`).join("")),
        }
        yield* writeFile(join(folder, "manifest.json"), sealedText(manifest))
        written = manifest
      }),
    )
    return written!
  })

  const open: Store["Service"]["open"] = Effect.fnUntraced(function* (unit, again) {
    const folder = folderOf(unit)
    const { label } = unit
    while (true) {
      const before = yield* inodeOf(folder)
      const inside = yield* found(unit)
      if (inside.status !== "done") {
        const [aside] = yield* setAside(unit)
        return yield* new DamagedArtifact({ label, ...(aside ?? { found: "it is gone", to: undefined }) })
      }
      const { record } = inside
      const data = join(folder, "data")
      if (again === undefined && verified.get(unit.key) === record.digest) return data
      const changed = yield* attempt("read", folder, () => changedFile(folder, record))
      if (changed === undefined) {
        verified.set(unit.key, record.digest)
        return data
      }
      // Another process has found the same and set it aside, and perhaps made it again.
      if ((yield* inodeOf(folder)) !== before) continue
      const to = yield* moveAside(root, nameOf(unit), [])
      return yield* new DamagedArtifact({ label, found: changed, to })
    }
  })

  const scratchOf = (key: string) => join(root, "scratch", key.slice(0, 20))

  const adopt: Store["Service"]["adopt"] = (unit, { folder, record }, accepted) =>
    publish(unit, (to) =>
      Effect.gen(function* () {
        const { made } = record
        const adopted = { ...record, ...(yield* describe(unit)), made, accepted: [...accepted] }
        if (!("files" in record)) return yield* writeFile(join(to, "divergence.json"), sealedText(adopted))
        const data = join(to, "data")
        yield* attempt("make", data, () => fs.mkdir(data))
        for (const { path } of record.files) yield* link(join(folder, "data", path), join(data, path))
        yield* writeFile(join(to, "manifest.json"), sealedText(adopted))
      }),
    )

  return {
    root,
    stored,
    write,
    writeDivergence: Effect.fnUntraced(function* (unit, { reason, step }, { seconds, madeBy }) {
      const divergence: Divergence = {
        ...(yield* describe(unit)),
        reason,
        ...(step === undefined ? {} : { step }),
        seconds,
        madeBy,
      }
      yield* publish(unit, (folder) => writeFile(join(folder, "divergence.json"), sealedText(divergence)))
    }),
    writeFailure: Effect.fnUntraced(function* (unit, why) {
      const { status } = yield* found(unit)
      // An artifact that lacks some results says more than that it could not be made again with them.
      if (status === "done" || status === "diverged") return
      const failed: Failed = { ...named(unit), ...why }
      yield* publish(unit, (folder) => writeFile(join(folder, "failure.json"), sealedText(failed)))
    }),
    entries: (plugins, known = []) => entriesIn(artifacts, codes, plugins, new Set(known.map(nameOf))),
    adopt,
    open,
    setAside,
    restoreCode: Effect.fnUntraced(function* ({ parts: { backend, ...code } }) {
      const restored = [
        yield* codes.restore(code),
        backend === null ? undefined : yield* codes.restore(backend),
      ]
      return restored.filter((each) => each !== undefined)
    }),
    scratch: (key) => {
      const folder = scratchOf(key)
      return Effect.as(
        attempt("make", folder, () => fs.mkdir(folder, { recursive: true })),
        folder,
      )
    },
    freeScratch: (key) => remove(scratchOf(key)),
    removeHalfWritten: Effect.gen(function* () {
      yield* restoreReplaced(artifacts)
      const folder = join(root, "tmp")
      for (const name of yield* listNames(folder)) {
        const path = join(folder, name)
        // Of processes that are at work, their folders are removed with them.
        if (/-/.test(name) && (yield* ageOf(path)) > longestWriting) yield* remove(path)
      }
    }),
  }
}

/** Nothing takes longer to be written, ms. */
const longestWriting = 24 * 3600 * 1000

/** What tells a folder from another one that takes its place; undefined if it is gone. */
const inodeOf = (path: string): Effect.Effect<number | undefined> =>
  Effect.promise(() =>
    fs.stat(path).then(
      ({ ino }) => ino,
      () => undefined,
    ),
  )

/** How long ago a file or folder was changed, ms; 0 if it is gone. */
const ageOf = (path: string): Effect.Effect<number> =>
  Effect.promise(() =>
    fs.stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    ),
  )

/** The files of an artifact with their sizes and digests. */
const describeFiles = Effect.fnUntraced(function* (folder: string) {
  return yield* Effect.forEach(yield* listFiles(folder), (path) =>
    attempt("read", join(folder, path), async () => ({
      path,
      bytes: (await fs.stat(join(folder, path))).size,
      sha256: await digestFile(join(folder, path)),
    })),
  )
})
