/**
 * A pipeline's nodes as units of work. Each has a content key, so that the same work is done once, whichever pipeline
 * requests it.
 */
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { componentsIn, isComponent } from "../api/component.ts"
import { cost } from "../api/cost.ts"
import type { Targets } from "../api/pipeline.ts"
import type { AnyPlugin, Cohort, Node } from "../api/plugin.ts"
import { InvalidInput } from "../io/decode.ts"
import { sha256 } from "../io/digest.ts"
import { FileError } from "../io/files.ts"
import { contentDigest, LargeFileReading } from "./content-digest.ts"
import { type Computing, type KeyParts, keyOf } from "./key.ts"
import { type LabelledUnit, labelsOf, type Membership } from "./label.ts"
import { expectedName, takenInReport } from "./name.ts"
import { type Sources, sourcesOf } from "./source-digest.ts"
import { estimatesOfInputs, inputsOf, type Unit, type UnitInput, unitsOf } from "./unit.ts"
import { inputProblem, targetProblem } from "./wiring.ts"

/** The units that the targets need, each after its inputs. */
export interface Graph {
  readonly units: readonly Unit[]
  readonly targets: Readonly<Record<string, readonly Unit[]>>
  /** What each unit stands for; the first node of it, if there are several. */
  readonly origins: ReadonlyMap<Unit, Origin>
}

/** One digest for all units: two graphs with the same one have the same units. */
export const digestOfUnits = ({ units }: Graph): string =>
  sha256(
    units
      .map(({ key }) => key)
      .sort()
      .join(),
  )

/** A unit in the pipeline file. */
export interface Origin {
  readonly node: Node
  /** Its places in cohorts. */
  readonly memberships: readonly Membership[]
}

/**
 * Turns a pipeline's targets into units, which `computing` will compute.
 *
 * @throws InvalidInput listing the problems of all nodes
 */
export const graphOf = (targets: Targets, computing: Computing): Effect.Effect<Graph, InvalidInput> =>
  Effect.flatMap(LargeFileReading, (reading) => {
    const problems = new Set<string>()
    const byNode = new Map<Node, Unit>()
    const byName = new Map<string, AnyPlugin>()
    const units = new Map<string, Labelled>()

    const resolveInput = (input: Node | readonly Cohort[]): UnitInput =>
      "plugin" in input
        ? { one: resolve(input) }
        : {
            cohorts: input.map(({ labels, members }) => ({
              labels,
              members: members.map(({ seed, node }) => ({
                seed,
                value: resolve(node, { labels, seed }),
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
        for (const [part, value] of Object.entries<number>({ ...estimate.cost })) {
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
        // The error may name the plugin already.
        for (const problem of found) problems.add(problem.startsWith(name) ? problem : `${name}: ${problem}`)
        return noEstimate
      }
    }

    /** The digests of the files and folders that a plugin reads with these options; unreadable ones are problems. */
    const digestsOfRead = (plugin: AnyPlugin, options: unknown): Readonly<Record<string, string>> => {
      const reads = plugin.reads as ((options: unknown) => readonly string[]) | undefined
      const digests: Record<string, string> = {}
      const reported = <A>(body: () => A): A | undefined => {
        try {
          return body()
        } catch (cause) {
          if (!(cause instanceof FileError)) throw cause
          problems.add(`${plugin.name}: ${cause.message}`)
          return undefined
        }
      }
      for (const path of reported(() => reads?.(options)) ?? []) {
        reported(() => {
          digests[path] = contentDigest(path, reading)
        })
      }
      return digests
    }

    /** What a plugin runs, with the components among its options; if that cannot be read, this is a problem. */
    const codeOf = ({ name, module }: AnyPlugin, options: unknown): Sources => {
      try {
        return sourcesOf([module, ...componentsIn(options).map((component) => component.module)])
      } catch (cause) {
        problems.add(
          `${name}: expected the source of a plugin and of its components at their module, import.meta.url; ${thrownAt(cause)}`,
        )
        return { sources: {}, packages: {} }
      }
    }

    const resolve = (node: Node, member?: Membership): Unit => {
      const known = byNode.get(node) ?? made(node)
      if (member !== undefined) units.get(known.key)!.memberships.push(member)
      return known
    }

    const made = (node: Node): Unit => {
      const { plugin, options } = node
      freeze(options)
      const expected = expectedName(plugin.name)
      if (expected !== undefined)
        problems.add(`the plugin ${shown(plugin.name)}: its name must be ${expected}`)
      const namesake = byName.get(plugin.name) ?? plugin
      byName.set(plugin.name, plugin)
      if (namesake !== plugin) {
        const [first, second] = [namesake, plugin].map(({ module }) => fileURLToPath(module))
        problems.add(
          `${plugin.name}: two plugins have this name, in ${first} and ${second}; rename one of them`,
        )
      }
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
        plugin: namedAs(plugin),
        ...codeOf(plugin, options),
        options,
        read,
        inputs: keysOfInputs(inputs),
        watched: watched?.key ?? null,
        backend: plugin.usesBackend ? computing : null,
      }
      const key = keyOf(parts)
      const {
        artifact: estimate,
        cost,
        replay,
      } = estimated(() => estimateOf(plugin, options, inputs, watched), plugin, watched)
      if (!units.has(key)) {
        const unit = {
          key,
          parts,
          plugin,
          options,
          inputs,
          watched,
          label: plugin.name,
          estimate,
          cost,
          replay,
        }
        units.set(key, { unit, node, given: node.given, memberships: [] })
      }
      const { unit } = units.get(key)!
      byNode.set(node, unit)
      return unit
    }

    for (const problem of targetNameProblems(Object.keys(targets))) problems.add(problem)
    const resolved = Object.fromEntries(
      Object.entries(targets).flatMap(([name, target]) => {
        const problem = targetProblem(target)
        if (problem === undefined) return [[name, unitsOf(resolveInput(target))] as const]
        problems.add(`the target ${name}: ${problem}`)
        return []
      }),
    )
    const all = [...units.values()]
    const labels = labelsOf(all)
    // Only the whole graph tells which label distinguishes a unit from the others.
    for (const { unit } of all) unit.label = labels.get(unit)!
    if (problems.size === 0)
      for (const problem of circular(all.map(({ unit }) => unit))) problems.add(problem)
    return problems.size > 0
      ? Effect.fail(new InvalidInput({ what: "the pipeline cannot be built", problems: [...problems] }))
      : Effect.succeed({
          units: all.map(({ unit }) => unit),
          targets: resolved,
          origins: new Map(all.map((labelled) => [labelled.unit, labelled])),
        })
  })

/** A name as a message shows it, whatever it has in it. */
const shown = (name: unknown): string => JSON.stringify(name) ?? String(name)

/** Names of targets are names of folders, which a file system may not tell apart by capitals. */
const targetNameProblems = (names: readonly string[]): readonly string[] => [
  ...names.flatMap((name) => {
    const expected = expectedName(name, takenInReport)
    return expected === undefined ? [] : [`the target ${shown(name)}: its name must be ${expected}`]
  }),
  ...[...Map.groupBy(names, (name) => name.toLowerCase()).values()]
    .filter(({ length }) => length > 1)
    .map((alike) => `the targets ${alike.join(" and ")}: their names must differ in more than capitals`),
]

/** Freezes options: a plugin that could change its own would have others in its manifest than in its key. */
const freeze = (options: unknown): void => {
  const data = isComponent(options) ? options.options : options
  const isPlain =
    Array.isArray(data) ||
    (typeof data === "object" && data !== null && Object.getPrototypeOf(data) === Object.prototype)
  if (!isPlain || Object.isFrozen(data)) return
  Object.freeze(data)
  for (const value of Object.values(data as object)) freeze(value)
}

/** A unit while its graph is built. */
interface Labelled extends LabelledUnit, Origin {
  readonly unit: Unit & { label: string }
  readonly memberships: Membership[]
}

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

const names = new WeakMap<AnyPlugin, KeyParts["plugin"]>()

/** What a key has of a plugin; the same object for all of its units. */
const namedAs = (plugin: AnyPlugin): KeyParts["plugin"] => {
  const known = names.get(plugin) ?? { name: plugin.name, version: plugin.version }
  names.set(plugin, known)
  return known
}

const missingInputs = ({ plugin, inputs }: Node): readonly string[] =>
  [
    ...Object.entries(plugin.takes).flatMap(([name, take]) => ("optional" in take ? [] : [name])),
    ...(plugin.watches === undefined ? [] : [plugin.watches]),
  ]
    .filter((name) => inputs[name] === undefined)
    .map((name) => `${name} must be given, but nothing is wired to it`)

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
export const thrownAt = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const at = (cause.stack ?? "").split("\n").find((line) => /^\s*at /.test(line))
  return `${cause.name}: ${cause.message}${at === undefined ? "" : ` (${at.trim()})`}`
}

const noEstimate: Estimated = {
  artifact: undefined,
  cost: cost({}),
}

type Estimated = ReturnType<AnyPlugin["estimate"]>

const estimateOf = (
  plugin: AnyPlugin,
  options: unknown,
  inputs: Readonly<Record<string, UnitInput>>,
  watched: Unit | null,
): Estimated => {
  // The wiring was checked, so these are estimates of the kinds that the plugin takes.
  return (plugin.estimate as (options: unknown, inputs: unknown) => ReturnType<typeof plugin.estimate>)(
    options,
    estimatesOfInputs(plugin, inputs, watched),
  )
}
