/** Makes nodes in this process, by the engine, in a store of their own. */
import { rm } from "node:fs/promises"
import { dirname } from "node:path"
import { Deferred, Effect, Fiber, Layer } from "effect"
import type { Node } from "../../core/api/plugin.ts"
import { Progress } from "../../core/api/progress.ts"
import { provenanceFiles } from "../../core/artifacts/page.ts"
import { type Graph, graphOf } from "../../core/engine/graph.ts"
import { type Missing, runJob, type UnitOutcome } from "../../core/engine/job.ts"
import { computingOf } from "../../core/engine/key.ts"
import { planOf } from "../../core/engine/plan.ts"
import { type Origin, originHere } from "../../core/engine/provenance.ts"
import { Store } from "../../core/engine/store/store.ts"
import type { Unit } from "../../core/engine/unit.ts"
import { sha256 } from "../../core/io/digest.ts"
import { attempt } from "../../core/io/files.ts"
import type { Backend } from "../../core/tensor/backend.ts"

/** An artifact in the store. */
export interface Made {
  /** Over its files, except those that say when, where and how fast it was made. */
  readonly digest: string
  readonly bytes: number
  /** The folder of its files. */
  readonly folder: string
}

const mayDiffer: ReadonlySet<string> = new Set(provenanceFiles)

/** What makes the units of tests. */
const origin = (backend: Backend): Origin =>
  originHere(
    { command: "bun test", pipeline: { name: "toy-study", file: "", parameters: {} } },
    null,
    () => ({
      backend: backend.name,
      precision: "fp32",
      instructions: null,
      threads: null,
    }),
  )

/** Called with each report of progress of a job. */
export type OnReport = (done: number) => Effect.Effect<void>

export class Making {
  private constructor(
    private readonly graph: Graph,
    private readonly out: string,
    private readonly backend: Backend,
  ) {}

  /** @param out the folder of the store */
  static readonly of = (targets: Readonly<Record<string, Node>>, out: string, backend: Backend) =>
    Effect.map(graphOf(targets, computingOf(backend, "fp32")), (graph) => new Making(graph, out, backend))

  unit(target: string): Unit {
    return this.graph.targets[target]![0]!
  }

  /** Makes what is not there yet, one job after the other. The first failure ends it. */
  readonly make = (onReport: OnReport = () => Effect.void) =>
    Effect.gen({ self: this }, function* () {
      const { graph } = this
      const backend = this.backend.name
      const plan = yield* planOf(graph, { backend, processes: 1, flopsPerSecond: () => 1, threads: () => 1 })
      const none: Missing = new Map<string, Extract<UnitOutcome, { reason: string }>>()
      for (const job of plan.jobs) {
        for (const outcome of yield* runJob(job, backend, none, origin(this.backend))) {
          if (outcome.status === "done") continue
          const { plugin } = graph.units.find(({ key }) => key === outcome.key)!
          const at = outcome.step === undefined ? "" : ` at step ${outcome.step}`
          return yield* Effect.die(new Error(`${plugin.name} ${outcome.status}${at}: ${outcome.reason}`))
        }
      }
    }).pipe(Effect.provide(this.services(onReport)))

  /** Starts to make what is not there yet, and stops at report number `at`. @returns whether there was such a report */
  readonly stopAt = (at: number) =>
    Effect.gen({ self: this }, function* () {
      const reached = yield* Deferred.make<void>()
      let reports = 0
      const making = yield* Effect.forkChild(
        this.make(() =>
          ++reports === at ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void,
        ),
      )
      return yield* Effect.raceFirst(
        Effect.as(Deferred.await(reached), true),
        Effect.as(Fiber.join(making), false),
      ).pipe(Effect.ensuring(Fiber.interrupt(making)))
    })

  /** What was made, its files compared with their digests. */
  readonly read = (target: string) =>
    Effect.gen({ self: this }, function* () {
      const store = yield* Store
      const unit = this.unit(target)
      const folder = yield* store.open(unit)
      const stored = yield* store.stored(unit)
      if (stored.status !== "done") return yield* Effect.die(new Error(`${unit.label} is ${stored.status}`))
      const bytes = stored.manifest.files.reduce((sum, file) => sum + file.bytes, 0)
      const files = stored.manifest.files.filter(({ path }) => !mayDiffer.has(path))
      const digest = sha256(files.map((file) => `${file.sha256} ${file.path}\n`).join(""))
      return { digest, bytes, folder } satisfies Made
    }).pipe(Effect.provide(Store.layer(this.out)))

  /** Removes what was made for the targets, so that it is made again. */
  readonly forget = () =>
    Effect.gen({ self: this }, function* () {
      const store = yield* Store
      for (const unit of Object.values(this.graph.targets).flat()) {
        if ((yield* store.stored(unit)).status !== "done") continue
        const folder = dirname(yield* store.open(unit))
        yield* attempt("remove", folder, () => rm(folder, { recursive: true }))
      }
    }).pipe(Effect.provide(Store.layer(this.out)))

  /** Compares the files of every artifact that is there with their digests. */
  readonly verify = () =>
    Effect.gen({ self: this }, function* () {
      const store = yield* Store
      for (const unit of this.graph.units) {
        if ((yield* store.stored(unit)).status === "done") yield* store.open(unit)
      }
    }).pipe(Effect.provide(Store.layer(this.out)))

  private services(onReport: OnReport) {
    return Layer.mergeAll(Store.layer(this.out), Layer.succeed(Progress, { report: onReport }))
  }
}
