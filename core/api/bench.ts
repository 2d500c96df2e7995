import type { type } from "arktype"
import type { Effect, Scope } from "effect"
import type { Progress } from "./progress.ts"

/** What a prepared measurement does and how much of it. */
export interface BenchJob {
  /** Of what size, for the report. */
  readonly model: string
  /** Tokens that a step sees, on average: of the text itself, since nothing is padded. */
  readonly tokensPerStep: number
  /** Floating-point operations of the products that a step cannot do without, on average. */
  readonly flopsPerStep: number
  /** More of what is measured: `{ batch: 16 }`. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
  /** Does steps by the product's own code, with `lap` before the first one and after each. */
  readonly run: (lap: Effect.Effect<void>) => Effect.Effect<void, { readonly message: string }, Progress>
}

/** A measurement of this installation's speed, in `plugins/bench`; `bun run bench` runs it. */
export interface Bench<O extends type.Any = type.Any> {
  readonly kind: "bench"
  /** Lower case with hyphens, unique among the measurements: `bun run bench NAME`. */
  readonly name: string
  /** One line: what is measured. */
  readonly summary: string
  /** Its options on the command line, by name, and a line about each. */
  readonly flags: Readonly<Record<string, string>>
  /** An arktype of an object of texts by those names. */
  readonly options: O
  /** Everything up to the first step, on the backend that is running. */
  readonly prepare: (
    options: O["infer"],
  ) => Effect.Effect<BenchJob, { readonly message: string }, Scope.Scope | Progress>
}

/** Declares a measurement, with the type of its options. */
export const bench = <O extends type.Any>(definition: Omit<Bench<O>, "kind">): Bench<O> => ({
  ...definition,
  kind: "bench",
})
