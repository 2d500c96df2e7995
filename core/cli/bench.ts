/** `bun run bench JOB`: measures how fast a job of the framework runs here, with the framework's own code. */
import { type } from "arktype"
import { Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { Bench, BenchJob } from "../api/bench.ts"
import { Progress } from "../api/progress.ts"
import { backendNamed, benches } from "../engine/discover.ts"
import { InvalidInput } from "../io/decode.ts"
import { optionProblems } from "../io/options.ts"
import { type Backend, type ComputeSettings, type DeviceCounts, startBackend } from "../tensor/backend.ts"
import { computeFlags, computeSettingsOf, textFlag } from "./compute-flags.ts"
import { gpuMachineCommand } from "./gpu-machine.ts"

const silent = Layer.succeed(Progress, Progress.of({ report: () => Effect.void }))

/** The command `bench`, with a subcommand for each file of `plugins/bench`, and one for all of them on a machine with a GPU. */
export const benchCommand = Effect.map(Effect.suspend(benches), (found) =>
  Command.make("bench").pipe(
    Command.withDescription("Measure how fast this machine runs one of the framework's jobs"),
    Command.withSubcommands([...found.map(commandOf), gpuMachineCommand]),
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
        Effect.flatMap(bench.prepare(decoded), (job) => measure(job, backend)),
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
  /**
   * Seconds of each step except the first, which warms up; ascending. Of a device that runs behind the process only their
   * mean: a step ends there at some time after it was begun here.
   */
  readonly seconds: readonly number[]
  readonly steps: number
  /** The rate of matrix products alone, GFLOP/s. */
  readonly peak: number
  /** What a step asked of the device, and how much of its memory was reserved at most. */
  readonly device: DeviceCounts | undefined
}

const measure = Effect.fnUntraced(function* (job: BenchJob, { counts }: Backend) {
  const laps: number[] = []
  const asked: DeviceCounts[] = []
  const steps = job.steps
  yield* job.run(
    Effect.gen(function* () {
      // Laps are before the first step and after each.
      const done = laps.length
      if (counts !== undefined && (done === 1 || done === steps + 1)) {
        asked.push(yield* counts)
        yield* Effect.promise(deviceIsDone)
      }
      laps.push(performance.now())
    }),
  )
  const seconds =
    counts === undefined
      ? laps.slice(2).map((lap, i) => (lap - laps[i + 1]!) / 1000)
      : [(laps.at(-1)! - laps[1]!) / 1000 / steps]
  const [before, after] = asked
  const device = before && after && { queued: (after.queued - before.queued) / steps, memory: after.memory }
  const peak = yield* Effect.promise(() => productPeak(counts !== undefined))
  return { job, seconds: seconds.sort((a, b) => a - b), steps, peak, device } satisfies Measured
})

/** Waits for all that a device was asked: what is read is computed last. */
const deviceIsDone = async (): Promise<void> => {
  const tf = await import("@tensorflow/tfjs-core")
  tf.tidy(() => tf.add(tf.ones([4]), tf.ones([4])).dataSync())
}

/** The peak is the best of this many measurements of products of square matrices. */
const peakRepeats = 5
/** Their rows on a processor; on a device at most as many, and as many products in a row. */
const peakSize = { processor: 2048, device: 8192, least: 256 }
const productsInRow = 8
/** Long enough to be measured: a device begins late, ms. */
const longEnough = 20

/** What the active backend reaches in large products, GFLOP/s. */
const productPeak = async (isDevice: boolean): Promise<number> => {
  if (!isDevice) return productRate(false, peakSize.processor, peakRepeats, 1)
  let size = peakSize.least
  // A slow device has a lower peak, which smaller products show.
  while (size < peakSize.device) {
    const rate = await productRate(true, size, 1, productsInRow)
    if ((productsInRow * 2 * size ** 3) / (rate * 1e6) > longEnough) break
    size *= 2
  }
  return productRate(true, size, peakRepeats, productsInRow)
}

const productRate = async (
  isDevice: boolean,
  size: number,
  repeats: number,
  inRow: number,
): Promise<number> => {
  const tf = await import("@tensorflow/tfjs-core")
  /** Numbers from −1 to 1. */
  const matrix = (stride: number) => {
    const values = new Float32Array(size ** 2)
    for (let i = 0; i < values.length; i++) values[i] = ((i * stride) % 2039) / 1019.5 - 1
    return tf.tensor2d(values, [size, size])
  }
  const factors = [matrix(7), matrix(11)] as const
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const product = tf.matMul(...factors)
      // A backend may compute lazily, only what is read.
      if (!isDevice) tf.tidy(() => product.flatten().slice(0, 1).dataSync())
      product.dispose()
    }
    if (isDevice) await deviceIsDone()
  }
  await run(1)
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < repeats; repeat++) {
    const began = performance.now()
    await run(inRow)
    best = Math.min(best, performance.now() - began)
  }
  tf.dispose([...factors])
  return (inRow * 2 * size ** 3) / (best * 1e6)
}

const rounded = (value: number, digits: number): number => Number(value.toPrecision(digits))

const reportOf = (
  { job, seconds, steps, peak, device }: Measured,
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
    steps,
    real_tokens_per_step: rounded(job.tokensPerStep, 5),
    gflops: rounded(gflops, 4),
    product_peak_gflops: rounded(peak, 4),
    of_peak: rounded(gflops / peak, 3),
    // `maxRSS` is in kibibytes.
    ...(device === undefined
      ? {}
      : { queued_per_step: Math.round(device.queued), device_mib: Math.round(device.memory / 2 ** 20) }),
    peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}
