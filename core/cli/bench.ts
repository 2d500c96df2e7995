/** `bun run bench JOB`: measures how fast a job of the framework runs here, with the framework's own code. */
import { type } from "arktype"
import { Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { Bench, BenchJob } from "../api/bench.ts"
import { Progress } from "../api/progress.ts"
import { backendNamed, benches } from "../engine/discover.ts"
import { InvalidInput } from "../io/decode.ts"
import { optionProblems } from "../io/options.ts"
import { type ComputeSettings, startBackend } from "../tensor/backend.ts"
import { computeFlags, computeSettingsOf, textFlag } from "./compute-flags.ts"

const silent = Layer.succeed(Progress, Progress.of({ report: () => Effect.void }))

/** The command `bench`, with a subcommand for each file of `plugins/bench`. */
export const benchCommand = Effect.map(Effect.suspend(benches), (found) =>
  Command.make("bench").pipe(
    Command.withDescription("Measure how fast this machine runs one of the framework's jobs"),
    Command.withSubcommands(found.map(commandOf)),
  ),
)

/** The command `bench` without its subcommands, for the list of commands. */
export const benchOutline = Effect.succeed(
  Command.make("bench").pipe(
    Command.withDescription("Measure how fast this machine runs one of the framework's jobs"),
  ),
)

const commandOf = (bench: Bench) =>
  Command.make(
    bench.name,
    {
      ...computeFlags,
      json: Flag.Boolean("json").pipe(
        Flag.withDescription("Print the result as one line of JSON"),
        Flag.withDefault(false),
      ),
      options: Object.fromEntries(
        Object.entries(bench.flags).map(([name, description]) => [
          name,
          textFlag(name, "VALUE").pipe(Flag.withDescription(description), Flag.optional),
        ]),
      ),
    },
    Effect.fn("bench")(function* ({ json, options, ...wanted }) {
      const given = Object.entries(options).flatMap(([name, value]) =>
        Option.isSome(value) ? [[name, value.value] as const] : [],
      )
      const decoded: unknown = bench.options(Object.fromEntries(given))
      if (decoded instanceof type.errors) {
        const problems = optionProblems(bench.options, decoded).map((problem) => `--${problem}`)
        return yield* new InvalidInput({ what: `bench ${bench.name}`, problems })
      }
      const backend = yield* backendNamed(wanted.backend)
      const computing = computeSettingsOf(wanted)(1)
      yield* startBackend(backend, computing)
      const measured = yield* Effect.scoped(
        Effect.flatMap(bench.prepare(decoded), (job) => measure(job)),
      ).pipe(Effect.provide(silent))
      const report = { job: bench.name, ...reportOf(measured, backend.name, computing) }
      if (json) process.stdout.write(`${JSON.stringify(report)}\n`)
      else
        for (const [name, value] of Object.entries(report))
          process.stdout.write(`${name.padEnd(22)} ${value}\n`)
    }),
  ).pipe(Command.withDescription(bench.summary))

interface Measured {
  readonly job: BenchJob
  /** Seconds of each step except the first, which warms up; ascending. */
  readonly seconds: readonly number[]
  /** The rate of matrix products alone, GFLOP/s. */
  readonly peak: number
}

const measure = Effect.fnUntraced(function* (job: BenchJob) {
  const peak = yield* Effect.promise(productPeak)
  const laps: number[] = []
  yield* job.run(Effect.sync(() => laps.push(performance.now())))
  const seconds = laps.slice(2).map((lap, i) => (lap - laps[i + 1]!) / 1000)
  return { job, seconds: seconds.sort((a, b) => a - b), peak } satisfies Measured
})

/** The peak is the best of this many products of square matrices with this many rows. */
const peakSize = 2048
const peakRepeats = 5

/** What the active backend reaches in one large product, GFLOP/s. */
const productPeak = async (): Promise<number> => {
  const tf = await import("@tensorflow/tfjs-core")
  const factors = tf.tidy(() => [
    tf.reshape(tf.cos(tf.range(0, peakSize ** 2)), [peakSize, peakSize]),
    tf.reshape(tf.sin(tf.range(0, peakSize ** 2)), [peakSize, peakSize]),
  ])
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < peakRepeats; repeat++) {
    const began = performance.now()
    const product = tf.matMul(factors[0]!, factors[1]!)
    // A backend may compute lazily, only what is read.
    tf.tidy(() => product.flatten().slice(0, 1).dataSync())
    best = Math.min(best, performance.now() - began)
    product.dispose()
  }
  tf.dispose(factors)
  return (2 * peakSize ** 3) / (best * 1e6)
}

const rounded = (value: number, digits: number): number => Number(value.toPrecision(digits))

const reportOf = (
  { job, seconds, peak }: Measured,
  backend: string,
  { threads, precision }: ComputeSettings,
) => {
  const half = Math.floor(seconds.length / 2)
  const median = seconds.length % 2 === 1 ? seconds[half]! : (seconds[half - 1]! + seconds[half]!) / 2
  const gflops = job.flopsPerStep / (median * 1e9)
  return {
    model: job.model,
    backend,
    precision,
    threads,
    ...job.facts,
    median_s: rounded(median, 4),
    min_s: rounded(seconds[0]!, 4),
    steps: seconds.length,
    real_tokens_per_step: rounded(job.tokensPerStep, 5),
    gflops: rounded(gflops, 4),
    product_peak_gflops: rounded(peak, 4),
    of_peak: rounded(gflops / peak, 3),
    // `maxRSS` is in kibibytes.
    peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}
