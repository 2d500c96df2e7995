/** Follows a plan that other processes carry out, by what the store has of it. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect, Schedule } from "effect"
import type { Queue } from "../../api/launcher.ts"
import { type FileError, listNames } from "../../io/files.ts"
import type { Event, Summary } from "../execute.ts"
import type { UnitOutcome } from "../job.ts"
import { type Job, keysGivenBy, type Plan, unitsGivenBy } from "../plan.ts"
import { Leases } from "../store/leases.ts"
import { folderName } from "../store/record.ts"
import { Store } from "../store/store.ts"
import type { Stored } from "../store/stored.ts"
import type { Unit } from "../unit.ts"
import { summaryOf } from "./summary.ts"

/** How often the store is looked at, and the queue. */
const lookEvery = "5 seconds"
const looksPerQueue = 4
/** For about a quarter of an hour: then the store is gone for good. */
const mostLastLooks = 180

/** What is followed, and who is told of it. */
export interface Following {
  readonly launch: string
  /** Their ids. */
  readonly jobs: readonly string[]
  readonly onEvent: (event: Event) => void
  /** Receives what keeps it from looking, and jobs from starting, a line each. */
  readonly onLog: (line: string) => void
}

/**
 * Follows what was submitted of a plan until nothing of it is in the queue any more. While the store cannot be read,
 * that is told, and it is looked at again: the jobs go on.
 *
 * @returns how the plan has ended
 * @throws FileError if the store cannot be read for long after that
 */
export const followQueue = Effect.fn("followQueue")(function* (
  queue: Queue,
  plan: Plan,
  follower: Follower,
  { launch, jobs, onEvent, onLog }: Following,
): Effect.fn.Return<Summary, FileError, Store | Leases> {
  const look = Effect.map(follower.events, (events) => events.forEach(onEvent))
  let trouble = ""
  const told = new Set<string>()
  const tellTrouble = ({ message }: FileError) =>
    Effect.sync(() => {
      if (message !== trouble) onLog(`${message}. That stops no job, and it is tried again`)
      trouble = message
    })
  for (let looks = 1; ; looks++) {
    yield* Effect.sleep(lookEvery)
    yield* Effect.matchEffect(look, {
      onFailure: tellTrouble,
      onSuccess: () =>
        Effect.sync(() => {
          trouble = ""
        }),
    })
    if (looks % looksPerQueue !== 1) continue
    const unfinished = yield* queue.unfinished(jobs)
    if (unfinished?.length === 0) break
    for (const { job, stuck } of unfinished ?? []) {
      if (stuck === undefined || told.has(`${job} ${stuck}`)) continue
      told.add(`${job} ${stuck}`)
      onLog(`the job ${job} will not start by itself: ${stuck}`)
    }
  }
  // What has ended between the two looks.
  return yield* look.pipe(
    Effect.andThen(summaryOf(plan.graph, new Set(plan.jobs.flatMap(keysGivenBy)), launch)),
    Effect.tapError(tellTrouble),
    Effect.retry(Schedule.spaced(lookEvery).pipe(Schedule.upTo({ times: mostLastLooks }))),
  )
})

/** Asks the store from time to time how far the jobs of a plan have come. */
export class Follower {
  private readonly open: Map<Job, Map<Unit, UnitOutcome | undefined>>
  private readonly started = new Set<Job>()
  /** Failures that were there before, which say nothing of this plan. */
  private readonly earlier = new Map<Unit, string>()

  constructor({ jobs }: Plan) {
    this.open = new Map(jobs.map((job) => [job, new Map(unitsGivenBy(job).map((unit) => [unit, undefined]))]))
  }

  /** To be called before the jobs can start. */
  readonly remember: Effect.Effect<void, FileError, Store> = Effect.suspend(() => this.look(true))

  /** What has happened since it was last asked. */
  readonly events: Effect.Effect<readonly Event[], FileError, Store | Leases> = Effect.gen(
    { self: this },
    function* () {
      const events: Event[] = []
      const leased = new Set((yield* (yield* Leases).all).map(({ key }) => key))
      yield* this.look(false)
      for (const [job, units] of this.open) {
        const isLeased = [...units.keys()].some(({ key }) => leased.has(key))
        const outcomes = [...units.values()].flatMap((outcome) => outcome ?? [])
        if (!this.started.has(job) && (isLeased || outcomes.length > 0)) {
          this.started.add(job)
          events.push({ type: "started", job })
        }
        if (outcomes.length < units.size) continue
        this.open.delete(job)
        events.push({ type: "ended", job, outcomes })
      }
      return events
    },
  )

  private readonly look = Effect.fnUntraced({ self: this }, function* (first: boolean) {
    const store = yield* Store
    const folder = join(store.root, "artifacts")
    const names = new Set(yield* listNames(folder))
    for (const units of this.open.values()) {
      for (const [unit, known] of units) {
        const name = folderName(unit.plugin.name, unit.key)
        if (known !== undefined || !names.has(name)) continue
        const stamp = yield* Effect.promise(() => stampOf(join(folder, name)))
        if (first) this.earlier.set(unit, stamp)
        else if (this.earlier.get(unit) !== stamp) units.set(unit, outcomeOf(unit, yield* store.stored(unit)))
      }
    }
  })
}

/** Another one whenever a folder has been replaced. */
const stampOf = (path: string): Promise<string> =>
  fs.stat(path).then(
    ({ ino, mtimeMs }) => `${ino} ${mtimeMs}`,
    () => "",
  )

/** How a unit has ended; undefined if it has not. */
const outcomeOf = ({ key }: Unit, stored: Stored): UnitOutcome | undefined => {
  if (stored.status === "done") return { key, status: "done", seconds: stored.manifest.seconds }
  if (stored.status === "diverged") {
    const { reason, step } = stored.failure
    return { key, status: "diverged", reason, ...(step === undefined ? {} : { step }) }
  }
  return stored.failed === undefined
    ? undefined
    : { key, status: "failed", kind: stored.failed.kind, reason: stored.failed.reason }
}
