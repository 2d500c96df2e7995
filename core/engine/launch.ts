/**
 * What was launched, as a file: the plan with all that a process needs to carry out a part of it or to tell how far it
 * has come, without the pipeline file.
 *
 * ```
 * OUT/launches/<id>/launch.json     one for each time that a plan was carried out
 * ```
 */
import { randomBytes } from "node:crypto"
import { join, relative } from "node:path"
import { type } from "arktype"
import type { Effect } from "effect"
import { precisions } from "../api/precision.ts"
import { Commit } from "../api/provenance.ts"
import { stages } from "../api/stage.ts"
import { attempt, FileError, namesIn, writeFile } from "../io/files.ts"
import { digestOfUnits } from "./graph.ts"
import type { Plan } from "./plan.ts"
import type { WorkerSettings } from "./processes.ts"
import { Broken, readSealed, sealedText } from "./store/seal.ts"
import { singleInputsOf, type Unit, unitsOf } from "./unit.ts"

const Index = type("number.integer >= 0")
const Amount = type("number >= 0")

export const Launch = type({
  "+": "reject",
  id: /^[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$/,
  /** When it was launched, ISO 8601. */
  made: "string",
  /** The name of the pipeline, of a branch with the branch's. */
  name: "string",
  /** The folder of its report, relative to the store. */
  report: "string",
  command: "string",
  commit: Commit.or("null"),
  /** The pipeline file. */
  file: "string",
  /** Where its workers find it, and all other code: see `LaunchedCode`. */
  code: {
    "+": "reject",
    file: "string",
    package: "string",
    "copied?": { "+": "reject", from: "string", to: "string" },
  },
  parameters: "Record<string, unknown>",
  branch: type({ "+": "reject", run: "string", at: "number", set: "string[]" }).or("null"),
  /** The commits of what it reads on the hub. */
  revisions: "Record<string, string>",
  backend: "string",
  arithmetic: "string",
  /** As in `WorkerSettings`. */
  "model?": "string",
  precision: type.enumerated(...precisions),
  /** Of each job; null if jobs share the cores. */
  threads: type("number.integer >= 1").or("null"),
  /** `digestOfUnits`. */
  digest: "string == 64",
  /** Each after its inputs. */
  units: type({
    "+": "reject",
    key: "string == 64",
    label: "string",
    plugin: "string",
    stage: type.enumerated(...stages),
    flops: Amount,
    /** The units that it cannot be made without: those it takes by themselves, and the run that it watches. */
    takes: Index.array(),
    /** Those that it takes as members of cohorts, which may be missing. */
    members: Index.array(),
  }).array(),
  targets: type({ "[string]": Index.array() }),
  /** What was to be done. */
  jobs: type({
    "+": "reject",
    unit: Index,
    wanted: "boolean",
    observers: Index.array(),
    flops: Amount,
    /** bytes */
    memory: Amount,
    disk: Amount,
    scratch: Amount,
  }).array(),
})
export type Launch = typeof Launch.infer

/** What a launch has besides the plan and what its workers are told. */
export interface LaunchSettings {
  readonly name: string
  readonly report: string
}

/** The record of a plan that is about to be carried out. */
export const launchOf = (
  plan: Plan,
  {
    file,
    code,
    parameters,
    branch,
    backend,
    precision,
    model,
    threads,
    command,
    commit,
    revisions,
    out,
  }: WorkerSettings,
  { name, report }: LaunchSettings,
): Launch => {
  const { graph } = plan
  const indices = new Map(graph.units.map((unit, index) => [unit, index]))
  const made = new Date().toISOString()
  const when = made.replaceAll(/[-:]|\.\d+Z/g, "")
  return {
    id: `${when}-${randomBytes(4).toString("hex")}`,
    ...{ made, name, report: relative(out, report), command, commit, file },
    code: { ...code },
    parameters: parameters as Record<string, unknown>,
    branch: branch === undefined ? null : { ...branch, set: [...branch.set] },
    revisions: { ...revisions },
    ...{ backend, arithmetic: plan.backend, precision, threads: threads ?? null },
    ...(model !== undefined && { model }),
    digest: digestOfUnits(graph),
    units: graph.units.map((unit) => ({
      key: unit.key,
      label: unit.label,
      plugin: unit.plugin.name,
      stage: unit.plugin.stage,
      flops: unit.cost.flops,
      takes: [...singleInputsOf(unit), ...(unit.watched === null ? [] : [unit.watched])].map(
        (taken) => indices.get(taken)!,
      ),
      members: memberInputsOf(unit).map((taken) => indices.get(taken)!),
    })),
    targets: Object.fromEntries(
      Object.entries(graph.targets).map(([target, units]) => [
        target,
        units.map((unit) => indices.get(unit)!),
      ]),
    ),
    jobs: plan.jobs.map(({ unit, wanted, observers, cost: { flops, memory, disk, scratch } }) => ({
      unit: indices.get(unit)!,
      wanted,
      observers: observers.map((observer) => indices.get(observer)!),
      ...{ flops, memory, disk, scratch },
    })),
  }
}

const memberInputsOf = ({ inputs }: Unit): readonly Unit[] =>
  Object.values(inputs).flatMap((input) => ("one" in input ? [] : unitsOf(input)))

/** What the workers of a launch are told, but for what differs from process to process. */
export const settingsOf = (
  out: string,
  launch: Launch,
): Omit<WorkerSettings, "processes" | "timeLimit" | "onLog"> => {
  const { file, code, parameters, branch, backend, precision, model, threads } = launch
  const { command, commit, revisions } = launch
  return {
    file,
    code,
    units: launch.digest,
    ...{ parameters, branch: branch ?? undefined, backend, precision, model, threads: threads ?? undefined },
    ...{ command, commit, revisions, out },
  }
}

const launchesFolder = (out: string) => join(out, "launches")
/** Of everything that belongs to a launch. */
export const launchFolder = (out: string, id: string): string => join(launchesFolder(out), id)
const recordName = "launch.json"
export const isLaunchId = (name: string): boolean => /^[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$/.test(name)

/** @throws FileError */
export const writeLaunch = (out: string, launch: Launch): Effect.Effect<void, FileError> =>
  writeFile(join(launchFolder(out, launch.id), recordName), sealedText(launch))

/** @throws FileError if there is no such launch, or its record is damaged */
export const readLaunch = (out: string, id: string): Effect.Effect<Launch, FileError> => {
  const path = join(launchFolder(out, id), recordName)
  return attempt("read", path, async () => {
    const launch = await readSealed(path, Launch)
    if (launch instanceof Broken) throw new FileError({ path, doing: "read", found: launch.what })
    return launch
  })
}

/** The ids of all launches, the last one first. One that was cut off before its record was written is none. */
export const launchesIn = (out: string): Effect.Effect<readonly string[], FileError> =>
  attempt("list", launchesFolder(out), async () => {
    const ids = (await namesIn(launchesFolder(out))).filter(isLaunchId).sort().reverse()
    const found = await Promise.all(ids.map((id) => namesIn(launchFolder(out, id))))
    return ids.filter((_, i) => found[i]!.includes(recordName))
  })

/** The record of a launch, relative to the store. */
export const launchRecord = (id: string): string => `launches/${id}/${recordName}`
