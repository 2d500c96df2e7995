/** A unit of work: a plugin applied to options and inputs. */
import type { Cost } from "../api/cost.ts"
import type { AnyPlugin, Labels } from "../api/plugin.ts"
import type { Replay } from "../api/watch.ts"
import type { KeyParts } from "./key.ts"

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
  /** What it costs to run it again for probes alone; undefined if its plugin does not say. */
  readonly replay: Replay | undefined
}

/** All units of one input. */
export const unitsOf = (input: UnitInput): readonly Unit[] =>
  "one" in input ? [input.one] : input.cohorts.flatMap(({ members }) => members.map(({ value }) => value))

/** All units whose artifacts a unit takes; not the run that a probe watches. */
export const inputsOf = ({ inputs }: Unit): readonly Unit[] => {
  // Not by `flatMap`, since it is asked for every unit of a plan, and most have an input or two.
  const all: Unit[] = []
  for (const name in inputs) {
    const input = inputs[name]!
    if ("one" in input) all.push(input.one)
    else for (const { members } of input.cohorts) for (const { value } of members) all.push(value)
  }
  return all
}

/** The units that a unit takes by themselves, rather than as members of cohorts: it cannot be made without any of them. */
export const singleInputsOf = ({ inputs }: Unit): readonly Unit[] =>
  Object.values(inputs).flatMap((input) => ("one" in input ? [input.one] : []))

/** What a unit needs, by input; the run that a probe watches is one of them. */
export const neededBy = ({ inputs, plugin, watched }: Unit): Readonly<Record<string, readonly Unit[]>> => ({
  ...Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, unitsOf(input)])),
  ...(watched === null ? {} : { [plugin.watches!]: [watched] }),
})

/** What is known of the inputs of a unit before they are made, as its plugin's `estimate` takes it. */
export const estimatesOfInputs = (
  plugin: AnyPlugin,
  inputs: Unit["inputs"],
  watched: Unit | null,
): Readonly<Record<string, unknown>> => {
  const estimates: Record<string, unknown> = {}
  for (const [name, input] of Object.entries(inputs)) {
    estimates[name] =
      "one" in input
        ? input.one.estimate
        : input.cohorts.map(({ labels, members }) => ({
            labels,
            members: members.map(({ seed, value }) => ({ seed, estimate: value.estimate })),
          }))
  }
  if (plugin.watches !== undefined && watched !== null) estimates[plugin.watches] = watched.estimate
  return estimates
}
