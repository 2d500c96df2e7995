/**
 * How probes observe a run during training: the run calls `at` before the first update and after each one, and each
 * observer that wants that step sees the model, in the same process.
 *
 * Each observation is saved at once, in a folder of its own in the observer's scratch. So a run that was stopped and
 * resumed, or killed and restarted, never observes a step twice and gives the same rows.
 */
import { join } from "node:path"
import { Cause, Effect, Result } from "effect"
import { UnitFailure } from "../api/failure.ts"
import type { AnyProbe, Observed, PluginError } from "../api/plugin.ts"
import type { RunLength, Watch } from "../api/watch.ts"
import type { AnyArtifactKind } from "../artifacts/kind.ts"
import { anyObservations, type Row } from "../artifacts/observations.ts"
import { InvalidInput } from "../io/decode.ts"
import { exists, type FileError, writeFolder } from "../io/files.ts"

/** A probe that watches a run. */
export interface Observer {
  readonly key: string
  readonly probe: AnyProbe
  /** The kind of its observations, which checks its rows. */
  readonly gives: AnyArtifactKind
  readonly options: Readonly<Record<string, unknown>>
  /** The observer's own folder, kept when the run is stopped. */
  readonly scratch: string
}

/** What the observers gave, by key: their rows, or why there are none. */
export type Observations = ReadonlyMap<string, Result.Result<readonly Row[], PluginError>>

/** An `AnyProbe` without its types: those of the pipeline file ensure that the run provides the right view. */
interface OpenProbe {
  readonly steps: (options: unknown, run: RunLength) => Iterable<number>
  readonly observe: (view: unknown, context: unknown) => Observed
  readonly finish?: (view: unknown, context: unknown) => Observed
}

class Watching {
  private steps: ReadonlySet<number> = new Set()
  private readonly seen = new Set<number>()
  private run: RunLength = { steps: 0, warmupSteps: 0 }
  private started = false
  private failure: PluginError | undefined
  private finished: readonly Row[] = []
  private readonly probe: OpenProbe

  constructor(readonly observer: Observer) {
    this.probe = observer.probe as unknown as OpenProbe
  }

  readonly start = Effect.fnUntraced({ self: this }, function* (this: Watching, run: RunLength) {
    this.run = run
    this.started = true
    const steps = yield* this.guard(
      Effect.try({
        try: () => [...this.probe.steps(this.observer.options, run)].sort((a, b) => a - b),
        catch: (cause) =>
          cause instanceof InvalidInput
            ? cause
            : new UnitFailure({ outcome: "failed", reason: `cannot choose the steps to observe: ${cause}` }),
      }),
    )
    if (steps === undefined) return
    const outside = steps.filter((step) => !Number.isInteger(step) || step < 0 || step > run.steps)
    if (outside.length > 0) {
      const reason = `expected steps to observe from 0 to ${run.steps}, the end of the run, found ${outside.join(", ")}`
      this.failure = new UnitFailure({ outcome: "failed", reason })
      return
    }
    this.steps = new Set(steps)
    for (const step of steps) if (yield* exists(this.folder(step))) this.seen.add(step)
  })

  /** The last step that it still needs: the end of the run if the probe has a `finish`; −1 if none. */
  get last(): number {
    if (this.failure !== undefined) return -1
    if (this.probe.finish !== undefined) return this.run.steps
    return Math.max(-1, ...[...this.steps].filter((step) => !this.seen.has(step)))
  }

  wants(step: number): boolean {
    return this.failure === undefined && this.steps.has(step) && !this.seen.has(step)
  }

  readonly at = Effect.fnUntraced({ self: this }, function* (this: Watching, step: number, view: unknown) {
    if (!this.wants(step)) return
    const rows = yield* this.guard(this.effect(() => this.probe.observe(view, this.context())))
    if (rows === undefined) return
    const kind = this.observer.gives as unknown as typeof anyObservations
    const written = writeFolder(this.folder(step), (folder) => kind.write(folder, rows))
    const failed = (error: FileError | InvalidInput) =>
      new UnitFailure({ outcome: "failed", reason: error.message, step })
    if ((yield* this.guard(Effect.as(Effect.mapError(written, failed), true))) === undefined) return
    this.seen.add(step)
  })

  readonly end = Effect.fnUntraced({ self: this }, function* (this: Watching, view: unknown) {
    const finish = this.probe.finish
    if (finish === undefined || this.failure !== undefined) return
    this.finished = (yield* this.guard(this.effect(() => finish(view, this.context())))) ?? []
  })

  /** All rows in the order of their steps, once the run is over. `ended`: why it ended early, if it did. */
  readonly rows = Effect.fnUntraced(
    { self: this },
    function* (this: Watching, ended: PluginError | undefined) {
      const unseen = [...this.steps].some((step) => !this.seen.has(step))
      if (
        this.failure === undefined &&
        (!this.started || unseen || (ended !== undefined && this.probe.finish !== undefined))
      ) {
        this.failure =
          ended ??
          new UnitFailure({
            outcome: "failed",
            reason: this.started
              ? "the run skipped a step to observe"
              : "expected a run that can be watched, found a plugin that never starts its observers",
          })
      }
      const rows: Row[] = []
      for (const step of this.steps) {
        const observed =
          this.failure === undefined ? yield* this.guard(anyObservations.read(this.folder(step))) : undefined
        rows.push(...(observed ?? []))
      }
      return this.failure === undefined
        ? Result.succeed([...rows, ...this.finished])
        : Result.fail<PluginError>(this.failure)
    },
  )

  private folder(step: number): string {
    return join(this.observer.scratch, `observation-${String(step).padStart(7, "0")}`)
  }

  private context() {
    return { options: this.observer.options, run: this.run, scratch: this.observer.scratch }
  }

  private effect(body: () => Observed): Effect.Effect<readonly Row[], PluginError> {
    return Effect.suspend(() => {
      const observed = body()
      return Effect.isEffect(observed) ? observed : Effect.succeed(observed)
    }).pipe(
      Effect.filterOrFail(
        // Plugins run without a type check: a `return` may be missing.
        (rows) => Array.isArray(rows),
        (rows) =>
          new UnitFailure({ outcome: "failed", reason: `expected a list of rows, found ${String(rows)}` }),
      ),
    )
  }

  /** Records the failure of `body`, a thrown exception included, so that it does not end the run. */
  private guard<A>(body: Effect.Effect<A, PluginError>): Effect.Effect<A | undefined> {
    return body.pipe(
      Effect.catchCause((cause) => {
        if (Cause.hasInterrupts(cause)) return Effect.interrupt
        const error = Cause.findError(cause)
        this.failure = Result.isSuccess(error)
          ? error.success
          : new UnitFailure({ outcome: "failed", reason: Cause.pretty(cause) })
        return Effect.succeed(undefined)
      }),
    )
  }
}

/** Lets `observers` watch one run. `wanted`: whether the run's own artifact is needed as well. */
export const watching = (wanted: boolean, observers: readonly Observer[]) => {
  const watching = observers.map((observer) => new Watching(observer))
  const watch: Watch<unknown> = {
    wanted,
    start: (run) => Effect.forEach(watching, (each) => each.start(run), { discard: true }),
    last: () => Math.max(-1, ...watching.map((each) => each.last)),
    wants: (step) => watching.some((each) => each.wants(step)),
    at: (step, view) => Effect.forEach(watching, (each) => each.at(step, view), { discard: true }),
    end: (view) => Effect.forEach(watching, (each) => each.end(view), { discard: true }),
  }
  /** @param ended why the run ended early, if it did; an observer that was done by then keeps its rows */
  const observations = (ended: PluginError | undefined): Effect.Effect<Observations> =>
    Effect.map(
      Effect.forEach(watching, (each) =>
        Effect.map(each.rows(ended), (rows) => [each.observer.key, rows] as const),
      ),
      (entries) => new Map(entries),
    )
  return { watch, observations }
}
