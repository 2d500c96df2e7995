import type { type } from "arktype"
import { InvalidInput } from "../io/decode.ts"
import type { Cohort, Labels, Node } from "./plugin.ts"

/** What a pipeline makes: named artifacts, or cohorts of them. */
export type Targets = Readonly<Record<string, Node | readonly Cohort[]>>

/** A pipeline file's default export: parameters, and the graph that is built from them. */
export interface Pipeline<P extends type.Any = type.Any> {
  /** The folder name of its results. */
  readonly name: string
  /** One line for help and errors. */
  readonly summary: string
  /** An arktype of an object with defaults that rejects unknown keys; `--set name=value` fills it. */
  readonly parameters: P
  /** Builds the graph. Pure and quick: nothing is read, nothing runs. */
  readonly build: (parameters: P["infer"]) => Targets
}

/**
 * Declares a pipeline.
 *
 * ```ts
 * export default pipeline({
 *   name: "one-run", summary: "…",
 *   parameters: type({ "+": "reject", seeds: type("number.integer[]").default(() => [1, 2]) }),
 *   build: ({ seeds }) => ({ runs: [cohort({ arm: "vanilla" }, seeds, (seed) => classification({ … }))] }),
 * })
 * ```
 */
export const pipeline = <P extends type.Any>(definition: Pipeline<P>): Pipeline<P> => definition

/**
 * The same unit of work over several seeds.
 *
 * @throws InvalidInput where there is no seed, or one stands twice
 */
export const cohort = <N extends Node>(
  labels: Labels,
  seeds: readonly number[],
  make: (seed: number) => N,
): Cohort<N> => {
  const twice = seeds.filter((seed, i) => seeds.indexOf(seed) !== i)
  if (seeds.length === 0 || twice.length > 0) {
    const found = seeds.length === 0 ? "there is none" : `${[...new Set(twice)].join(", ")} stands twice`
    throw new InvalidInput({
      what: `the seeds of the cohort ${describeLabels(labels)}`,
      problems: [`${found}; a list of different seeds was expected, such as seeds=1..5`],
    })
  }
  return { labels, members: seeds.map((seed) => ({ seed, node: make(seed) })) }
}

/** Another unit for every member of a cohort: a probe for each run. The labels stay. */
export const mapCohort = <N extends Node, M extends Node>(
  from: Cohort<N>,
  make: (node: N, seed: number) => M,
): Cohort<M> => ({
  labels: from.labels,
  members: from.members.map(({ seed, node }) => ({ seed, node: make(node, seed) })),
})

type Axes = Readonly<Record<string, readonly unknown[]>>
type Point<A extends Axes> = { readonly [N in keyof A]: A[N][number] }

/**
 * `make` for every combination of the axes' values, the last axis running fastest.
 *
 * @throws InvalidInput where an axis has no value, or has one twice
 */
export const grid = <const A extends Axes, R>(axes: A, make: (point: Point<A>) => R): readonly R[] => {
  const names = Object.keys(axes)
  const problems = names.flatMap((name) => {
    const values = axes[name]!
    const twice = new Set(values.filter((value, i) => values.indexOf(value) !== i))
    return [
      ...(values.length === 0 ? [`${name} has no value: at least one was expected`] : []),
      // Its runs would count twice wherever they are counted.
      ...[...twice].map(
        (value) =>
          `${name} has ${typeof value === "number" ? shortNumber(value) : String(value)} twice: different values were expected`,
      ),
    ]
  })
  if (problems.length > 0) throw new InvalidInput({ what: `the grid over ${names.join(" × ")}`, problems })
  const points = names.reduce<readonly Readonly<Record<string, unknown>>[]>(
    (rows, name) => rows.flatMap((row) => axes[name]!.map((value) => ({ ...row, [name]: value }))),
    [{}],
  )
  return points.map((point) => make(point as Point<A>))
}

/** `0.00001` as `1e-5`. */
export const shortNumber = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value)

export const describeLabels = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${typeof value === "number" ? shortNumber(value) : value}`)
    .join(" ")
