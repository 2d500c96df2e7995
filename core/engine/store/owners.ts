/**
 * The processes at work on one store, so that each can tell whether another is still there: from the same machine,
 * from another container, from another host.
 *
 * ```
 * OUT/owners/<id>.json      who it is; locked while it lives, touched every few seconds
 * OUT/tmp/<id>/             what it is writing before it gives it its name
 * OUT/leases/<key>/<id>     what it is making
 * ```
 *
 * Under the same kernel the lock decides, at once: it ends with the process, however it ends. Another host may not see
 * the lock. There a process counts as gone when its file has not been touched for some minutes, by the clock of whoever
 * watches: no two clocks are compared, and a clock that jumps changes nothing. A process that was only suspended for so
 * long may then find that another makes what it was making: both give the same bits, and each is renamed into place. It
 * also finds its file gone, and writes it anew: from then on it is there again.
 */
import { randomBytes } from "node:crypto"
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Context, Effect, Layer, type Scope, Semaphore } from "effect"
import { tryLock } from "../../io/file-lock.ts"
import { attempt, errorCode, type FileError, listNames, remove } from "../../io/files.ts"

/** A process at work: the content of its file. */
export const Owner = type({
  "+": "reject",
  id: "/^[0-9a-f]{16}$/",
  role: "'supervisor' | 'worker' | 'collector'",
  pid: "number.integer >= 1",
  /** The process that has started it: once that is gone, the kernel gives it another parent. */
  "parent?": "number.integer >= 0",
  host: "string",
  /** Of the kernel that runs it, new at every start of the machine; containers of one machine share it. */
  boot: "string | null",
  command: "string",
  started: "string",
  /** Whether its file system knows locks. */
  locked: "boolean",
})
export type Owner = typeof Owner.infer

/** Whether a process is still there; `unknown` as long as another host's has not been watched for long enough. */
export type Life = "alive" | "gone" | "unknown"

/** A process that has a file. */
export interface OwnerSeen extends Owner {
  readonly life: Life
  /** When it last showed that it lives, by its own clock. */
  readonly seen: Date
}

/** How often a process shows that it lives, and after how long without that sign another host takes it for gone, ms. */
export interface Heartbeat {
  readonly every: number
  readonly goneAfter: number
}

/** A training step of a large model blocks the process for seconds; caches of network file systems last a minute. */
const usual: Heartbeat = { every: 10_000, goneAfter: 180_000 }

const ownerId = /^[0-9a-f]{16}$/
const ownerFile = /^([0-9a-f]{16})\.json$/
/** More than a command line can be long. */
const longestFile = 2 ** 18

/** The kernel's id; null where it has none, as on macOS. */
const bootHere = (): string | null => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  } catch {
    return null
  }
}

export class Owners extends Context.Service<
  Owners,
  {
    /** This process, which is at work from the first call on until the scope of the layer ends. */
    readonly self: Effect.Effect<Owner, FileError>
    /** A folder for what this process is writing, on the file system of the store. */
    readonly tmp: Effect.Effect<string, FileError>
    /** A process by its id. One that ended has no file any more, and is gone. */
    readonly lifeOf: (id: string) => Effect.Effect<Life, FileError>
    /** What is known of a process by its id; undefined if it has no file of a known form. */
    readonly find: (id: string) => Effect.Effect<Owner | undefined, FileError>
    /** All processes that have a file, whether or not they are still there. Files of another form are left out. */
    readonly all: Effect.Effect<readonly OwnerSeen[], FileError>
    /** Removes what processes that are gone have left: their temporary files, leases and files. */
    readonly sweep: Effect.Effect<void, FileError>
  }
>()("kasosei/core/Owners") {
  /**
   * @param root the folder of the store
   * @param role what this process does
   */
  static readonly layer = (
    root: string,
    { role, command }: Pick<Owner, "role" | "command">,
    heartbeat: Heartbeat = usual,
  ) => Layer.effect(Owners, ownersOf(root, { role, command }, heartbeat))
}

const ownersOf = Effect.fnUntraced(function* (
  root: string,
  given: Pick<Owner, "role" | "command">,
  { every, goneAfter }: Heartbeat,
): Effect.fn.Return<Owners["Service"], never, Scope.Scope> {
  const folder = join(root, "owners")
  const fileOf = (id: string) => ownerPath(root, id)
  const tmpOf = (id: string) => join(root, "tmp", id)
  const boot = bootHere()
  let begun: { readonly owner: Owner; readonly touch: NodeJS.Timeout; fd: number } | undefined
  /** Writes the file of a process, and locks it for as long as the result is open. */
  const enter = async (ownerOf: (locked: boolean) => Owner, id: string) => {
    await fs.mkdir(folder, { recursive: true })
    // It gets its name once it is locked, so that nobody finds it unlocked.
    const temporary = join(folder, `.${id}.tmp`)
    await fs.rm(temporary, { force: true })
    const fd = openSync(temporary, "wx")
    try {
      const owner = ownerOf(tryLock(fd, "exclusive") === "locked")
      await fs.writeFile(temporary, `${JSON.stringify(owner, null, 1)}\n`)
      await fs.rename(temporary, fileOf(id))
      return { owner, fd }
    } catch (cause) {
      closeSync(fd)
      await fs.rm(temporary, { force: true })
      throw cause
    }
  }
  /** Shows that this process lives, and appears again if another host has taken it for gone. */
  const show = async (owner: Owner): Promise<void> => {
    const now = new Date()
    try {
      await fs.utimes(fileOf(owner.id), now, now)
    } catch (cause) {
      if (errorCode(cause) !== "ENOENT") return
      const { fd } = await enter((locked) => ({ ...owner, locked }), owner.id)
      if (begun === undefined) {
        // It has ended meanwhile.
        await fs.rm(fileOf(owner.id), { force: true })
        closeSync(fd)
        return
      }
      closeSync(begun.fd)
      begun.fd = fd
    }
  }
  const begin = attempt("write", folder, async () => {
    const id = randomBytes(8).toString("hex")
    const started = new Date().toISOString()
    const { owner, fd } = await enter(
      (locked) => ({
        id,
        ...given,
        pid: process.pid,
        parent: process.ppid,
        host: hostname(),
        boot,
        started,
        locked,
      }),
      id,
    )
    let showing = false
    const touch = setInterval(() => {
      if (showing) return
      showing = true
      // What cannot be written now is written the next time.
      show(owner).then(
        () => (showing = false),
        () => (showing = false),
      )
    }, every)
    touch.unref()
    begun = { owner, fd, touch }
    return owner
  })
  const one = yield* Semaphore.make(1)
  const self = one.withPermit(
    Effect.suspend(() => (begun === undefined ? begin : Effect.succeed(begun.owner))),
  )
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      if (begun === undefined) return
      const { owner, fd, touch } = begun
      begun = undefined
      clearInterval(touch)
      yield* remove(tmpOf(owner.id))
      yield* remove(fileOf(owner.id))
      closeSync(fd)
    }),
  )

  /** When this process first saw another host's file with its present time. */
  const sightings = new Map<string, { readonly touched: number; readonly since: number }>()

  const look = (path: string, id: string): Seen | undefined => {
    let fd: number
    try {
      // Opened anew each time: only then does a network file system ask the server for the file's times.
      fd = openSync(path, "r")
    } catch (cause) {
      if (errorCode(cause) === "ENOENT") return undefined
      throw cause
    }
    try {
      const { mtimeMs, mtime, size } = fstatSync(fd)
      const owner = ownerIn(size > longestFile ? "" : readFileSync(fd, "utf8"))
      const lock = tryLock(fd, "shared")
      // A lock that could be taken says that it is gone only if it could not have been taken while it was there.
      const isExact = lock === "locked" && owner?.locked === true && isOfThisKernel(owner)
      const life = lock === "held" ? "alive" : isExact ? "gone" : watched(id, mtimeMs)
      return { owner, life, seen: mtime }
    } finally {
      closeSync(fd)
    }
  }

  const isOfThisKernel = (owner: Owner): boolean =>
    owner.boot === boot && (boot !== null || owner.host === hostname())

  const watched = (id: string, touched: number): Life => {
    const now = performance.now()
    const before = sightings.get(id)
    if (before === undefined) {
      sightings.set(id, { touched, since: now })
      return "unknown"
    }
    if (before.touched !== touched) {
      sightings.set(id, { touched, since: now })
      return "alive"
    }
    return now - before.since > goneAfter ? "gone" : "unknown"
  }

  const lifeOf = (id: string) =>
    attempt("read", fileOf(id), async () => look(fileOf(id), id)?.life ?? ("gone" as const))

  /** Removes the entries of a folder that belong to processes that are gone. */
  const sweepFolder = Effect.fnUntraced(function* (path: string, idOf: (name: string) => string | undefined) {
    for (const name of yield* listNames(path)) {
      const id = idOf(name)
      if (id !== undefined && (yield* lifeOf(id)) === "gone") yield* remove(join(path, name))
    }
  })

  return {
    self,
    tmp: Effect.flatMap(self, ({ id }) =>
      attempt("make", tmpOf(id), async () => {
        await fs.mkdir(tmpOf(id), { recursive: true })
        return tmpOf(id)
      }),
    ),
    lifeOf,
    find: (id) => attempt("read", fileOf(id), async () => look(fileOf(id), id)?.owner),
    all: Effect.flatMap(listNames(folder), (names) =>
      attempt("read", folder, async () =>
        names.flatMap((name) => {
          const id = ownerFile.exec(name)?.[1]
          const there = id === undefined ? undefined : look(fileOf(id), id)
          return there?.owner === undefined ? [] : [{ ...there.owner, life: there.life, seen: there.seen }]
        }),
      ),
    ),
    sweep: Effect.gen(function* () {
      const itself = (name: string) => (ownerId.test(name) ? name : undefined)
      yield* sweepFolder(join(root, "tmp"), itself)
      const leases = join(root, "leases")
      for (const key of yield* listNames(leases)) {
        yield* sweepFolder(join(leases, key), itself)
        yield* removeEmpty(join(leases, key))
      }
      // Last, since without its file a process counts as gone.
      yield* sweepFolder(folder, (name) => ownerFile.exec(name)?.[1])
      for (const name of yield* listNames(folder)) {
        const path = join(folder, name)
        const unfinished = /^\.[0-9a-f]{16}\.tmp$/.test(name) && look(path, name)?.life === "gone"
        if (unfinished) yield* remove(path)
      }
    }),
  }
})

/** The file of a process that is at work on the store `root`, which that process has open. */
export const ownerPath = (root: string, id: string): string => join(root, "owners", `${id}.json`)

/** A process in words: `process 4123 on node7`. */
export const describeOwner = (owner: Owner | undefined): string =>
  owner === undefined ? "another process" : `process ${owner.pid} on ${owner.host}`

interface Seen {
  /** Undefined if its file is of another form: of another version of this program, or half written. */
  readonly owner: Owner | undefined
  readonly life: Life
  /** When it last showed that it lives, by its own clock. */
  readonly seen: Date
}

/** Removes a folder if nothing is in it. */
export const removeEmpty = (folder: string): Effect.Effect<void> =>
  Effect.promise(() => fs.rmdir(folder).catch(() => {}))

const ownerIn = (text: string): Owner | undefined => {
  try {
    const owner = Owner(JSON.parse(text))
    return owner instanceof type.errors ? undefined : owner
  } catch {
    return undefined
  }
}
