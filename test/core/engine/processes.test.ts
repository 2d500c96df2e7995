import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { backendNamed } from "../../../core/engine/discover.ts"
import { computingOf } from "../../../core/engine/key.ts"
import { loadPipeline, openPipeline } from "../../../core/engine/load.ts"
import { type Job, jobFor, planOf } from "../../../core/engine/plan.ts"
import { workerProcesses } from "../../../core/engine/processes.ts"
import { pipelineParameters } from "../../../core/engine/settings.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { alive, childrenOf, untilEnded } from "../cli/command-line.ts"
import { estimating, planSample, planSampleOn, sampleFile, settingsOfWorkers } from "../sample/study.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let folder: string
let hold: string
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-processes-"))
  hold = join(folder, "hold")
})
afterEach(() => fs.rm(folder, { recursive: true, force: true }))

/** What a test does with a runner of the sample's jobs in one process: its source, and a run that may be held. */
const supervising = <A>(
  body: (given: {
    readonly make: (plugin: string) => Effect.Effect<readonly object[]>
    readonly said: string[]
    /** The process of the worker. */
    readonly worker: () => number
    readonly until: (text: string) => Effect.Effect<void>
    readonly sums: () => unknown
  }) => Effect.Effect<A, never, Scope.Scope>,
) => {
  const out = join(folder, "out")
  const settings = ["lr=1", "seeds=1", "aloud=true", `hold=${hold}`]
  return Effect.gen(function* () {
    const plan = yield* planSample(...settings)
    const parameters = yield* pipelineParameters(yield* loadPipeline(sampleFile), settings)
    const said: string[] = []
    const others = new Set(childrenOf(process.pid))
    const runner = yield* workerProcesses({
      ...settingsOfWorkers(sampleFile, plan, parameters as object),
      out,
      processes: 1,
      onLog: (line) => said.push(line),
    })
    const unitOf = (plugin: string) => plan.graph.units.find((unit) => unit.plugin.name === plugin)!
    return yield* body({
      make: (plugin) =>
        Effect.map(
          runner(jobFor(unitOf(plugin), true, []), new Map(), {
            started: Effect.void,
            progress: () => Effect.void,
          }),
          (outcomes) => ("held" in outcomes ? [] : outcomes),
        ),
      said,
      worker: () => childrenOf(process.pid).find((pid) => !others.has(pid))!,
      until: (text) =>
        Effect.promise(async () => {
          for (let tries = 0; !said.some((line) => line.includes(text)); tries++) {
            if (tries > 2000) throw new Error(`nothing said ${text}:\n${said.join("\n")}`)
            await Bun.sleep(20)
          }
        }),
      sums: () => {
        const name = `sample-walk-${unitOf("sample-walk").key.slice(0, 20)}`
        return JSON.parse(readFileSync(join(out, "artifacts", name, "data", "numbers.json"), "utf8"))
      },
    })
  }).pipe(Effect.scoped, Effect.provide(Store.layer(out)))
}

const done = [expect.objectContaining({ status: "done" })]

test("a worker that dies while it has nothing to do is replaced before it is given a job", () =>
  Effect.runPromise(
    supervising(({ make, said, worker, sums }) =>
      Effect.gen(function* () {
        expect(yield* make("sample-source")).toEqual(done)
        const idle = worker()
        process.kill(idle, "SIGKILL")
        yield* Effect.promise(() => untilEnded([idle]))
        expect(yield* make("sample-walk")).toEqual(done)
        expect(said.filter((line) => line.includes("tried again"))).toEqual([])
        expect(sums()).toEqual([2, 4, 7, 11, 16])
      }),
    ),
  ))

test.each(["SIGKILL", "SIGSEGV", "SIGTERM"] as const)(
  "a job whose worker is ended by %s is tried again",
  (signal) =>
    Effect.runPromise(
      supervising(({ make, said, worker, until, sums }) =>
        Effect.gen(function* () {
          yield* make("sample-source")
          yield* Effect.promise(() => fs.writeFile(hold, ""))
          const run = yield* Effect.forkChild(make("sample-walk"))
          yield* until("at step 3")
          process.kill(worker(), signal)
          yield* until("it is tried again in 1.0 s")
          yield* Effect.promise(() => fs.rm(hold))
          expect(yield* Fiber.join(run)).toEqual(done)
          const told = said.filter((line) => line.includes("tried again"))
          expect(told).toEqual([expect.stringContaining(signal)])
          expect(told[0]).toStartWith("sample-walk lr=1 seed=1: the worker process ")
          expect(sums()).toEqual([2, 4, 7, 11, 16])
        }),
      ),
    ),
)

test.skipIf(!existsSync("/proc/self/stat"))("a worker that is stopped is noticed, killed and replaced", () =>
  Effect.runPromise(
    supervising(({ make, said, worker, until, sums }) =>
      Effect.gen(function* () {
        yield* make("sample-source")
        yield* Effect.promise(() => fs.writeFile(hold, ""))
        const run = yield* Effect.forkChild(make("sample-walk"))
        yield* until("at step 3")
        const stopped = worker()
        process.kill(stopped, "SIGSTOP")
        // A busy machine takes a moment to stop it.
        yield* Effect.promise(async () => {
          while (!/\) T /.test(readFileSync(`/proc/${stopped}/stat`, "utf8"))) await Bun.sleep(5)
        })
        yield* TestClock.adjust("290 seconds")
        expect(alive([stopped])).toEqual([stopped])
        yield* TestClock.adjust("20 seconds")
        yield* until("it is tried again in 1.0 s")
        expect(said.filter((line) => line.includes("tried again"))).toEqual([
          expect.stringMatching(
            /^sample-walk lr=1 seed=1: the worker process \d+ was stopped by a signal and did nothing for 5 min: it was killed; /,
          ),
        ])
        yield* Effect.promise(() => untilEnded([stopped]))
        yield* Effect.promise(() => fs.rm(hold))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(run)).toEqual(done)
        expect(sums()).toEqual([2, 4, 7, 11, 16])
      }),
    ).pipe(Effect.provide(TestClock.layer())),
  ),
)

test("a worker that has had nothing to do for ten minutes is ended, and another one takes the next job", () =>
  Effect.runPromise(
    supervising(({ make, worker, sums }) =>
      Effect.gen(function* () {
        expect(yield* make("sample-source")).toEqual(done)
        const idle = worker()
        for (const seconds of [290, 290]) {
          yield* TestClock.adjust(`${seconds} seconds`)
          expect(alive([idle])).toEqual([idle])
          // It says that it is alive every two seconds of real time.
          yield* Effect.promise(() => Bun.sleep(2500))
        }
        yield* TestClock.adjust("30 seconds")
        yield* Effect.promise(() => untilEnded([idle]))
        expect(yield* make("sample-walk")).toEqual(done)
        expect(sums()).toEqual([2, 4, 7, 11, 16])
      }),
    ).pipe(Effect.provide(TestClock.layer())),
  ))

test("a worker that is stopped saves its job all the same when that is interrupted", () =>
  Effect.runPromise(
    supervising(({ make, worker, until }) =>
      Effect.gen(function* () {
        yield* make("sample-source")
        yield* Effect.promise(() => fs.writeFile(hold, ""))
        const run = yield* Effect.forkChild(make("sample-walk"))
        yield* until("at step 3")
        process.kill(worker(), "SIGSTOP")
        yield* Fiber.interrupt(run)
        const scratch = join(folder, "out", "scratch")
        const [name] = yield* Effect.promise(() => fs.readdir(scratch))
        const state = JSON.parse(readFileSync(join(scratch, name!, "unit", "state.json"), "utf8"))
        expect(state).toEqual({ step: 3, sums: [2, 4, 7] })
      }),
    ),
  ))

/** How the unit of `printing.ts` ends, and what was said meanwhile. */
const printing = (parameters: object) => {
  const file = join(import.meta.dir, "..", "sample", "printing.ts")
  const out = join(folder, "out")
  const said: string[] = []
  return Effect.gen(function* () {
    const definition = yield* loadPipeline(file)
    const given = definition.parameters(parameters) as object
    const graph = yield* openPipeline(file, definition, given, {
      arithmetic: "cpu",
      sources: {},
      packages: {},
    })
    const runner = yield* workerProcesses({
      ...settingsOfWorkers(file, yield* planOf(graph, estimating), given),
      out,
      processes: 1,
      onLog: (line) => said.push(line),
    })
    const outcomes = yield* runner(jobFor(graph.units[0]!, true, []), new Map(), {
      started: Effect.void,
      progress: () => Effect.void,
    })
    return { outcomes, said }
  }).pipe(Effect.scoped, Effect.provide(Store.layer(out)), Effect.runPromise)
}

test("what a job prints without a line end, itself or by a program, does not hide its outcome", async () => {
  const { outcomes, said } = await printing({ program: "downloading 100 %", output: ", done" })
  expect(outcomes).toEqual(done)
  expect(said).toEqual(["downloading 100 %, done"])
})

test("a message with line ends of Unicode arrives, in both directions", async () => {
  const reason = 'found "a\u2028b\u2029c\u0085d"'
  const { outcomes } = await printing({ reason })
  expect(outcomes).toEqual([expect.objectContaining({ status: "failed", kind: "plugin", reason })])
})

test("a worker whose replies cannot be read is not waited for", async () => {
  const { outcomes } = await printing({ replies: "{}\n" })
  const reason = "the worker process sent a reply that cannot be read: {}"
  expect(outcomes).toEqual([expect.objectContaining({ status: "failed", kind: "plugin", reason })])
})

/** An environment in which the native backend cannot start: its addon is not there, and no compiler to build it. */
const broken = (name: string) => ({ CXX: "/nonexistent", XDG_CACHE_HOME: join(folder, name) })

const statusesOf = (outcomes: readonly { readonly status: string }[]) => outcomes.map(({ status }) => status)

/** Makes the sample's source and three runs with a probe each, on the backend native, two jobs at a time. */
const onNative = (
  environments: readonly Readonly<Record<string, string>>[] | undefined,
  own: Readonly<Record<string, string>> = {},
) => {
  const out = join(folder, "out")
  const settings = ["lr=1", "seeds=1..3"]
  const said: string[] = []
  return Effect.gen(function* () {
    const plan = yield* planSampleOn(computingOf(yield* backendNamed("native"), "fp32"), settings)
    const parameters = yield* pipelineParameters(yield* loadPipeline(sampleFile), settings)
    Object.assign(process.env, own)
    const runner = yield* workerProcesses({
      ...settingsOfWorkers(sampleFile, plan, parameters as object),
      backend: "native",
      out,
      processes: 2,
      environments,
      onLog: (line) => said.push(line),
    })
    let started = 0
    const run = (job: Job) =>
      Effect.map(
        runner(job, new Map(), { started: Effect.sync(() => void started++), progress: () => Effect.void }),
        (outcomes) => ("held" in outcomes ? [] : outcomes),
      )
    const [source, ...others] = plan.jobs
    const made = yield* run(source!)
    const runs = others.filter(({ observers }) => observers.length > 0)
    const outcomes = [...made, ...(yield* Effect.forEach(runs, run, { concurrency: 2 })).flat()]
    return { outcomes, said, started }
  }).pipe(Effect.scoped, Effect.provide(Store.layer(out)), Effect.runPromise)
}

test("where the backend does not start, no job is run any more, which costs no job an attempt and is told once", async () => {
  const { outcomes, said, started } = await onNative([broken("none"), {}])
  expect(statusesOf(outcomes)).toEqual(Array.from({ length: 7 }, () => "done"))
  expect(started).toBe(4)
  expect(said).toEqual([
    expect.stringMatching(
      /^with CXX=\/nonexistent XDG_CACHE_HOME=\S+none, the backend native cannot run here: .+\. Jobs are not run there any more; 1 job at a time can still run$/,
    ),
  ])
})

test("so it is where the worker crashes while the backend starts", async () => {
  const preloaded = join(folder, "crash.ts")
  // Where the backend's own code would abort.
  const crash =
    'Bun.plugin({ name: "crash", setup: (b) => b.onLoad({ filter: /tfjs-backend-cpu/ }, () => process.abort()) })'
  await fs.writeFile(preloaded, crash)
  const { outcomes, said, started } = await onNative([{ BUN_OPTIONS: `--preload=${preloaded}` }, {}])
  expect(statusesOf(outcomes)).toEqual(Array.from({ length: 7 }, () => "done"))
  expect(started).toBe(4)
  const told = said.filter((line) => line.startsWith("with "))
  const reason = "the worker process was killed by SIGABRT while it started the backend."
  expect(told).toEqual([expect.stringContaining(`with BUN_OPTIONS=--preload=${preloaded}, ${reason} `)])
  expect(said.filter((line) => line.includes("tried again"))).toEqual([])
})

test("where the backend starts nowhere, its jobs fail, with the reason, and only those", async () => {
  const { outcomes, said } = await onNative([broken("one"), broken("two")])
  expect(said).toHaveLength(1)
  expect(statusesOf(outcomes)).toEqual(["done", ...Array.from({ length: 6 }, () => "failed")])
  for (const outcome of outcomes.slice(1)) {
    const reason =
      /^with CXX=\S+ XDG_CACHE_HOME=\S+, the backend native cannot run here: .+; nor can it with CXX=/
    expect(outcome).toMatchObject({ kind: "plugin", reason: expect.stringMatching(reason) })
  }
})

test("where all jobs have the same environment, those whose backend does not start fail at once", async () => {
  const before = { ...process.env }
  const { outcomes, said } = await onNative(undefined, broken("none")).finally(() => {
    for (const name of Object.keys(broken("none"))) delete process.env[name]
    Object.assign(process.env, before)
  })
  expect(said).toEqual([])
  expect(statusesOf(outcomes)).toEqual(["done", ...Array.from({ length: 6 }, () => "failed")])
  const reason = expect.stringMatching(/^the backend native cannot run here: /)
  expect(outcomes.slice(1)).toMatchObject(outcomes.slice(1).map(() => ({ kind: "plugin", reason })))
})
