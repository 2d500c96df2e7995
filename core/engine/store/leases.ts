/**
 * Who makes which unit, when several processes work on one store: each unit is made by one of them at a time.
 *
 * A process announces itself with a file of its own in the unit's folder and then looks for others there. If another one
 * that lives is in it, it takes its file back. So of two that come at once either one sees the other, or both do and
 * the one with the greater id steps back, or both do for a moment; never do both go on. What a process that is gone has
 * left there is passed over, and whoever removes it removes that file alone: nobody takes anything from a process that
 * lives. (The announcing is L. Lamport's, "A new solution of Dijkstra's concurrent programming problem", 1974; a file
 * that is created and a folder that is listed afterwards are ordered on local file systems, and on NFS, which lists a
 * folder anew after it was changed.)
 */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { type } from "arktype"
import { Context, Effect, Layer, type Scope } from "effect"
import { attempt, errorCode, type FileError, listNames, readJson, remove } from "../../io/files.ts"
import { type Owner, Owners, removeEmpty } from "./owners.ts"

/** What is leased: a unit. */
export interface Leased {
  readonly key: string
  readonly label: string
}

/** The content of a lease's file. */
const Lease = type({ "+": "reject", key: "string", label: "string", taken: "string" })

/** A unit that is being made, and by whom. */
export interface LeaseFound extends Leased {
  readonly taken: string
  /** The process's id. */
  readonly owner: string
}

/** That another process makes one of the units. */
export interface Held {
  readonly key: string
  /** Its id. */
  readonly owner: string
}

export class Leases extends Context.Service<
  Leases,
  {
    /**
     * Takes the leases of all units, or of none, without waiting; they end with the scope.
     *
     * @returns undefined if they are taken, or else one that another process has
     */
    readonly take: (units: readonly Leased[]) => Effect.Effect<Held | undefined, FileError, Scope.Scope>
    /** All leases of processes that are not gone. */
    readonly all: Effect.Effect<readonly LeaseFound[], FileError>
  }
>()("kasosei/core/Leases") {
  /** @param root the folder of the store */
  static readonly layer = (root: string) => Layer.effect(Leases, leasesOf(root))
}

/** How long the first of two that come at once waits for the other to step back, ms. */
const stepBack = 20

/** A lease's file is short. */
const longestLease = 2 ** 16

const leasesOf = Effect.fnUntraced(function* (
  root: string,
): Effect.fn.Return<Leases["Service"], never, Owners> {
  const owners = yield* Owners
  const folder = join(root, "leases")
  const folderOf = (key: string) => join(folder, key.slice(0, 20))

  const announce = Effect.fnUntraced(function* ({ key, label }: Leased, { id }: Owner) {
    const path = join(folderOf(key), id)
    const lease: typeof Lease.infer = { key, label, taken: new Date().toISOString() }
    yield* attempt("write", path, async () => {
      await fs.mkdir(folder, { recursive: true })
      while (true) {
        // With `recursive` this would fail if the folder were removed while it is looked at.
        await fs.mkdir(folderOf(key)).catch((cause) => {
          if (errorCode(cause) !== "EEXIST") throw cause
        })
        try {
          return await fs.writeFile(path, `${JSON.stringify(lease)}\n`, { flag: "wx" })
        } catch (cause) {
          // Whoever had the lease before has just removed the empty folder.
          if (errorCode(cause) === "ENOENT") continue
          // A file that a full disk has left half written would hold the unit.
          if (errorCode(cause) !== "EEXIST") await fs.rm(path, { force: true })
          throw cause
        }
      }
    })
  })

  const withdraw = (key: string, { id }: Owner) =>
    Effect.andThen(remove(join(folderOf(key), id)), removeEmpty(folderOf(key)))

  /** Another process that has announced itself for the unit and is not gone. */
  const otherIn = Effect.fnUntraced(function* (key: string, { id: own }: Owner) {
    for (const id of yield* listNames(folderOf(key))) {
      if (id !== own && (yield* owners.lifeOf(id)) !== "gone") return id
    }
    return undefined
  })

  const take = Effect.fnUntraced(function* (units: readonly Leased[]) {
    const self = yield* owners.self
    const announced: string[] = []
    const withdrawAll = Effect.suspend(() =>
      Effect.forEach(announced.splice(0), (key) => withdraw(key, self), { discard: true }),
    )
    return yield* Effect.acquireRelease(
      Effect.gen(function* () {
        for (const unit of units) {
          yield* announce(unit, self)
          announced.push(unit.key)
          let other = yield* otherIn(unit.key, self)
          if (other !== undefined && self.id < other) {
            // If both have come at once, the other one steps back.
            yield* Effect.sleep(stepBack)
            other = yield* otherIn(unit.key, self)
          }
          if (other === undefined) continue
          yield* withdrawAll
          return { key: unit.key, owner: other }
        }
        return undefined
      }).pipe(Effect.onError(() => withdrawAll)),
      () => withdrawAll,
    )
  })

  return {
    take,
    all: Effect.gen(function* () {
      const found: LeaseFound[] = []
      for (const name of yield* listNames(folder)) {
        for (const owner of yield* listNames(join(folder, name))) {
          if ((yield* owners.lifeOf(owner)) === "gone") continue
          // It may end while it is being read.
          const lease = yield* Effect.option(readJson(join(folder, name, owner), Lease, longestLease))
          if (lease._tag === "Some") found.push({ ...lease.value, owner })
        }
      }
      return found
    }),
  }
})
