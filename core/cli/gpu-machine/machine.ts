/** The machine that is measured: what it has, and what its driver says of its GPUs. */
import { execFile } from "node:child_process"
import { availableParallelism, cpus, release, totalmem } from "node:os"
import { Effect } from "effect"
import { formatBytes } from "../../io/format.ts"

/** What `nvidia-smi` is asked. */
const asked = [
  "name",
  "driver_version",
  "memory.total",
  "clocks.max.sm",
  "clocks.max.mem",
  "clocks.sm",
  "clocks.mem",
  "power.limit",
  "temperature.gpu",
  "utilization.gpu",
] as const

/** How long `nvidia-smi` may take, ms. */
const longestQuery = 20_000

export interface Machine {
  readonly processor: string
  readonly cores: number
  /** bytes */
  readonly memory: number
  readonly system: string
  /** For each GPU what `nvidia-smi` says; none if it is not there. */
  readonly gpus: readonly Readonly<Record<string, string>>[]
}

export const thisMachine: Effect.Effect<Machine> = Effect.map(
  Effect.callback<string>((resume) => {
    const query = [`--query-gpu=${asked.join(",")}`, "--format=csv,noheader"]
    const child = execFile("nvidia-smi", query, { timeout: longestQuery }, (error, out) =>
      resume(Effect.succeed(error === null ? out : "")),
    )
    return Effect.sync(() => child.kill())
  }),
  (table) => ({
    processor: cpus()[0]?.model ?? process.arch,
    cores: availableParallelism(),
    memory: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    gpus: gpusIn(table),
  }),
)

/** @param table what `nvidia-smi` prints: a line for each GPU, values separated by commas */
export const gpusIn = (table: string): Machine["gpus"] =>
  table
    .split("\n")
    .map((line) => line.split(",").map((value) => value.trim()))
    .filter((values) => values.length === asked.length)
    .map((values) => Object.fromEntries(asked.map((name, i) => [name, values[i]!])))

export const machineLines = ({ processor, cores, memory, system, gpus }: Machine): readonly string[] => [
  `${processor}, ${cores} cores, ${formatBytes(memory)}, ${system}`,
  ...gpus.map((gpu) =>
    Object.entries(gpu)
      .map(([name, value]) => (name === "name" ? value : `${name} ${value}`))
      .join(", "),
  ),
]
