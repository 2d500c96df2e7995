/** The sample pipeline, planned and run in this process. */
import { fileURLToPath } from "node:url"
import { Effect, Layer } from "effect"
import type { Targets } from "../../../core/api/pipeline.ts"
import { Progress } from "../../../core/api/progress.ts"
import type { MadeBy } from "../../../core/api/provenance.ts"
import { type Event, execute } from "../../../core/engine/execute.ts"
import { codeOf } from "../../../core/engine/freeze.ts"
import { digestOfUnits, graphOf } from "../../../core/engine/graph.ts"
import { runJob } from "../../../core/engine/job.ts"
import type { Computing } from "../../../core/engine/key.ts"
import { loadPipeline, openPipeline } from "../../../core/engine/load.ts"
import { type EstimateSettings, type Plan, planOf } from "../../../core/engine/plan.ts"
import type { JobRunner, WorkerSettings } from "../../../core/engine/processes.ts"
import type { Origin } from "../../../core/engine/provenance.ts"
import { pipelineParameters } from "../../../core/engine/settings.ts"
import { Store } from "../../../core/engine/store/store.ts"

export const sampleFile = fileURLToPath(new URL("pipeline.ts", import.meta.url))

const silent = Layer.succeed(Progress, Progress.of({ report: () => Effect.void }))

/** What makes the sample's units in a test. */
export const origin: Origin = {
  run: { command: "bun test", pipeline: { name: "sample", file: sampleFile, parameters: {} } },
  machine: { cpu: "Abacus", cores: 2, memory: 2 ** 30, os: "Linux 6 x64" },
  software: { kasosei: "0.0.1", runtime: "bun 1", packages: { effect: "4" }, commit: null },
  computed: () => ({ backend: "cpu", precision: "fp32", instructions: null, threads: null }),
}

/** What made something that took no tensors. */
export const madeBy: MadeBy = {
  machine: origin.machine,
  software: origin.software,
  computed: null,
  run: origin.run,
  cpuSeconds: 1,
  peakMemory: 2 ** 20,
}

const cpu: Computing = { arithmetic: "cpu", sources: {}, packages: {} }

/** Plans the sample pipeline as if `computing` were the backend: of its units, the probes compute on it. */
export const planSampleOn = Effect.fnUntraced(function* (
  computing: Computing,
  settings: readonly string[] = [],
) {
  const definition = yield* loadPipeline(sampleFile)
  const parameters = yield* pipelineParameters(definition, settings)
  const graph = yield* openPipeline(sampleFile, definition, parameters, computing)
  return yield* planOf(graph, { ...estimating, backend: computing.arithmetic })
})

export const estimating: EstimateSettings = {
  backend: "cpu",
  flopsPerSecond: () => 1e9,
  threads: () => 1,
  processes: 2,
}

export const planSample = (...settings: readonly string[]) => planSampleOn(cpu, settings)

/** The plan of what a pipeline file would build. */
export const planOfTargets = (targets: Targets) =>
  Effect.flatMap(graphOf(targets, cpu), (graph) => planOf(graph, estimating))

/** What the worker processes of a plan on the backend cpu are told, but for where and how many. */
export const settingsOfWorkers = (file: string, { graph }: Plan, parameters: object) =>
  ({
    file,
    parameters,
    code: codeOf(file),
    units: digestOfUnits(graph),
    revisions: {},
    backend: "cpu",
    precision: "fp32",
    model: undefined,
    threads: 1,
    command: "bun test",
    commit: null,
  }) satisfies Partial<WorkerSettings>

export const carryOut = Effect.fnUntraced(function* (plan: Plan, events: Event[] = []) {
  const store = yield* Store
  const runner: JobRunner = (job, missing, listener) =>
    listener.started.pipe(
      Effect.andThen(runJob(job, "cpu", missing, origin)),
      Effect.provide(Layer.mergeAll(Layer.succeed(Store, store), silent)),
    )
  return yield* execute(plan, runner, (event) => Effect.sync(() => void events.push(event)))
})

/** Runs an effect with a store in the folder `out`. */
export const inStore = <A, E>(out: string, body: Effect.Effect<A, E, Store>): Promise<A> =>
  Effect.runPromise(Effect.provide(body, Store.layer(out)))
