/** Finds out where results come from: what makes them here, and what the store says of those that they are made from. */
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os"
import { Effect } from "effect"
import type {
  Commit,
  Computed,
  Machine,
  Maker,
  PipelineRun,
  Provenance,
  Software,
  UnitProvenance,
} from "../api/provenance.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { readManifest } from "../io/package-manifest.ts"
import { findProject, packageFolder, packageName, version } from "../io/project.ts"
import { packageVersion } from "./packages.ts"
import { Store } from "./store/store.ts"
import { inputsOf, type Unit } from "./unit.ts"

/** Why the artifacts of some units are missing, by key. */
type Reasons = ReadonlyMap<string, { readonly reason: string }>

/** What the jobs of a process have in common. */
export interface Origin {
  readonly run: PipelineRun
  readonly machine: Machine
  readonly software: Software
  /** How tensors were computed since the last job began; asked for when something is stored. */
  readonly computed: () => Computed
}

const runtime = (): string =>
  "Deno" in globalThis ? `deno ${process.versions["deno"]}` : `bun ${process.versions["bun"]}`

/** @param commit of the project at work */
export const originHere = (run: PipelineRun, commit: Commit | null, computed: () => Computed): Origin => ({
  run,
  machine: {
    cpu: cpus()[0]?.model.trim() ?? null,
    cores: availableParallelism(),
    memory: totalmem(),
    os: `${type()} ${release()} ${arch()}`,
  },
  software: { kasosei: version, runtime: runtime(), packages: packagesHere(), commit },
  computed,
})

/** The packages that this one, and the project at work, depend on; no further ones, and none that are for development. */
const packagesHere = (): Readonly<Record<string, string>> => {
  const versions = [packageFolder, findProject()].flatMap((folder) =>
    folder === undefined
      ? []
      : Object.keys(readManifest(folder)?.dependencies ?? {})
          .filter((name) => name !== packageName)
          .map((name) => [name, packageVersion(name, folder)] as const),
  )
  return Object.fromEntries(versions)
}

/** What makes a unit in this process. */
export const makerHere = ({ plugin }: Unit, { machine, software, computed }: Origin): Maker => ({
  machine,
  software,
  computed: plugin.usesBackend ? computed() : null,
})

/**
 * Where a unit comes from that is being made here.
 *
 * @param missing the members of its cohorts that diverged or failed
 * @throws FileError if the record of one of the units cannot be read
 */
export const provenanceOf = Effect.fn("provenanceOf")(function* (
  unit: Unit,
  missing: Reasons,
  origin: Origin,
): Effect.fn.Return<Provenance, FileError | InvalidInput, Store> {
  const { label, key, plugin, options } = unit
  return {
    ...origin.run,
    report: { label, plugin: plugin.name, version: plugin.version, options: asJson(options), key },
    madeBy: makerHere(unit, origin),
    units: yield* Effect.forEach(madeFrom(unit), (from) => provenanceOfUnit(from, missing), {
      concurrency: 16,
    }),
  }
})

/** The units that a unit is made from, directly or not, each after those that it is made from itself. */
const madeFrom = (unit: Unit): readonly Unit[] => {
  const found = new Set<Unit>()
  const visit = (from: Unit): void => {
    if (found.has(from)) return
    for (const each of neededBy(from)) visit(each)
    found.add(from)
  }
  for (const each of neededBy(unit)) visit(each)
  return [...found]
}

const neededBy = (unit: Unit): readonly Unit[] =>
  unit.watched === null ? inputsOf(unit) : [unit.watched, ...inputsOf(unit)]

/** Options as manifests have them: a component is its name and its options. */
const asJson = (options: Unit["options"]): UnitProvenance["options"] => JSON.parse(JSON.stringify(options))

const provenanceOfUnit = Effect.fnUntraced(function* (unit: Unit, missing: Reasons) {
  const store = yield* Store
  const stored = yield* store.stored(unit)
  const { label, key, plugin, options, parts } = unit
  const described = {
    label,
    stage: plugin.stage,
    plugin: plugin.name,
    version: plugin.version,
    options: asJson(options),
    key,
    read: parts.read,
    state: stored.status,
  }
  if (stored.status === "done") {
    const { digest, made, seconds, madeBy } = stored.manifest
    return { ...described, reason: null, digest, made, seconds, madeBy } satisfies UnitProvenance
  }
  if (stored.status === "diverged") {
    const { reason, made, seconds, madeBy } = stored.record
    return { ...described, reason, digest: null, made, seconds, madeBy } satisfies UnitProvenance
  }
  const reason = missing.get(key)?.reason ?? stored.failed?.reason ?? null
  return {
    ...described,
    reason,
    digest: null,
    made: null,
    seconds: null,
    madeBy: null,
  } satisfies UnitProvenance
})
