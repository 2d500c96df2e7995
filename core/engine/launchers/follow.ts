/** Follows a plan that other processes carry out, by what the store has of it. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { type FileError, listNames } from "../../io/files.ts"
import type { Event } from "../execute.ts"
import type { UnitOutcome } from "../job.ts"
import { type Job, type Plan, unitsGivenBy } from "../plan.ts"
import { Leases } from "../store/leases.ts"
import { folderName } from "../store/record.ts"
import { Store } from "../store/store.ts"
import type { Stored } from "../store/stored.ts"
import type { Unit } from "../unit.ts"

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
