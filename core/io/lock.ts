import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Data, Effect } from "effect"
import { attempt, errorCode, type FileError, remove } from "./files.ts"

/** Another process is using the same results folder. */
export class OutInUse extends Data.TaggedError("OutInUse")<{
  readonly out: string
  readonly process: string
}> {
  override get message() {
    const holder = this.process === "unknown" ? "another process" : `process ${this.process}`
    return `--out ${this.out} is in use by ${holder}: wait for it to end or choose another folder; if it is not a kasosei process, delete ${join(this.out, "lock")}`
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return errorCode(cause) === "EPERM"
  }
}

/** A lock without a process id is being written or was left by a full disk; after this long (ms), the latter. */
const writtenWithin = 10_000

/** The process that holds a lock; undefined if that process, or the lock, is gone. */
const holderOf = async (path: string): Promise<string | undefined> => {
  try {
    const holder = (await fs.readFile(path, "utf8")).trim()
    if (/^\d+$/.test(holder)) return isAlive(Number(holder)) ? holder : undefined
    const { mtimeMs } = await fs.stat(path)
    return Date.now() - mtimeMs < writtenWithin ? "unknown" : undefined
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return undefined
    throw cause
  }
}

/**
 * Creates the lock `path`, a file with this process's id; the caller removes it at the end. A lock left by a process
 * that is gone is taken over.
 *
 * Our own rather than proper-lockfile, the usual package (last released in 2021, no types): that takes over a lock
 * whose holder has not touched it for some seconds, even if the process is alive and merely suspended.
 *
 * @returns undefined if the lock was taken, or else the process that holds it
 * @throws what `node:fs` throws if the file can be neither created nor read
 */
export const takeLock = async (path: string): Promise<string | undefined> => {
  for (let attempt = 0; ; attempt++) {
    try {
      await fs.writeFile(path, `${process.pid}\n`, { flag: "wx" })
      return undefined
    } catch (cause) {
      if (errorCode(cause) !== "EEXIST") throw cause
    }
    const holder = await holderOf(path)
    if (holder !== undefined) return holder
    // Another process took over the stale lock first.
    if (attempt > 0) return "unknown"
    await removeStale(path)
  }
}

/**
 * Removes the lock of a process that is gone. Only the process that holds the claim beside it does so, and checks again
 * first: otherwise, of two that find a stale lock, the slower one would remove the lock that the faster one took.
 */
const removeStale = async (path: string): Promise<void> => {
  const claim = `${path}.claim`
  try {
    await fs.writeFile(claim, `${process.pid}\n`, { flag: "wx" })
  } catch (cause) {
    if (errorCode(cause) !== "EEXIST") throw cause
    // A claim is held for moments; an old one was left by a process that was killed meanwhile.
    const claimed = await fs.stat(claim).catch(() => undefined)
    if (claimed !== undefined && Date.now() - claimed.mtimeMs > writtenWithin)
      await fs.rm(claim, { force: true })
    return
  }
  try {
    if ((await holderOf(path)) === undefined) await fs.rm(path, { force: true })
  } finally {
    await fs.rm(claim, { force: true })
  }
}

/** Locks the folder `out` against other processes until the scope ends. */
export const lockOut = Effect.fn("lockOut")(function* (out: string) {
  const path = join(out, "lock")
  const acquire: Effect.Effect<void, FileError | OutInUse> = Effect.gen(function* () {
    yield* attempt("make", out, () => fs.mkdir(out, { recursive: true }))
    const holder = yield* attempt("write", path, () => takeLock(path))
    if (holder !== undefined) return yield* new OutInUse({ out, process: holder })
  })
  yield* Effect.acquireRelease(acquire, () => remove(path))
})
