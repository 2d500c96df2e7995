/** `bun run doctor`: shows which backends work here, and whether they reproduce the reference figures. */
import { readdir } from "node:fs/promises"
import { resolve } from "node:path"
import { Effect, Result } from "effect"
import { Command, Flag } from "effect/cli"
import type { Precision } from "../api/precision.ts"
import { backendNamed, backends, checks } from "../engine/discover.ts"
import { attempt } from "../io/files.ts"
import { quoted, shortNumber } from "../io/format.ts"
import { arithmeticOf, type Backend, startBackend } from "../tensor/backend.ts"
import { computeFlags, textFlag } from "./compute-flags.ts"
import { exitWith } from "./exit.ts"

export const doctorCommand = Command.make(
  "doctor",
  {
    fixture: textFlag("fixture", "DIR").pipe(
      Flag.withDescription("A folder of reference figures to compare with; may be repeated"),
      Flag.atLeast(0),
    ),
    backend: textFlag("backend", "NAME").pipe(
      Flag.withDescription("Backend to check: all, auto or a name (default: all)"),
      Flag.withDefault("all"),
    ),
    precision: computeFlags.precision,
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the findings as JSON on standard output"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("doctor")(function* ({ fixture, backend: wanted, precision, json }) {
    const say = (line: string) => {
      if (!json) process.stdout.write(`${line}\n`)
    }
    const folders = fixture.map((path) => resolve(path))
    for (const folder of folders) yield* attempt("list", folder, () => readdir(folder))
    const chosen = wanted === "all" ? yield* backends() : [yield* backendNamed(wanted)]
    const states = yield* Effect.forEach(chosen, (backend) =>
      Effect.map(Effect.result(tryOut(backend, precision)), (result) => ({
        backend,
        problem: Result.isFailure(result) ? result.failure.message : null,
        details: Result.isFailure(result) ? [] : result.success,
      })),
    )
    say("backends")
    for (const { backend, problem, details } of states) {
      say(`  ${problem === null ? "works" : "fails"}  ${backend.name}: ${problem ?? backend.summary}`)
      for (const line of details) say(`           ${line}`)
    }
    const working = states.filter(({ problem }) => problem === null).map(({ backend }) => backend)
    if (working.length === 0) return yield* exitWith(1, "no backend works here")

    const comparisons = []
    for (const folder of folders) {
      for (const backend of working) {
        yield* startBackend(backend, { precision })
        const arithmetic = arithmeticOf(backend.name, precision, yield* backend.model ?? Effect.undefined)
        for (const { name: check, compare } of yield* checks()) {
          const quantities = yield* compare(folder, precision)
          comparisons.push({ folder, backend: backend.name, precision, check, quantities })
          say(`\ncheck ${check} on ${arithmetic}: ${folder}`)
          for (const { name, worst, tolerance, spread, ok, at, expected, found } of quantities) {
            const detail = ok ? "" : `  at ${at}: expected ${expected}, found ${found}`
            say(
              `  ${ok ? "ok  " : "OFF "}  ${name.padEnd(32)} ${worst.toExponential(1)} (≤ ${shortNumber(Number(tolerance.toPrecision(2)))}${spread ? ", as rounding moves it" : ""})${detail}`,
            )
          }
        }
      }
    }
    const off = comparisons.flatMap(({ quantities }) => quantities.filter(({ ok }) => !ok)).length
    if (json) {
      const found = states.map(({ backend, problem, details }) => ({
        backend: backend.name,
        works: problem === null,
        problem,
        details,
      }))
      process.stdout.write(`${JSON.stringify({ backends: found, comparisons, off }, null, 1)}\n`)
    }
    const compared = comparisons.reduce((sum, { quantities }) => sum + quantities.length, 0)
    if (compared > 0) say(`\n${compared} quantities compared, ${off} off`)
    if (off > 0) return yield* exitWith(1)
  }),
).pipe(
  Command.withDescription("Show which backends work here, and compare them with reference figures"),
  Command.withExamples([
    { command: "bun run doctor", description: "Which backends work, and why the others do not" },
    {
      command: "bun run doctor --fixture test/fixtures/bert-2x32",
      description: "Compare logits, gradients, Gram matrices and a short training run with PyTorch's",
    },
  ]),
)

/**
 * Starts a backend and multiplies two matrices: a library that loads may still fail to compute.
 *
 * @returns what the backend found here
 */
const tryOut = Effect.fnUntraced(function* (backend: Backend, precision: Precision) {
  yield* backend.check
  yield* startBackend(backend, { precision })
  const tf = yield* Effect.promise(() => import("@tensorflow/tfjs-core"))
  const product = tf.tidy(() => tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync())
  const wrong = product.find((value) => value !== 3)
  if (wrong !== undefined) {
    return yield* Effect.fail(new Error(`expected 1·1 + 1·1 + 1·1 = 3, found ${wrong}`))
  }
  const model = yield* backend.model ?? Effect.undefined
  return [
    ...(yield* backend.details ?? Effect.succeed([])),
    ...(model === undefined
      ? []
      : [`to plan for it on another machine: --backend ${backend.name} --device ${quoted(model)}`]),
  ]
})
