/** A pipeline whose runs say which GPU they see and from when until when, for the test on a real Slurm. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { cohort, pipeline } from "../../../core/api/pipeline.ts"
import { cohorts, plugin } from "../../../core/api/plugin.ts"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { Page } from "../../../core/artifacts/page.ts"
import { exists, readJson, writeJson } from "../../../core/io/files.ts"

const Steps = type("number[]")
const Walked: ArtifactKind<"gpu-walked", readonly number[], readonly number[], object> = {
  name: "gpu-walked",
  write: (folder, steps) => writeJson(join(folder, "steps.json"), steps),
  read: (folder) => readJson(join(folder, "steps.json"), Steps),
}

const steps = 10

/** Ten steps of a tenth of a second, which a stop can interrupt; the run `fails` as long as there is a file `broken`. */
export const gpuWalk = plugin({
  name: "gpu-walk",
  stage: "finetune",
  version: 1,
  module: import.meta.url,
  summary: "Steps on a GPU",
  options: type({ "+": "reject", seed: "number", fails: "boolean", broken: "string", hold: "string" }),
  takes: {},
  gives: Walked,
  usesBackend: true,
  estimate: () => ({ artifact: {}, cost: cost({ flops: 1e9, memory: 1e6 }) }),
  run: Effect.fn("gpu-walk")(function* ({ options: { seed, fails, broken, hold }, scratch }) {
    const path = join(scratch, "steps.json")
    const made = (yield* exists(path)) ? [...(yield* readJson(path, Steps))] : []
    const gpu = process.env["CUDA_VISIBLE_DEVICES"] ?? "none"
    console.log(`gpu ${gpu} from step ${made.length}`)
    yield* Effect.gen(function* () {
      while (made.length < steps) {
        made.push(seed * made.length)
        yield* Effect.sleep(100)
        while (made.length === steps / 2 && existsSync(`${hold}-${seed}`)) yield* Effect.sleep(50)
      }
      if (fails && existsSync(broken)) {
        return yield* new UnitFailure({ outcome: "failed", reason: "asked to fail" })
      }
    }).pipe(
      Effect.onInterrupt(() => Effect.orDie(writeJson(path, made))),
      Effect.ensuring(Effect.sync(() => console.log(`gpu ${gpu} until step ${made.length}`))),
    )
    return made
  }),
})

const page = plugin({
  name: "gpu-page",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "How many there are",
  options: type({ "+": "reject" }),
  takes: { runs: cohorts(Walked) },
  gives: Page,
  usesBackend: false,
  estimate: () => ({ artifact: {}, cost: cost({}) }),
  run: ({ inputs }) => {
    const done = inputs.runs.flatMap(({ members }) =>
      members.filter(({ outcome }) => outcome.status === "done"),
    )
    return Effect.succeed(new Map([["index.html", `${done.length} runs`]]))
  },
})

export default pipeline({
  name: "gpus",
  summary: "Runs that need a GPU",
  parameters: type({
    "+": "reject",
    seeds: type("number[]").default(() => [1]),
    failing: "number = 0",
    broken: "string = ''",
    hold: "string = ''",
  }),
  build: ({ seeds, failing, broken, hold }) => ({
    report: page({
      runs: [cohort({}, seeds, (seed) => gpuWalk({ seed, fails: seed === failing, broken, hold }))],
    }),
  }),
})
