/** Runs one job in this process: opens its inputs, runs the plugin, writes the output. */
import { join } from "node:path"
import { Cause, Effect, Result } from "effect"
import { UnitFailure } from "../api/failure.ts"
import type { AnyPlugin, CohortTaken, Outcome, PluginError } from "../api/plugin.ts"
import type { Progress } from "../api/progress.ts"
import type { AnyArtifactKind } from "../artifacts/kind.ts"
import { elapsedMillis } from "../io/clock.ts"
import type { InvalidInput } from "../io/decode.ts"
import { canonicalJson, sha256 } from "../io/digest.ts"
import { FileError, readJson, remove, writeJson } from "../io/files.ts"
import { editedPath } from "./content-digest.ts"
import { differencesOf } from "./differences.ts"
import type { FailureKind } from "./messages.ts"
import { type Job, jobFor, unitsGivenBy } from "./plan.ts"
import { makerHere, type Origin, provenanceOf } from "./provenance.ts"
import { measureSpent, Spent } from "./spent.ts"
import type { DamagedArtifact } from "./store/damage.ts"
import { describeScratch } from "./store/scratch.ts"
import { type ArtifactMaking, Store } from "./store/store.ts"
import { type CohortsOf, type Unit, unitsOf } from "./unit.ts"
import { type Observer, watching } from "./watch.ts"

/** How a unit ended. */
export type UnitOutcome =
  | {
      readonly key: string
      readonly status: "done"
      readonly seconds: number
      /** If another process made it meanwhile. */
      readonly elsewhere?: true
    }
  | {
      readonly key: string
      readonly status: "diverged"
      readonly reason: string
      readonly step?: number
    }
  | {
      readonly key: string
      readonly status: "failed"
      readonly kind: FailureKind
      readonly reason: string
      readonly step?: number
      /** Of a unit that is "blocked" or "unneeded": the key of the unit whose failure is the reason. */
      readonly without?: string
    }

/** Why the artifacts of some units are missing, by key. */
export type Missing = ReadonlyMap<string, Extract<UnitOutcome, { reason: string }>>

const failed = (key: string, error: PluginError | DamagedArtifact): UnitOutcome =>
  error._tag === "UnitFailure"
    ? {
        key,
        ...(error.outcome === "failed" ? { status: "failed", kind: "plugin" } : { status: "diverged" }),
        reason: error.reason,
        ...(error.step === undefined ? {} : { step: error.step }),
      }
    : {
        key,
        status: "failed",
        kind: kindOf(error),
        reason: error.message,
      }

const kindOf = (error: Exclude<PluginError, UnitFailure> | DamagedArtifact): FailureKind => {
  if (error._tag === "DamagedArtifact") return "input"
  return error._tag === "FileError" && error.isOfDisk === true ? "disk" : "plugin"
}

/** A plugin and a kind of artifact without their types; the nodes of the graph were typed. */
type OpenRun = (context: unknown) => Effect.Effect<unknown, PluginError, Progress>
interface OpenKind {
  readonly write: (folder: string, given: unknown) => Effect.Effect<void, FileError | InvalidInput>
}

/** What a stopped job left can only be resumed by the same work with the same observers. */
const scratchKeyOf = ({ unit, wanted, observers }: Job): string =>
  sha256([unit.key, wanted, ...observers.map(({ key }) => key).sort()].join(" "))

/**
 * Runs a job.
 *
 * @param backend the arithmetic of the backend that runs here
 * @param missing cohort members whose units diverged or failed; reports list them
 * @param origin what makes it here, and on whose request
 * @returns how each wanted unit ended, failures included; only an interruption escapes
 */
export const runJob = Effect.fn("runJob")(function* (
  job: Job,
  backend: string,
  missing: Missing,
  origin: Origin,
): Effect.fn.Return<readonly UnitOutcome[], never, Store | Progress> {
  const store = yield* Store
  const { unit, wanted, observers } = job
  const started = yield* elapsedMillis
  const scratchKey = scratchKeyOf(job)
  const measured = measureSpent()
  /** What was spent on it until it was stopped, if it was. */
  let before: Spent = { seconds: 0, cpuSeconds: 0, peakMemory: 0 }
  const spent = Effect.map(elapsedMillis, (now) => measured(before, (now - started) / 1000))
  const making = (part: Unit, fraction: number) =>
    Effect.map(spent, ({ seconds, cpuSeconds, peakMemory }) => ({
      backend: part.plugin.usesBackend ? backend : null,
      missing: missingOf(part, missing),
      seconds: seconds * fraction,
      madeBy: {
        ...makerHere(part, origin),
        run: origin.run,
        cpuSeconds: cpuSeconds * fraction,
        peakMemory,
      },
    }))
  // One process ran them all: each is charged its fraction of the time, in proportion to its FLOPs.
  const fractionOf = (part: Unit) => (job.cost.flops > 0 ? part.cost.flops / job.cost.flops : 1)

  const body = Effect.fnUntraced(function* (
    interruptible: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  ) {
    const scratch = yield* store.scratch(scratchKey)
    yield* describeScratch(scratch, { label: unit.label, keys: unitsGivenBy(job).map(({ key }) => key) })
    before = yield* Effect.orElseSucceed(readJson(join(scratch, spentFile), Spent), () => before)
    const watchers: Observer[] = []
    const outcomes: UnitOutcome[] = []
    for (const observer of observers) {
      const { key, plugin, options } = observer
      const inputs = yield* takeInputs(observer, missing).pipe(interruptible, asResult)
      if (Result.isFailure(inputs)) outcomes.push(failed(key, inputs.failure))
      else {
        watchers.push({
          key,
          probe: plugin.probe!,
          gives: plugin.gives,
          options,
          inputs: inputs.success,
          scratch: join(scratch, `observer-${key.slice(0, 20)}`),
        })
      }
    }
    const watched = watching(wanted, watchers)
    const run = unit.plugin.run as unknown as OpenRun
    const damaged: DamagedArtifact[] = []
    const ran = yield* takeInputs(unit, missing).pipe(
      Effect.flatMap((inputs) =>
        run({
          options: unit.options,
          inputs,
          scratch: join(scratch, "unit"),
          backend,
          provenance: Effect.provideService(provenanceOf(unit, missing, origin), Store, store),
          differences: differencesOf(unit),
          watch: watched.watch,
        }),
      ),
      Effect.catchTag("DamagedArtifact", (error) => {
        damaged.push(error)
        return Effect.fail(new UnitFailure({ outcome: "failed", reason: error.message }))
      }),
      (body) => watched.make(body, remove(join(scratch, "unit"))),
      interruptible,
      asResult,
    )
    const [damage] = damaged
    if (damage !== undefined) {
      const without = [...(wanted ? [unit] : []), ...watchers]
      return [...outcomes, ...without.map(({ key }) => failed(key, damage))]
    }
    if (wanted) outcomes.push(yield* storeOutcome(unit, ran, yield* making(unit, fractionOf(unit))))
    const ended = Result.isFailure(ran) ? ran.failure : undefined
    for (const [key, rows] of yield* watched.observations(ended)) {
      const observer = observers.find((candidate) => candidate.key === key)!
      outcomes.push(yield* storeOutcome(observer, rows, yield* making(observer, fractionOf(observer))))
    }
    return outcomes
  })
  // If a stop comes meanwhile, what was computed is still written and its scratch freed, or it would be lost.
  return yield* Effect.uninterruptibleMask((restore) =>
    body(restore).pipe(
      Effect.onInterrupt(() =>
        Effect.all([store.scratch(scratchKey), spent]).pipe(
          Effect.flatMap(([scratch, soFar]) => writeJson(join(scratch, spentFile), soFar)),
          Effect.ignore,
        ),
      ),
      Effect.catch((error) =>
        Effect.succeed([...(wanted ? [unit] : []), ...observers].map(({ key }) => failed(key, error))),
      ),
      Effect.tap((outcomes) => (outcomes.some(isResumable) ? Effect.void : store.freeScratch(scratchKey))),
    ),
  )
})

/**
 * Whether what a job has saved is of use when it is made again: made anew, a damaged input has the same bits, and a disk
 * may have room by then. What a plugin fails of would only come again.
 */
const isResumable = (outcome: UnitOutcome): boolean =>
  outcome.status === "failed" && (outcome.kind === "input" || outcome.kind === "disk")

/**
 * What a job has left to do: nothing of what another process has made since the plan was.
 *
 * @returns how the units ended that are there, and a job for the others, if there are any
 */
export const remaining = Effect.fn("remaining")(function* (job: Job, missing: Missing) {
  const store = yield* Store
  const outcomes: UnitOutcome[] = []
  const isThere = Effect.fnUntraced(function* (unit: Unit) {
    const stored = yield* Effect.orElseSucceed(store.stored(unit), () => ({ status: "absent" as const }))
    if (stored.status === "absent") return false
    if (stored.status === "diverged") {
      outcomes.push(failed(unit.key, stored.failure))
      return true
    }
    // A report that was made with other members missing is made again.
    const lacks = missingOf(unit, missing)
    if (canonicalJson([...stored.manifest.missing].sort()) !== canonicalJson([...lacks].sort())) return false
    outcomes.push({ key: unit.key, status: "done", seconds: 0, elsewhere: true })
    return true
  })
  const wanted = job.wanted && !(yield* isThere(job.unit))
  const observers = yield* Effect.filter(job.observers, (observer) =>
    Effect.map(isThere(observer), (there) => !there),
  )
  if (outcomes.length === 0) return { job, outcomes }
  // What is left is another job. Whoever made the rest may have been killed before it freed this.
  yield* store.freeScratch(scratchKeyOf(job))
  const left = wanted || observers.length > 0 ? jobFor(job.unit, wanted, observers) : undefined
  return { job: left, outcomes }
})

/** In the scratch folder of a job that was stopped: what was spent on it so far. */
const spentFile = "spent.json"

/** Success or failure as data; a bug becomes a failure with its stack trace. Interruption passes through. */
const asResult = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<Result.Result<A, E | UnitFailure>, never, R> =>
  effect.pipe(
    Effect.map((value): Result.Result<A, E | UnitFailure> => Result.succeed(value)),
    Effect.catchCause((cause) => {
      if (Cause.hasInterrupts(cause)) return Effect.interrupt
      const error = Cause.findError(cause)
      const failure = Result.isSuccess(error)
        ? error.success
        : new UnitFailure({ outcome: "failed", reason: memoryReason(cause) ?? Cause.pretty(cause) })
      return Effect.succeed(Result.fail<E | UnitFailure>(failure))
    }),
  )

/** If a device has run out of memory, which is no bug: how much was wanted and is free, as it says. */
const memoryReason = (cause: Cause.Cause<unknown>): string | undefined => {
  const error = Cause.squash(cause)
  return error instanceof Error && "code" in error && error.code === "OUT_OF_MEMORY"
    ? `${error.message}. Use options that need less memory, fewer jobs at a time, or a device with more`
    : undefined
}

const storeOutcome = Effect.fnUntraced(function* (
  unit: Unit,
  result: Result.Result<unknown, PluginError>,
  making: ArtifactMaking,
) {
  const store = yield* Store
  if (Result.isFailure(result)) {
    const error = result.failure
    if (error._tag === "UnitFailure" && error.outcome === "diverged") {
      const written = yield* asResult(store.writeDivergence(unit, error, making))
      if (Result.isFailure(written)) return failed(unit.key, written.failure)
    }
    return failed(unit.key, error)
  }
  const kind = unit.plugin.gives as unknown as OpenKind
  const written = yield* asResult(
    store.write<never>(unit, making, (folder) =>
      Effect.andThen(kind.write(folder, result.success), checkUnedited(unit)),
    ),
  )
  return Result.isFailure(written)
    ? failed(unit.key, written.failure)
    : ({ key: unit.key, status: "done", seconds: making.seconds } satisfies UnitOutcome)
})

/** The unit's key stands for the content that its files had at the start. */
const checkUnedited = (unit: Unit): Effect.Effect<void, FileError> =>
  Effect.flatMap(editedPath(unit.parts.read), (path) =>
    path === undefined
      ? Effect.void
      : Effect.fail(
          new FileError({
            path,
            doing: "use",
            found: "it was edited after the start",
            advice: "Start again to use the new version",
          }),
        ),
  )

/** The keys of the cohort members that a unit does without. */
const missingOf = (unit: Unit, missing: Missing): readonly string[] =>
  Object.values(unit.inputs).flatMap((input) =>
    "one" in input ? [] : unitsOf(input).flatMap(({ key }) => (missing.has(key) ? [key] : [])),
  )

/** The artifacts that a unit takes, opened and verified. */
const takeInputs = Effect.fnUntraced(function* (unit: Unit, missing: Missing) {
  const taken: Record<string, unknown> = {}
  for (const [name, input] of Object.entries(unit.inputs)) {
    taken[name] = "one" in input ? yield* read(input.one) : yield* readCohorts(input.cohorts, missing)
  }
  return taken
})

const read = Effect.fnUntraced(function* (unit: Unit) {
  const store = yield* Store
  const folder = yield* store.open(unit)
  return yield* (unit.plugin.gives as AnyArtifactKind)
    .read(folder)
    // What cannot be read may have been damaged since it was verified.
    .pipe(Effect.tapError(() => store.open(unit, "again")))
})

const readCohorts = (given: CohortsOf<Unit>, missing: Missing) =>
  Effect.forEach(
    given,
    Effect.fnUntraced(function* ({ labels, members }) {
      const outcomes = yield* Effect.forEach(
        members,
        Effect.fnUntraced(function* ({ seed, value: unit }) {
          const why = missing.get(unit.key)
          const outcome: Outcome<unknown> =
            why === undefined ? { status: "done", value: yield* read(unit) } : { ...why }
          return { seed, outcome }
        }),
      )
      return { labels, members: outcomes } satisfies CohortTaken<unknown>
    }),
  )

/** Whether a job needs a tensor backend started before it runs. */
export const usesBackend = (job: Job): boolean =>
  [job.unit, ...job.observers].some(({ plugin }: { readonly plugin: AnyPlugin }) => plugin.usesBackend)
