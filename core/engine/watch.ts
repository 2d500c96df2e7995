/**
 * How probes observe a run during training: the run calls `at` before the first update and after each one, and each
 * observer that wants that step sees the model, in the same process.
 *
 * Each observation is checked and saved at once, in a folder of its own in the observer's scratch. So a run that was
 * stopped and resumed, or killed and restarted, never observes a step twice and gives the same rows.
 *
 * An observation may leave work to be done beside the run. It is then saved when that has ended, which is waited for
 * before the run saves its state, and before the run ends in any way.
 *
 * An observer cannot change its run. What it could reach is compared before and after each of its observations. One
 * that has changed anything fails, its rows are dropped, and the run is made again without it, from the last state that
 * the run has saved: nothing has to be copied for the sake of the observers that behave.
 */
import { join } from "node:path"
import { type } from "arktype"
import { Cause, Effect, Exit, Fiber, Result } from "effect"
import { UnitFailure } from "../api/failure.ts"
import type { AnyProbe, Observed, PluginError } from "../api/plugin.ts"
import type { Guard, RunLength, Watch } from "../api/watch.ts"
import type { AnyArtifactKind } from "../artifacts/kind.ts"
import { anyObservations, type Row } from "../artifacts/observations.ts"
import { InvalidInput } from "../io/decode.ts"
import { exists, type FileError, readJson, writeFolder, writeJson } from "../io/files.ts"

/** A probe that watches a run. */
export interface Observer {
  readonly key: string
  readonly probe: AnyProbe
  /** The kind of its observations, which checks its rows. */
  readonly gives: AnyArtifactKind
  readonly options: Readonly<Record<string, unknown>>
  /** What the probe takes besides the run. */
  readonly inputs: Readonly<Record<string, unknown>>
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

/** The names of the parts that differ, and whether one of them is gone. */
interface Change {
  readonly names: readonly string[]
  readonly gone: boolean
}

const changeBetween = (before: Digests, after: Digests): Change => {
  const names = [...before].flatMap(([name, digest]) => (after.get(name) === digest ? [] : [name]))
  return { names, gone: names.some((name) => !after.has(name)) }
}

type Digests = ReadonlyMap<string, number | string>

/** At most this many parts are named in a failure. */
const mostNamed = 3

const describeChange = ({ names, gone }: Change): string => {
  const more = names.length - mostNamed
  const list = names.slice(0, mostNamed).join(", ") + (more > 0 ? ` and ${more} more` : "")
  return gone
    ? `it disposed of ${list}: a probe disposes only of the tensors that it made. The run was made again without it`
    : `it changed ${list}: a probe only reads, so it writes into copies, such as dataSync().slice(). The run was made again without it`
}

/** A failure as it is saved, so that a run that is resumed does not ask the observer again, and can say why it failed. */
const SavedFailure = type({
  "+": "reject",
  outcome: "'diverged' | 'failed'",
  reason: "string",
  "step?": "number",
})

/** What is observed: a step, or the end of the run. */
type Occasion = number | "end"

class Watching {
  private steps: ReadonlySet<number> = new Set()
  private readonly saved = new Set<Occasion>()
  /** Observed, but work goes on beside the run. */
  private readonly pending = new Set<Occasion>()
  private run: RunLength = { steps: 0, warmupSteps: 0 }
  private started = false
  private failure: PluginError | undefined
  private readonly probe: OpenProbe

  constructor(
    readonly observer: Observer,
    private readonly beside: Beside,
  ) {
    this.probe = observer.probe as unknown as OpenProbe
  }

  readonly start = Effect.fnUntraced({ self: this }, function* (this: Watching, run: RunLength) {
    // The plugin that makes the run uses the same object.
    this.run = Object.freeze({ ...run })
    this.started = true
    if (this.failure === undefined) yield* this.loadFailure
    if (this.failure !== undefined) return
    const steps = yield* this.guarded(
      Effect.try({
        try: () => [...this.probe.steps(this.observer.options, this.run)].sort((a, b) => a - b),
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
    for (const occasion of this.occasions) {
      if (yield* exists(this.folder(occasion))) this.saved.add(occasion)
    }
  })

  /** The last step that it still needs: the end of the run if the probe has a `finish`; −1 if none. */
  get last(): number {
    if (this.failure !== undefined) return -1
    return Math.max(-1, ...this.missing.map((occasion) => (occasion === "end" ? this.run.steps : occasion)))
  }

  wants(occasion: Occasion): boolean {
    const observed = occasion === "end" ? this.observesEnd : this.steps.has(occasion)
    return observed && this.failure === undefined && !this.saved.has(occasion) && !this.pending.has(occasion)
  }

  /** Whether an observation of its is not made yet, since work goes on beside the run. */
  get isPending(): boolean {
    return this.pending.size > 0
  }

  /**
   * One observation. Its rows are checked and saved, unless it has changed the run; why it failed is saved instead.
   *
   * @returns whether the run is as it was
   */
  readonly observe = (occasion: Occasion, view: unknown, comparing: Comparing): Effect.Effect<boolean> =>
    Effect.tap(this.compared(occasion, view, comparing), () => this.saveFailure)

  private readonly compared = Effect.fnUntraced(
    { self: this },
    function* (this: Watching, occasion: Occasion, view: unknown, comparing: Comparing) {
      const step = occasion === "end" ? this.run.steps : occasion
      const fail = (reason: string) => {
        this.failure = new UnitFailure({ outcome: "failed", reason, step })
      }
      const { observe, finish } = this.probe
      let handedOver: Effect.Effect<void, PluginError> | undefined
      const context = this.context((work) => {
        if (handedOver !== undefined) throw new Error("an observation hands over one work at most")
        handedOver = work
      })
      const body = this.effect(() => (occasion === "end" ? finish! : observe)(view, context))
      const begin = Effect.suspend(() =>
        handedOver === undefined ? Effect.undefined : this.beside.begin(handedOver),
      )
      const { ended, left, change, work } = yield* comparing.around(body, begin)
      const drop = work === undefined ? Effect.void : Fiber.interrupt(work)
      if (change.names.length > 0) {
        yield* drop
        fail(describeChange(change))
        return false
      }
      if (Exit.isFailure(ended) && Cause.hasInterrupts(ended.cause)) {
        yield* comparing.stopIfInterrupted
        fail("it interrupted itself")
        return true
      }
      const rows = yield* this.guarded(ended, step)
      if (rows === undefined) return true
      if (left > 0) {
        yield* drop
        const tensors = left === 1 ? "a tensor" : `${left} tensors`
        fail(`it left ${tensors} behind: use tf.tidy, or dispose of every tensor that the probe makes`)
        return true
      }
      if (work === undefined) {
        yield* this.save(occasion, rows, step)
      } else {
        this.pending.add(occasion)
        yield* this.beside.goOn(
          Effect.gen({ self: this }, function* () {
            const worked = yield* Fiber.await(work)
            if (Exit.isFailure(worked) && Cause.hasInterrupts(worked.cause)) fail("it interrupted itself")
            else if ((yield* this.guarded(Effect.as(worked, true), step)) === true)
              yield* this.save(occasion, rows, step)
            this.pending.delete(occasion)
            yield* this.saveFailure
          }),
        )
      }
      return true
    },
  )

  /** Checks the rows of an observation and saves them: it is then made. */
  private save(occasion: Occasion, rows: readonly Row[], step: number): Effect.Effect<void> {
    const kind = this.observer.gives as unknown as typeof anyObservations
    const written = writeFolder(this.folder(occasion), (folder) => kind.write(folder, rows))
    const failed = ({ message }: FileError | InvalidInput) =>
      new UnitFailure({ outcome: "failed", reason: message, step })
    return Effect.map(this.guarded(Effect.as(Effect.mapError(written, failed), true)), (done) => {
      if (done === true) this.saved.add(occasion)
    })
  }

  /** All rows in the order of their steps, once the run is over. `ended`: why it ended early, if it did. */
  readonly rows = Effect.fnUntraced(
    { self: this },
    function* (this: Watching, ended: PluginError | undefined) {
      if (!this.started || this.missing.length > 0) {
        const missed = this.started
          ? `did not show itself at ${this.missing.map((at) => (at === "end" ? "the end" : `step ${at}`)).join(", ")}`
          : "never showed itself"
        const reason = `the plugin that it watches declares \`watchable\`, but ${missed}: Watch in core/api/watch.ts says what it must call`
        this.failure ??= ended ?? new UnitFailure({ outcome: "failed", reason })
      }
      const rows: Row[] = []
      for (const occasion of this.occasions) {
        const observed =
          this.failure === undefined
            ? yield* this.guarded(anyObservations.read(this.folder(occasion)))
            : undefined
        rows.push(...(observed ?? []))
      }
      return this.failure === undefined
        ? Result.succeed<readonly Row[]>(rows)
        : Result.fail<PluginError>(this.failure)
    },
  )

  private get observesEnd(): boolean {
    return this.started && this.probe.finish !== undefined
  }

  /** All that it observes, in order. */
  private get occasions(): readonly Occasion[] {
    return this.observesEnd ? [...this.steps, "end"] : [...this.steps]
  }

  private get missing(): readonly Occasion[] {
    return this.occasions.filter((occasion) => !this.saved.has(occasion))
  }

  private folder(occasion: Occasion): string {
    const name = occasion === "end" ? occasion : String(occasion).padStart(7, "0")
    return join(this.observer.scratch, `observation-${name}`)
  }

  private get failureFile(): string {
    return join(this.observer.scratch, "failure.json")
  }

  private get saveFailure(): Effect.Effect<void> {
    const { failure } = this
    if (failure === undefined) return Effect.void
    const saved: typeof SavedFailure.infer =
      failure._tag === "UnitFailure"
        ? {
            outcome: failure.outcome,
            reason: failure.reason,
            ...(failure.step !== undefined && { step: failure.step }),
          }
        : { outcome: "failed", reason: failure.message }
    // The failure itself is not lost: the job that ends without a stop reports it.
    return Effect.ignore(writeJson(this.failureFile, saved))
  }

  private get loadFailure(): Effect.Effect<void> {
    const { failureFile } = this
    return Effect.gen({ self: this }, function* () {
      if (!(yield* exists(failureFile))) return
      const saved = yield* this.guarded(readJson(failureFile, SavedFailure))
      if (saved !== undefined) this.failure = new UnitFailure(saved)
    })
  }

  private context(beside: (work: Effect.Effect<void, PluginError>) => void) {
    const { options, inputs, scratch } = this.observer
    return { options, inputs, run: this.run, scratch, beside }
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
  private guarded<A>(body: Effect.Effect<A, PluginError>, step?: number): Effect.Effect<A | undefined> {
    return body.pipe(
      Effect.catchCause((cause) => {
        if (Cause.hasInterrupts(cause)) return Effect.interrupt
        const error = Cause.findError(cause)
        this.failure = Result.isSuccess(error)
          ? error.success
          : new UnitFailure({
              outcome: "failed",
              reason: Cause.pretty(cause),
              ...(step !== undefined && { step }),
            })
        return Effect.succeed(undefined)
      }),
    )
  }
}

/** What observations have left to be done beside the run: one work at a time, since each may hold a copy of the model. */
class Beside {
  private ending: Fiber.Fiber<void> | undefined

  readonly settled: Effect.Effect<void> = Effect.suspend(() =>
    this.ending === undefined ? Effect.void : Effect.asVoid(Fiber.await(this.ending)),
  )

  /** Begins a work when the one before has ended: what it does before it first waits has then been done. */
  begin(work: Effect.Effect<void, PluginError>): Effect.Effect<Fiber.Fiber<void, PluginError>> {
    return Effect.andThen(this.settled, Effect.forkDetach(work, { startImmediately: true }))
  }

  /** What follows on the work that was begun last. */
  goOn(ending: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.map(Effect.forkDetach(ending), (fiber) => {
      this.ending = fiber
    })
  }
}

/** What a probe has started without waiting for it, such as an async function, has mostly ended by then. */
const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 0)))

/** Compares what probes can reach before and after each of several observations of the same model. */
class Comparing {
  private digests: Digests | undefined

  constructor(
    private readonly guard: Guard,
    private readonly restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>,
  ) {}

  readonly around = Effect.fnUntraced(
    { self: this },
    function* (
      this: Comparing,
      observation: Effect.Effect<readonly Row[], PluginError>,
      /** Done afterwards, if that has succeeded: its tensors are not counted as left behind. */
      afterwards: Effect.Effect<Fiber.Fiber<void, PluginError> | undefined>,
    ) {
      const before: Digests = this.digests ?? (yield* this.guard.digests)
      const { ended, left } = yield* this.guard.enclose(Effect.ensuring(this.restore(observation), nextTurn))
      const work = Exit.isSuccess(ended) ? yield* afterwards : undefined
      this.digests = yield* this.guard.digests
      return { ended, left, work, change: changeBetween(before, this.digests) }
    },
  )

  /** Ends the run's fibre if that was to be interrupted. */
  get stopIfInterrupted(): Effect.Effect<void> {
    return this.restore(Effect.void)
  }
}

/** Lets `observers` watch one run. `wanted`: whether the run's own artifact is needed as well. */
export const watching = (wanted: boolean, observers: readonly Observer[]) => {
  const beside = new Beside()
  const watching = observers.map((observer) => new Watching(observer, beside))
  let guard: Guard | undefined
  let spoiled = false

  // An interruption takes effect in an observation or after it, never before its comparison.
  const show = (occasion: Occasion, view: unknown): Effect.Effect<void> =>
    Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
        if (guard === undefined) return
        const comparing = new Comparing(guard, restore)
        for (const each of watching) {
          // Its work may fail, and then it observes no more.
          if (each.wants(occasion) && each.isPending) yield* beside.settled
          if (!each.wants(occasion)) continue
          if (yield* each.observe(occasion, view, comparing)) continue
          spoiled = true
          return yield* Effect.die("a probe has changed the run that it watches")
        }
      }),
    )

  const watch: Watch<unknown> = {
    wanted,
    start: (run, given) => {
      guard = given
      return Effect.forEach(watching, (each) => each.start(run), { discard: true })
    },
    last: () => Math.max(-1, ...watching.map((each) => each.last)),
    wants: (step) => watching.some((each) => each.wants(step)),
    at: show,
    settled: beside.settled,
    end: (view) => Effect.andThen(beside.settled, show("end", view)),
  }

  /**
   * Makes the run, and again as often as an observer has changed it: each time one observer fewer watches.
   *
   * @param discard removes the run's saved state, if the run was stopped just when it had been changed, and so saved that
   */
  const make = <A, E, R>(
    run: Effect.Effect<A, E, R>,
    discard: Effect.Effect<unknown>,
  ): Effect.Effect<A, E, R> =>
    run.pipe(
      Effect.onInterrupt(() => (spoiled ? discard : Effect.void)),
      Effect.ensuring(beside.settled),
      Effect.exit,
      Effect.flatMap((exit) => {
        if (!spoiled || (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause))) return exit
        spoiled = false
        return Effect.andThen(
          Effect.logWarning("a probe has changed the run that it watches: the run is made again without it"),
          make(run, discard),
        )
      }),
    )

  /** @param ended why the run ended early, if it did; an observer that was done by then keeps its rows */
  const observations = (ended: PluginError | undefined): Effect.Effect<Observations> =>
    Effect.map(
      Effect.forEach(watching, (each) =>
        Effect.map(each.rows(ended), (rows) => [each.observer.key, rows] as const),
      ),
      (entries) => new Map(entries),
    )
  return { watch, make, observations }
}
