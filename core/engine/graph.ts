/**
 * A pipeline's nodes as units of work. Each has a content key, so that the same work is done once, whichever pipeline
 * requests it.
 */
import { Effect } from "effect"
import type { Cost } from "../api/cost.ts"
import { describeLabels, type Targets } from "../api/pipeline.ts"
import type { AnyPlugin, Cohort, Labels, Node } from "../api/plugin.ts"
import { InvalidInput } from "../io/decode.ts"
import { FileError } from "../io/files.ts"
import { shortNumber } from "../io/format.ts"
import { contentDigest } from "./content-digest.ts"
import { type KeyParts, keyOf } from "./key.ts"
import { sourceDigest } from "./source-digest.ts"
import { inputProblem, targetProblem } from "./wiring.ts"

/** Cohorts of units, artifacts or estimates. */
export type CohortsOf<T> = readonly {
  readonly labels: Labels
  readonly members: readonly { readonly seed: number; readonly value: T }[]
}[]

export type UnitInput = { readonly one: Unit } | { readonly cohorts: CohortsOf<Unit> }

export interface Unit {
  /** The digest of `parts`. */
  readonly key: string
  readonly parts: KeyParts
  readonly plugin: AnyPlugin
  readonly options: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, UnitInput>>
  /** The run that a probe watches: it observes during training, in the run's process. */
  readonly watched: Unit | null
  /** For people: the plugin's name, with the cohort and seed, or the options, that distinguish it from others. */
  readonly label: string
  /** What is known about the artifact before it is made. */
  readonly estimate: unknown
  readonly cost: Cost
}

/** The units that the targets need, each after its inputs. */
export interface Graph {
  readonly units: readonly Unit[]
  readonly targets: Readonly<Record<string, readonly Unit[]>>
}

/** All units of one input. */
export const unitsOf = (input: UnitInput): readonly Unit[] =>
  "one" in input ? [input.one] : input.cohorts.flatMap(({ members }) => members.map(({ value }) => value))

/** All units whose artifacts a unit takes; not the run that a probe watches. */
export const inputsOf = ({ inputs }: Unit): readonly Unit[] => Object.values(inputs).flatMap(unitsOf)

/**
 * Turns a pipeline's targets into units. `backend` is what will compute them (`arithmeticOf`).
 *
 * @throws InvalidInput listing the problems of all nodes
 */
export const graphOf = (targets: Targets, backend: string): Effect.Effect<Graph, InvalidInput> =>
  Effect.suspend(() => {
    const problems = new Set<string>()
    const byNode = new Map<Node, Unit>()
    const byName = new Map<string, AnyPlugin>()
    const units = new Map<string, Unit>()

    const resolveInput = (input: Node | readonly Cohort[]): UnitInput =>
      "plugin" in input
        ? { one: resolve(input, undefined) }
        : {
            cohorts: input.map(({ labels, members }) => ({
              labels,
              members: members.map(({ seed, node }) => ({
                seed,
                value: resolve(node, `${describeLabels(labels)} seed=${seed}`),
              })),
            })),
          }

    /** An estimate also refuses what options alone cannot reveal, such as steps beyond the end of the run. */
    const estimated = (
      body: () => ReturnType<typeof estimateOf>,
      { name }: AnyPlugin,
      watched: Unit | null,
    ) => {
      // Invalid options would mislead the estimate; their problems are reported instead.
      if (problems.size > 0) return noEstimate
      try {
        const estimate = body()
        for (const [part, value] of Object.entries(estimate.cost)) {
          if (Number.isFinite(value) && value >= 0) continue
          // A pipeline file is not type-checked: a probe may have been given something else than a run.
          const given =
            watched === null
              ? ""
              : `; it watches ${watched.plugin.name}, which gives ${watched.plugin.gives.name}`
          problems.add(`${name}: its estimate is wrong: expected ${part} >= 0, found ${value}${given}`)
        }
        return estimate
      } catch (cause) {
        const found =
          cause instanceof InvalidInput
            ? cause.problems.map((problem) => `${cause.what}: ${problem}`)
            : [`its estimate failed: ${thrownAt(cause)}`]
        for (const problem of found) problems.add(`${name}: ${problem}`)
        return noEstimate
      }
    }

    /** The digests of the files and folders that a plugin reads with these options; unreadable ones are problems. */
    const digestsOfRead = (plugin: AnyPlugin, options: unknown): Readonly<Record<string, string>> => {
      const reads = plugin.reads as ((options: unknown) => readonly string[]) | undefined
      const digests: Record<string, string> = {}
      for (const path of reads?.(options) ?? []) {
        try {
          digests[path] = contentDigest(path)
        } catch (cause) {
          if (!(cause instanceof FileError)) throw cause
          problems.add(`${plugin.name}: ${cause.message}`)
        }
      }
      return digests
    }

    const resolve = (node: Node, member: string | undefined): Unit => {
      const known = byNode.get(node)
      if (known !== undefined) return known
      const { plugin, options } = node
      const namesake = byName.get(plugin.name) ?? plugin
      byName.set(plugin.name, plugin)
      if (namesake !== plugin) problems.add(`${plugin.name}: two plugins have this name; rename one of them`)
      for (const problem of [...node.problems, ...missingInputs(node)])
        problems.add(`${plugin.name}: ${problem}`)
      const inputs: Record<string, UnitInput> = {}
      let watched: Unit | null = null
      for (const [name, input] of Object.entries(node.inputs)) {
        const problem = inputProblem(plugin, name, input)
        if (problem !== undefined) {
          problems.add(`${plugin.name}: ${name}: ${problem}`)
          continue
        }
        const resolved = resolveInput(input)
        if (name === plugin.watches && "one" in resolved) watched = resolved.one
        else inputs[name] = resolved
      }
      // Invalid options do not say which files to read.
      const read = node.problems.length > 0 ? {} : digestsOfRead(plugin, options)
      const parts: KeyParts = {
        plugin: { name: plugin.name, version: plugin.version },
        sources: { [plugin.name]: sourceDigest(plugin.module) },
        packages: {},
        options,
        read,
        inputs: keysOfInputs(inputs),
        watched: watched?.key ?? null,
        backend: plugin.usesBackend ? { arithmetic: backend, sources: {}, packages: {} } : null,
      }
      const key = keyOf(parts)
      const label = `${plugin.name} ${member ?? describeGiven(node.given)}`.trim()
      const { artifact: estimate, cost } = estimated(
        () => estimateOf(plugin, options, inputs, watched),
        plugin,
        watched,
      )
      const unit = units.get(key) ?? { key, parts, plugin, options, inputs, watched, label, estimate, cost }
      byNode.set(node, unit)
      units.set(key, unit)
      return unit
    }

    const resolved = Object.fromEntries(
      Object.entries(targets).flatMap(([name, target]) => {
        const problem = targetProblem(target)
        if (problem === undefined) return [[name, unitsOf(resolveInput(target))] as const]
        problems.add(`the target ${name}: ${problem}`)
        return []
      }),
    )
    if (problems.size === 0) for (const problem of circular([...units.values()])) problems.add(problem)
    return problems.size > 0
      ? Effect.fail(new InvalidInput({ what: "the pipeline cannot be built", problems: [...problems] }))
      : Effect.succeed({ units: [...units.values()], targets: resolved })
  })

/**
 * Inputs of probes that are made from the run that the probe watches: the run starts only once they are there. Runs may
 * also wait for each other through several probes.
 */
const circular = (units: readonly Unit[]): readonly string[] => {
  const probes = Map.groupBy(
    units.filter(({ watched }) => watched !== null),
    ({ watched }) => watched,
  )
  const waitsFor = (unit: Unit): readonly Unit[] =>
    unit.watched === null ? [unit, ...(probes.get(unit) ?? [])].flatMap(inputsOf) : [unit.watched]
  const needs = (from: Unit, run: Unit): boolean => {
    const seen = new Set([from])
    // A set is walked in the order of insertion, what is inserted meanwhile included.
    for (const unit of seen) for (const next of waitsFor(unit)) seen.add(next)
    return seen.has(run)
  }
  return units.flatMap(({ plugin, inputs, watched }) =>
    watched === null
      ? []
      : Object.entries(inputs).flatMap(([name, input]) => {
          const circle = unitsOf(input).find((from) => needs(from, watched))
          return circle === undefined
            ? []
            : [
                `${plugin.name}: ${name}: expected what can be made before the run that it watches starts, found ${circle.label}, which is that run or needs it`,
              ]
        }),
  )
}

const missingInputs = ({ plugin, inputs }: Node): readonly string[] =>
  [
    ...Object.entries(plugin.takes).flatMap(([name, take]) => ("optional" in take ? [] : [name])),
    ...(plugin.watches === undefined ? [] : [plugin.watches]),
  ]
    .filter((name) => inputs[name] === undefined)
    .map((name) => `${name} must be given, but nothing is wired to it`)

/** Those options of a pipeline file that are short, such as `dropout=0.3`. */
const describeGiven = (given: Readonly<Record<string, unknown>>): string =>
  Object.entries(given)
    .filter(
      ([, value]) => ["string", "number", "boolean"].includes(typeof value) && String(value).length <= 40,
    )
    .map(([name, value]) => `${name}=${typeof value === "number" ? shortNumber(value) : value}`)
    .join(" ")

const keysOfInputs = (inputs: Readonly<Record<string, UnitInput>>): KeyParts["inputs"] =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => [
      name,
      "one" in input
        ? input.one.key
        : input.cohorts.map(({ labels, members }) => [
            labels,
            members.map(({ seed, value }) => [seed, value.key]),
          ]),
    ]),
  )

/** A thrown error and the place in the source that it came from, on one line. */
const thrownAt = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const at = (cause.stack ?? "").split("\n").find((line) => /^\s*at /.test(line))
  return `${cause.name}: ${cause.message}${at === undefined ? "" : ` (${at.trim()})`}`
}

const noEstimate = { artifact: undefined, cost: { flops: 0, memory: 0, disk: 0, scratch: 0 } }

const estimateOf = (
  plugin: AnyPlugin,
  options: unknown,
  inputs: Readonly<Record<string, UnitInput>>,
  watched: Unit | null,
): { readonly artifact: unknown; readonly cost: Cost } => {
  const estimates: Record<string, unknown> = {}
  for (const [name, input] of Object.entries(inputs)) {
    estimates[name] = "one" in input ? input.one.estimate : unitsOf(input).map((unit) => unit.estimate)
  }
  if (plugin.watches !== undefined && watched !== null) estimates[plugin.watches] = watched.estimate
  // The wiring was checked, so these are estimates of the kinds that the plugin takes.
  return (plugin.estimate as (options: unknown, inputs: unknown) => ReturnType<typeof plugin.estimate>)(
    options,
    estimates,
  )
}
