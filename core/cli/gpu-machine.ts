/** `bun run bench gpu-machine`: doctor, the tests of kernels and all benches on this machine, or packed for another one. */
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { precisions } from "../api/precision.ts"
import { backendNamed, backends, benches } from "../engine/discover.ts"
import { writeJson } from "../io/files.ts"
import { formatBytes } from "../io/format.ts"
import { packageFolder, version } from "../io/project.ts"
import { durationFlag, textFlag } from "./compute-flags.ts"
import { exitWith } from "./exit.ts"
import { machineLines, thisMachine } from "./gpu-machine/machine.ts"
import { carryOut, type Measured, measurements } from "./gpu-machine/measurements.ts"
import { pack } from "./gpu-machine/pack.ts"
import { tableLines } from "./gpu-machine/table.ts"

/** Reference figures of the checkout, small. */
const fixtures = ["bert-2x32", "layouts/distilbert-2x32", "layouts/electra-2x32", "layouts/roberta-2x32"]
  .map((name) => join("test/fixtures", name))
  .filter((path) => existsSync(join(packageFolder, path)))

const usualLimit = Duration.hours(1)
/** A single measurement takes at most so long, ms: one that hangs must leave time for the others. */
const longest = 15 * 60_000

export const gpuMachineCommand = Command.make(
  "gpu-machine",
  {
    pack: textFlag("pack", "FILE").pipe(
      Flag.withDescription(
        "Measure nothing here, but write a file that does on another machine, which needs only a driver: sh FILE, with these options",
      ),
      Flag.optional,
    ),
    backend: textFlag("backend", "NAME").pipe(
      Flag.withDescription("The backend to measure (default: cuda)"),
      Flag.withDefault("cuda"),
    ),
    processor: textFlag("processor", "NAME").pipe(
      Flag.withDescription("The backend to measure by 1 to 16 threads, or none (default: native)"),
      Flag.withDefault("native"),
    ),
    precision: Flag.Literals("precision", precisions).pipe(
      Flag.withMetavar(precisions.join("|")),
      Flag.withDescription("Measure in this precision; may be repeated (default: in all of the backend)"),
      Flag.atLeast(0),
    ),
    model: textFlag("model", "SIZE").pipe(
      Flag.withDescription("Measure models of this size instead of base and large"),
      Flag.optional,
    ),
    steps: textFlag("steps", "N").pipe(
      Flag.withDescription("Time so many steps in each bench, after one for warm-up"),
      Flag.optional,
    ),
    timeLimit: durationFlag("time-limit", "Measure for so long at most; the rest is left out (default: 1h)"),
    json: textFlag("json", "FILE").pipe(
      Flag.withDescription("Where all figures are written (default: gpu-machine.json)"),
      Flag.withDefault("gpu-machine.json"),
    ),
  },
  Effect.fn("gpuMachine")(function* ({ pack: packed, backend, processor, precision, ...wanted }) {
    if (Option.isSome(packed)) {
      const path = resolve(packed.value)
      const bytes = yield* Effect.scoped(pack(path, yield* backends(), fixtures))
      process.stdout.write(`${path}: ${formatBytes(bytes)}; on another machine: sh FILE [options]\n`)
      return
    }
    const measuredBackend = yield* backendNamed(backend)
    const all = measurements({
      backend: measuredBackend,
      processor: processor === "none" ? undefined : yield* backendNamed(processor),
      precisions: precision.length > 0 ? precision : measuredBackend.precisions,
      benches: yield* benches(),
      fixtures: fixtures.map((path) => join(packageFolder, path)),
      model: Option.getOrUndefined(wanted.model),
      steps: Option.getOrUndefined(wanted.steps),
    })
    const machine = yield* thisMachine
    const path = resolve(wanted.json)
    const end = performance.now() + Duration.toMillis(Option.getOrElse(wanted.timeLimit, () => usualLimit))
    const measured: Measured[] = []
    for (const [index, measurement] of all.entries()) {
      const left = end - performance.now()
      process.stderr.write(`${index + 1}/${all.length} ${measurement.title} …\n`)
      measured.push(
        left > 0
          ? yield* carryOut(measurement, Math.min(left, longest))
          : { ...measurement, seconds: 0, found: null, problem: "there was no time left" },
      )
      // Whatever happens next, what was measured is kept.
      yield* writeJson(path, { version, machine, measured })
    }
    const lines = [...machineLines(machine), "", ...tableLines(measured), "", `all figures: ${path}`]
    process.stdout.write(`${lines.join("\n")}\n`)
    const wrong = measured.filter(({ problem }) => problem !== null)
    if (wrong.length > 0)
      return yield* exitWith(1, `without figures, or wrong: ${wrong.length} of ${all.length}`)
  }),
).pipe(
  Command.withDescription(
    "Measure a machine with a GPU: doctor, the tests of kernels, and all benches in all precisions",
  ),
)
