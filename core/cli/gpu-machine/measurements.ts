/** What is measured on a machine with a GPU: each by a command line, in a process of its own. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import type { Bench } from "../../api/bench.ts"
import type { Precision } from "../../api/precision.ts"
import { elapsedMillis } from "../../io/clock.ts"
import { parseJson } from "../../io/json.ts"
import { packageFolder } from "../../io/project.ts"
import type { Backend } from "../../tensor/backend.ts"

/** A command line that measures something. */
export interface Measurement {
  /** For people. */
  readonly title: string
  readonly kind: "doctor" | "bench" | "tests"
  /** Of this program or, for tests, of the runtime. */
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** What became of one. */
export interface Measured extends Measurement {
  readonly seconds: number
  /** What it printed as JSON, or the summary of the tests. */
  readonly found: unknown
  /** Why there is nothing, or what is wrong; null if all is well. */
  readonly problem: string | null
}

/** What is to be measured. */
export interface Wanted {
  readonly backend: Backend
  /** The backend that computes on this machine's processor, to be measured by threads; undefined if there is none. */
  readonly processor: Backend | undefined
  readonly precisions: readonly Precision[]
  readonly benches: readonly Bench[]
  /** Folders of reference figures. */
  readonly fixtures: readonly string[]
  /** Instead of the models and the steps of the benches themselves. */
  readonly model: string | undefined
  readonly steps: string | undefined
}

/** What is known to work comes first, and what shows most while there is time. */
export const measurements = (wanted: Wanted): readonly Measurement[] => [
  ...wanted.precisions.map((precision) => doctorIn(wanted, precision)),
  ...wanted.precisions.toReversed().flatMap((precision) => benchesIn(wanted, precision)),
  ...testsOfDevices(),
  ...benchesByThreads(wanted),
]

const doctorIn = ({ backend, fixtures }: Wanted, precision: Precision): Measurement => ({
  title: `doctor ${precision}`,
  kind: "doctor",
  args: [
    ...["doctor", "--backend", backend.name, "--precision", precision, "--json"],
    ...fixtures.flatMap((folder) => ["--fixture", folder]),
  ],
})

/** A bench with the options of its suite; each once. */
const settingsOf = ({ benches, model, steps }: Wanted) => {
  const all = benches.flatMap(({ name, suite = [] }) =>
    suite.map(({ options, byThreads = false }) => {
      const given = {
        ...options,
        ...(model === undefined ? {} : { model }),
        ...(steps === undefined ? {} : { steps }),
      }
      const args = Object.entries(given).flatMap(([key, value]) => [`--${key}`, value])
      return { title: [name, ...Object.values(given)].join(" "), args: [name, ...args], byThreads }
    }),
  )
  return [...new Map(all.toReversed().map((each) => [each.args.join(" "), each])).values()].toReversed()
}

const benchesIn = (wanted: Wanted, precision: Precision): readonly Measurement[] =>
  settingsOf(wanted).map(({ title, args }) => ({
    title: `${title} ${precision}`,
    kind: "bench",
    args: ["bench", ...args, "--backend", wanted.backend.name, "--precision", precision, "--json"],
  }))

const benchesByThreads = (wanted: Wanted): readonly Measurement[] => {
  const { processor } = wanted
  if (processor === undefined) return []
  const counts = [1, 2, 4, 8, 16].filter((count) => count <= availableParallelism())
  return settingsOf(wanted)
    .filter(({ byThreads }) => byThreads)
    .flatMap(({ title, args }) =>
      counts.map((count) => ({
        title: `${title} ${processor.name}, threads: ${count}`,
        kind: "bench",
        args: ["bench", ...args, "--backend", processor.name, "--threads", String(count), "--json"],
      })),
    )
}

/** Set for the tests of devices where they shall compute on the GPU that is there. */
export const testVariable = "KASOSEI_TEST_GPU"

/** Where the tests of devices are, in a checkout and in a pack. */
export const deviceTests = "test/plugins/backend/device"

/** The tests of devices, where they are: their kernels against other arithmetic, and against the processor's. */
const testsOfDevices = (): readonly Measurement[] =>
  "Bun" in globalThis && existsSync(join(packageFolder, deviceTests))
    ? [
        {
          title: "tests of kernels",
          kind: "tests",
          args: ["test", "--timeout", "60000", join(packageFolder, deviceTests)],
          environment: { [testVariable]: "1" },
        },
      ]
    : []

const main = fileURLToPath(
  new URL(`../main${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url),
)
const runtime = "Deno" in globalThis ? ["run", "--allow-all"] : []

/** Carries a measurement out. What it tells people meanwhile goes to standard error. */
export const carryOut = Effect.fnUntraced(function* (measurement: Measurement, longest: number) {
  const began = yield* elapsedMillis
  const { kind, args, environment } = measurement
  const { out, told, problem } = yield* run(
    kind === "tests" ? args : [...runtime, main, ...args],
    environment ?? {},
    longest,
  )
  const seconds = Number((((yield* elapsedMillis) - began) / 1000).toFixed(1))
  const found = kind === "tests" ? summaryOf(told) : jsonOf(out)
  return { ...measurement, seconds, found: found ?? null, problem } satisfies Measured
})

/** Of what is printed at most so much is kept, bytes. */
const longestOutput = 64 * 2 ** 20

const run = (args: readonly string[], environment: Readonly<Record<string, string>>, longest: number) =>
  Effect.callback<{ readonly out: string; readonly told: string; readonly problem: string | null }>(
    (resume) => {
      const options = {
        env: { ...process.env, ...environment },
        cwd: packageFolder,
        timeout: Math.max(1, Math.floor(longest)),
        killSignal: "SIGKILL",
        maxBuffer: longestOutput,
      } as const
      const child = execFile(process.execPath, args, options, (error, out, told) => {
        const last = told.trim().split("\n").slice(-3).join("; ")
        const problem = error === null ? null : error.killed ? "it took too long" : last || error.message
        resume(Effect.succeed({ out, told, problem }))
      })
      return Effect.sync(() => child.kill("SIGKILL"))
    },
  )

const jsonOf = (text: string): unknown => {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

/** How many tests passed, failed and were skipped, and the titles of those that failed. */
const summaryOf = (text: string) => {
  const count = (word: string) => Number(new RegExp(`^\\s*(\\d+) ${word}`, "m").exec(text)?.[1] ?? 0)
  const failed = text.split("\n").filter((line) => line.startsWith("(fail)"))
  return { passed: count("pass"), failed: count("fail"), skipped: count("skip"), failures: failed }
}
