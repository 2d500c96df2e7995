/** Plugins without tensors that behave like the real ones: slow steps, state to resume from, probes that watch. */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { optionsByStep } from "../../../core/api/branch.ts"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { describeLabels } from "../../../core/api/pipeline.ts"
import { cohorts, plugin, type RunContext } from "../../../core/api/plugin.ts"
import { probe } from "../../../core/api/probe.ts"
import { Progress } from "../../../core/api/progress.ts"
import type { Guard } from "../../../core/api/watch.ts"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { Page } from "../../../core/artifacts/page.ts"
import { sha256 } from "../../../core/io/digest.ts"
import { exists, readJson, writeJson } from "../../../core/io/files.ts"

const Numbers = type("number[]")
const numbersKind = <N extends string>(
  name: N,
): ArtifactKind<N, readonly number[], readonly number[], { count: number }> => ({
  name,
  write: (folder, numbers) => writeJson(join(folder, "numbers.json"), numbers),
  read: (folder) => readJson(join(folder, "numbers.json"), Numbers),
})
const Source = numbersKind("source")
const Walk = numbersKind("walk")

export const source = plugin({
  name: "sample-source",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "The numbers 1 to count",
  options: type({ "+": "reject", count: "1 <= number.integer <= 1000", broken: "boolean = false" }),
  takes: {},
  gives: Source,
  usesBackend: false,
  estimate: ({ count }) => ({ artifact: { count }, cost: cost({ disk: 8 * count }) }),
  run: ({ options }) =>
    options.broken
      ? Effect.fail(new UnitFailure({ outcome: "failed", reason: "the source is broken" }))
      : Effect.succeed(Array.from({ length: options.count }, (_, i) => i + 1)),
})

export interface WalkView {
  readonly step: number
  readonly sum: number
  /** The run's own, which a probe of a test writes into. */
  readonly sums: readonly number[]
}

/** What can change during a walk. */
const WalkChanges = type({ "+": "reject", "gain?": "number", "aloud?": "boolean" })

const State = type({ "+": "reject", step: "number", sums: "number[]" })

const WalkOptions = type({
  "+": "reject",
  seed: "number.integer >= 0",
  lr: "number > 0",
  slow: "number >= 0 = 0",
  hold: "string = ''",
  aloud: "boolean = false",
  savesAloud: "boolean = false",
  divergeAt: "number = -1",
  failAt: "number = -1",
  crashAt: "number = -1",
  gain: "number = 1",
  "branch?": type({ "+": "reject", at: "number", set: WalkChanges }).array(),
})

const takes = { data: Source } as const

const run = Effect.fn("walk")(function* ({
  options,
  inputs,
  scratch,
  watch,
}: RunContext<typeof WalkOptions.infer, typeof takes, WalkView>) {
  const progress = yield* Progress
  const path = join(scratch, "state.json")
  const kept = (yield* exists(path)) ? yield* readJson(path, State) : { step: 0, sums: [] }
  const sums = [...kept.sums]
  const total = inputs.data.length
  const phases = optionsByStep(options)
  const guard: Guard = {
    digests: Effect.sync(() => new Map([["the sums", sha256(String(sums))]])),
    enclose: (observation) => Effect.map(Effect.exit(observation), (ended) => ({ ended, left: 0 })),
  }
  yield* watch.start({ steps: total, warmupSteps: 0 }, guard)
  const until = watch.wanted ? total : watch.last()
  const save = Effect.gen(function* () {
    if (options.savesAloud) {
      console.log(`seed ${options.seed} saves step ${sums.length}`)
      process.stdout.write("in a while\n")
      yield* progress.report(total, total, "saving")
      yield* Effect.sleep(200)
    }
    yield* Effect.orDie(writeJson(path, { step: sums.length, sums }))
  })
  const view = (): WalkView => ({ step: sums.length, sum: sums.at(-1) ?? options.seed, sums })
  yield* Effect.gen(function* () {
    yield* watch.at(sums.length, view())
    while (sums.length < until) {
      const step = sums.length
      if (step === options.divergeAt)
        return yield* new UnitFailure({ outcome: "diverged", reason: "the sum is NaN", step })
      if (step === options.failAt)
        return yield* new UnitFailure({ outcome: "failed", reason: "asked to fail" })
      if (step === options.crashAt) process.kill(process.pid, "SIGKILL")
      const { gain, aloud } = phases.findLast(({ from }) => from <= step)!.options
      if (aloud) console.log(`seed ${options.seed} at step ${step}`)
      while (step === 3 && options.hold !== "" && (yield* exists(options.hold))) yield* Effect.sleep(10)
      sums.push((sums.at(-1) ?? options.seed) + gain * inputs.data[step]!)
      yield* options.slow > 0 ? Effect.sleep(options.slow) : Effect.yieldNow
      yield* progress.report(sums.length, total, `sum ${sums.at(-1)}`)
      yield* watch.at(sums.length, view())
    }
    yield* watch.end(view())
  }).pipe(Effect.onInterrupt(() => save))
  return sums
})

/**
 * Sums the source times `gain` step by step, `slow` milliseconds each; `aloud` prints each step. At step 3 it waits as long as there
 * is a file `hold`, so that a test may stop it there however busy the machine is. With `savesAloud` it prints, and reports its progress,
 * a while before it has saved its state.
 */
export const walk = plugin({
  name: "sample-walk",
  stage: "finetune",
  version: 1,
  module: import.meta.url,
  summary: "Running sums",
  options: WalkOptions,
  takes,
  gives: Walk,
  usesBackend: false,
  watchable: true,
  changes: WalkChanges,
  estimate: (_options, { data }) => ({
    artifact: data,
    cost: cost({ flops: data.count * 1e6, memory: 1e6 }),
    replay: { length: { steps: data.count, warmupSteps: 0 }, flopsPerStep: 1e6 },
  }),
  run,
})

const row = type({ step: "number", sum: "number" })

export const watchSum = probe<WalkView, { count: number }>()({
  name: "sample-watch",
  version: 1,
  module: import.meta.url,
  summary: "The sum at some steps",
  options: type({ "+": "reject", steps: "number[]" }),
  gives: observationsOf(row),
  steps: ({ steps }) => steps,
  observe: ({ step, sum }) => [{ step, sum }],
  estimate: ({ steps }) => ({ rows: steps.length, cost: cost({ flops: 1e6 }) }),
})

/** A page that says where it comes from. */
export const origins = plugin({
  name: "sample-origins",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Where the runs come from",
  options: type({ "+": "reject", title: "string = 'origins'" }),
  takes: { runs: cohorts(Walk), seen: cohorts(watchSum.gives) },
  gives: Page,
  usesBackend: false,
  estimate: () => ({ artifact: {}, cost: cost({}) }),
  run: ({ provenance }) =>
    Effect.map(provenance, (found) => new Map([["provenance.json", JSON.stringify(found)]])),
})

/** A page that lists what it was given. */
export const listing = plugin({
  name: "sample-listing",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "A list of the runs",
  options: type({ "+": "reject", title: "string" }),
  takes: {
    runs: cohorts(Walk),
    seen: cohorts(watchSum.gives),
  },
  gives: Page,
  usesBackend: false,
  estimate: () => ({ artifact: {}, cost: cost({}) }),
  design: (_options, { runs }) =>
    runs.flatMap(({ labels, members }) =>
      members.length < 2
        ? [
            `With the seed ${members[0]!.seed} alone, no spread of the sums at ${describeLabels(labels)} can be told: it takes two seeds or more.`,
          ]
        : [],
    ),
  run: ({ options, inputs }) =>
    Effect.sync(() => {
      const lines = inputs.runs.flatMap(({ labels, members }) =>
        members.map(({ seed, outcome }) =>
          JSON.stringify([
            labels,
            seed,
            outcome.status === "done" ? outcome.value.at(-1)! : [outcome.status, outcome.reason],
          ]),
        ),
      )
      const seen = inputs.seen.flatMap(({ members }) =>
        members.map(({ seed, outcome }) =>
          JSON.stringify([seed, outcome.status === "done" ? outcome.value : outcome.status]),
        ),
      )
      return new Map([["index.html", [options.title, ...lines, ...seen].join("\n")]])
    }),
})
