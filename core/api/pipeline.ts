import type { type } from "arktype"
import { InvalidInput } from "../io/decode.ts"
import { plural, shortNumber } from "../io/format.ts"
import { repeating } from "./plan-size.ts"
import type { Cohort, Labels, Node } from "./plugin.ts"

/** What a pipeline makes: artifacts, or cohorts of them, by names that their folders in a report can have. */
export type Targets = Readonly<Record<string, Node | readonly Cohort[]>>

/** A pipeline file's default export: parameters, and the graph that is built from them. */
export interface Pipeline<P extends type.Any = type.Any> {
  /** Also the name of the folder of its reports in `--out`: letters and digits, with hyphens and dots inside. */
  readonly name: string
  /** One line, for help and errors. */
  readonly summary: string
  /**
   * An arktype of an object that rejects unknown keys. `--set name=value` sets one of its values; parameters with a
   * default may be omitted.
   */
  readonly parameters: P
  /** Builds the graph. Pure and fast: it reads no file and runs nothing. */
  readonly build: (parameters: P["infer"]) => Targets
}

/**
 * Declares a pipeline: the default export of a file in `pipelines/`.
 *
 * ```ts
 * export default pipeline({
 *   name: "one-run", summary: "…",
 *   parameters: type({ "+": "reject", seeds: type("number.integer[]").default(() => [1, 2]) }),
 *   build: ({ seeds }) => ({ runs: [cohort({ arm: "vanilla" }, seeds, (seed) => classification({ … }))] }),
 * })
 * ```
 *
 * `bun run pipeline FILE` runs what `build` returns, and everything that it depends on.
 */
export const pipeline = <P extends type.Any>(definition: Pipeline<P>): Pipeline<P> => definition

/**
 * The same unit of work for each of several seeds.
 *
 * @param make gives the unit of one seed
 * @throws InvalidInput if there is no seed, or a seed is given twice, or there are more than a plan may have units
 */
export const cohort = <N extends Node>(
  labels: Labels,
  seeds: readonly number[],
  make: (seed: number) => N,
): Cohort<N> => {
  const twice = repeatedIn(seeds)
  if (seeds.length === 0 || twice.length > 0) {
    const found = seeds.length === 0 ? "none" : `${shortList(twice)} twice`
    throw new InvalidInput({
      what: `the seeds of the cohort ${describeLabels(labels)}`,
      problems: [`expected different seeds, such as seeds=1..5, found ${found}`],
    })
  }
  return repeating(seeds.length, `the seeds of the cohort ${describeLabels(labels)}`, () => ({
    labels,
    members: seeds.map((seed) => ({ seed, node: make(seed) })),
  }))
}

/** Those that are not there for the first time, each once. */
const repeatedIn = <T>(values: readonly T[]): readonly T[] => {
  const seen = new Set<T>()
  const repeated = new Set<T>()
  for (const value of values) {
    if (seen.has(value)) repeated.add(value)
    seen.add(value)
  }
  return [...repeated]
}

/** Longer lists are cut off in messages. */
const longestList = 8

const shortList = (values: readonly unknown[]): string =>
  [...values.slice(0, longestList), ...(values.length > longestList ? ["…"] : [])].join(", ")

/**
 * A unit made from each member of a cohort, such as a probe for each run. Labels and seeds stay the same.
 *
 * @param labels more of them, for what is to be compared with the cohort that it is made from, such as branches of runs
 */
export const mapCohort = <N extends Node, M extends Node>(
  from: Cohort<N>,
  make: (node: N, seed: number) => M,
  labels: Labels = {},
): Cohort<M> => ({
  labels: { ...from.labels, ...labels },
  members: from.members.map(({ seed, node }) => ({ seed, node: make(node, seed) })),
})

type Axes = Readonly<Record<string, readonly unknown[]>>
type Point<A extends Axes> = { readonly [N in keyof A]: A[N][number] }

/**
 * Calls `make` with every combination of the axes' values; the last axis varies fastest.
 *
 * @throws InvalidInput if an axis has no value, or the same value twice, or there are more than a plan may have units
 */
export const grid = <const A extends Axes, R>(axes: A, make: (point: Point<A>) => R): readonly R[] => {
  const names = Object.keys(axes)
  const problems = names.flatMap((name) => {
    const values = axes[name]!
    return [
      ...(values.length === 0 ? [`${name}: expected at least one value, found none`] : []),
      // The runs of a repeated value would be counted twice.
      ...repeatedIn(values).map(
        (value) =>
          `${name}: expected different values, found ${typeof value === "number" ? shortNumber(value) : String(value)} twice`,
      ),
    ]
  })
  if (problems.length > 0) throw new InvalidInput({ what: `the grid over ${names.join(" × ")}`, problems })
  const count = names.reduce((product, name) => product * axes[name]!.length, 1)
  const sizes = names.map((name) => `${name} (${plural(axes[name]!.length, "value")})`)
  return repeating(count, `the grid over ${sizes.join(" × ")}`, () =>
    Array.from({ length: count }, (_, i) => {
      const point: Record<string, unknown> = {}
      let below = count
      for (const name of names) {
        const values = axes[name]!
        below /= values.length
        point[name] = values[Math.floor(i / below) % values.length]
      }
      return make(point as Point<A>)
    }),
  )
}

/** Labels on one line: `arm=vanilla lr=1e-5`. */
export const describeLabels = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${typeof value === "number" ? shortNumber(value) : value}`)
    .join(" ")
