import type { type } from "arktype"
import type { Effect, Scope } from "effect"
import type { Progress } from "./progress.ts"

/** A prepared measurement: what a step runs, and how much work that is. */
export interface BenchJob {
  /** The size of the model, such as `mini`, for the report. */
  readonly model: string
  /** How many steps are timed, after one for warm-up. */
  readonly steps: number
  /** Tokens that a step processes, on average. None is padding. */
  readonly tokensPerStep: number
  /** Floating-point operations of the matrix products that a step requires, on average. */
  readonly flopsPerStep: number
  /** Other settings for the report: `{ batch: 16 }`. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
  /** Runs steps with the product's own code, calling `lap` before the first one and after each. */
  readonly run: (lap: Effect.Effect<void>) => Effect.Effect<void, { readonly message: string }, Progress>
}

/** Options of a bench, to be measured on every machine. */
export interface BenchSettings {
  /** As on the command line. */
  readonly options: Readonly<Record<string, string>>
  /** Whether it shows how the processor's speed grows with its threads, too. */
  readonly byThreads?: true
}

/** A measurement of this installation's speed, in `plugins/bench`; `bun run bench` runs it. */
export interface Bench<O extends type.Any = type.Any> {
  readonly kind: "bench"
  /** Lower case with hyphens, unique among the measurements: `bun run bench NAME`. */
  readonly name: string
  /** One line: what is measured. */
  readonly summary: string
  /** Its command-line options by name, each with one line of help. */
  readonly flags: Readonly<Record<string, string>>
  /** An arktype that decodes an object of strings with those names. */
  readonly options: O
  /** What `bench gpu-machine` measures of it; left out if nothing. */
  readonly suite?: readonly BenchSettings[]
  /** Does everything up to the first step, on the backend that is running. */
  readonly prepare: (
    options: O["infer"],
  ) => Effect.Effect<BenchJob, { readonly message: string }, Scope.Scope | Progress>
}

/** Declares a measurement, with the type of its options. */
export const bench = <O extends type.Any>(definition: Omit<Bench<O>, "kind">): Bench<O> => ({
  ...definition,
  kind: "bench",
})
