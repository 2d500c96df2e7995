/** The sample pipeline, planned and run in this process. */
import { fileURLToPath } from "node:url"
import { Effect, Layer } from "effect"
import type { Targets } from "../../../core/api/pipeline.ts"
import { Progress } from "../../../core/api/progress.ts"
import { type Event, execute } from "../../../core/engine/execute.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { runJob } from "../../../core/engine/job.ts"
import { loadPipeline, openPipeline } from "../../../core/engine/load.ts"
import { type Plan, planOf } from "../../../core/engine/plan.ts"
import type { JobRunner } from "../../../core/engine/processes.ts"
import { pipelineParameters } from "../../../core/engine/settings.ts"
import { Store } from "../../../core/engine/store.ts"

export const sampleFile = fileURLToPath(new URL("pipeline.ts", import.meta.url))

const silent = Layer.succeed(Progress, Progress.of({ report: () => Effect.void }))

export const planSample = Effect.fnUntraced(function* (...settings: readonly string[]) {
  const definition = yield* loadPipeline(sampleFile)
  const parameters = yield* pipelineParameters(definition, settings)
  const graph = yield* openPipeline(sampleFile, definition, parameters, "cpu")
  return yield* planOf(graph, estimating)
})

const estimating = { backend: "cpu", flopsPerSecond: () => 1e9, processes: 2 }

/** The plan of what a pipeline file would build. */
export const planOfTargets = (targets: Targets) =>
  Effect.flatMap(graphOf(targets, "cpu"), (graph) => planOf(graph, estimating))

export const carryOut = Effect.fnUntraced(function* (plan: Plan, events: Event[] = []) {
  const store = yield* Store
  const runner: JobRunner = (job, missing, listener) =>
    listener.started.pipe(
      Effect.andThen(runJob(job, "cpu", missing)),
      Effect.provide(Layer.mergeAll(Layer.succeed(Store, store), silent)),
    )
  return yield* execute(plan, runner, (event) => Effect.sync(() => void events.push(event)))
})

/** Runs an effect with a store in the folder `out`. */
export const inStore = <A, E>(out: string, body: Effect.Effect<A, E, Store>): Promise<A> =>
  Effect.runPromise(Effect.provide(body, Store.layer(out)))
