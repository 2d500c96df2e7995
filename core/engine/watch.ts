/**
 * How probes look at a run while it is trained: the host calls `at` after every step, and each observer that
 * wants that step is shown the model in the same process.
 *
 * What an observer saw at a step is written to its scratch folder at once, one folder a look, so a run that was
 * stopped and resumed, or killed and started again, never looks twice and gives the same rows.
 */
import { join } from "node:path"
import { Cause, Effect, Result } from "effect"
import { UnitFailure } from "../api/failure.ts"
import type { AnyObserve, Observed, PluginError } from "../api/plugin.ts"
import type { RunLength, Watch } from "../api/watch.ts"
import { anyObservations, type Row } from "../artifacts/observations.ts"
import { InvalidInput } from "../io/decode.ts"
import { exists, writeFolder } from "../io/files.ts"

/** A probe at work on a run. */
export interface Observer {
  readonly key: string
  readonly observe: AnyObserve
  readonly options: Readonly<Record<string, unknown>>
  /** The observer's own folder, kept when the run is stopped. */
  readonly scratch: string
}

/** What the observers gave, by key: their rows, or why there are none. */
export type Observations = ReadonlyMap<string, Result.Result<readonly Row[], PluginError>>

/** An `AnyObserve` has lost its types; whoever made the graph has checked that the run shows this view. */
interface OpenObserve {
  readonly steps: (options: unknown, run: RunLength) => Iterable<number>
  readonly look: (view: unknown, context: unknown) => Observed
  readonly finish?: (view: unknown, context: unknown) => Observed
}

class Looking {
  private steps: ReadonlySet<number> = new Set()
  private readonly seen = new Set<number>()
  private run: RunLength = { steps: 0, warmupSteps: 0 }
  private failure: PluginError | undefined
  private finished: readonly Row[] = []
  private readonly observe: OpenObserve

  constructor(readonly observer: Observer) {
    this.observe = observer.observe as unknown as OpenObserve
  }

  readonly start = Effect.fnUntraced({ self: this }, function* (this: Looking, run: RunLength) {
    this.run = run
    const steps = yield* this.guard(
      Effect.try({
        try: () => [...this.observe.steps(this.observer.options, run)].sort((a, b) => a - b),
        catch: (cause) =>
          cause instanceof InvalidInput
            ? cause
            : new UnitFailure({ outcome: "failed", reason: `its steps cannot be chosen: ${cause}` }),
      }),
    )
    if (steps === undefined) return
    const outside = steps.filter((step) => !Number.isInteger(step) || step < 0 || step > run.steps)
    if (outside.length > 0) {
      const reason = `it asks to look at step ${outside.join(", ")} of a run of ${run.steps} steps (0 to ${run.steps} were expected)`
      this.failure = new UnitFailure({ outcome: "failed", reason })
      return
    }
    this.steps = new Set(steps)
    for (const step of steps) if (yield* exists(this.folder(step))) this.seen.add(step)
  })

  /** The last step that it needs to see: the run's last one where it has something to finish. */
  get last(): number {
    if (this.failure !== undefined) return -1
    if (this.observe.finish !== undefined) return this.run.steps
    return Math.max(-1, ...[...this.steps].filter((step) => !this.seen.has(step)))
  }

  wants(step: number): boolean {
    return this.failure === undefined && this.steps.has(step) && !this.seen.has(step)
  }

  readonly at = Effect.fnUntraced({ self: this }, function* (this: Looking, step: number, view: unknown) {
    if (!this.wants(step)) return
    const rows = yield* this.guard(this.effect(() => this.observe.look(view, this.context())))
    if (rows === undefined) return
    yield* this.guard(writeFolder(this.folder(step), (folder) => anyObservations.write(folder, rows)))
    this.seen.add(step)
  })

  readonly end = Effect.fnUntraced({ self: this }, function* (this: Looking, view: unknown) {
    const finish = this.observe.finish
    if (finish === undefined || this.failure !== undefined) return
    this.finished = (yield* this.guard(this.effect(() => finish(view, this.context())))) ?? []
  })

  /** All rows in the order of their steps, once the run is over. `ended`: why it ended early, where it did. */
  readonly rows = Effect.fnUntraced(
    { self: this },
    function* (this: Looking, ended: PluginError | undefined) {
      const unseen = [...this.steps].some((step) => !this.seen.has(step))
      if (
        this.failure === undefined &&
        (unseen || (ended !== undefined && this.observe.finish !== undefined))
      ) {
        this.failure =
          ended ?? new UnitFailure({ outcome: "failed", reason: "the run did not show it every step" })
      }
      const rows: Row[] = []
      for (const step of this.steps) {
        const looked =
          this.failure === undefined ? yield* this.guard(anyObservations.read(this.folder(step))) : undefined
        rows.push(...(looked ?? []))
      }
      return this.failure === undefined
        ? Result.succeed([...rows, ...this.finished])
        : Result.fail<PluginError>(this.failure)
    },
  )

  private folder(step: number): string {
    return join(this.observer.scratch, `look-${String(step).padStart(7, "0")}`)
  }

  private context() {
    return { options: this.observer.options, run: this.run, scratch: this.observer.scratch }
  }

  private effect(body: () => Observed): Effect.Effect<readonly Row[], PluginError> {
    return Effect.suspend(() => {
      const observed = body()
      return Effect.isEffect(observed) ? observed : Effect.succeed(observed)
    })
  }

  /** Remembers the failure of `body`, a thrown exception included, so that it does not end the run. */
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

/** Lets `observers` look at one run. `wanted`: whether the run's own artifact is wanted as well. */
export const watching = (wanted: boolean, observers: readonly Observer[]) => {
  const lookings = observers.map((observer) => new Looking(observer))
  const watch: Watch<unknown> = {
    wanted,
    start: (run) => Effect.forEach(lookings, (looking) => looking.start(run), { discard: true }),
    last: () => Math.max(-1, ...lookings.map((looking) => looking.last)),
    wants: (step) => lookings.some((looking) => looking.wants(step)),
    at: (step, view) => Effect.forEach(lookings, (looking) => looking.at(step, view), { discard: true }),
    end: (view) => Effect.forEach(lookings, (looking) => looking.end(view), { discard: true }),
  }
  /** @param ended why the run ended early, where it did: an observer that had seen all it wanted has its rows */
  const observations = (ended: PluginError | undefined): Effect.Effect<Observations> =>
    Effect.map(
      Effect.forEach(lookings, (looking) =>
        Effect.map(looking.rows(ended), (rows) => [looking.observer.key, rows] as const),
      ),
      (entries) => new Map(entries),
    )
  return { watch, observations }
}
