import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Data, Effect } from "effect"
import { attempt, errorCode, type FileError, remove } from "./files.ts"

/** Another process is working on the same folder of results. */
export class OutInUse extends Data.TaggedError("OutInUse")<{
  readonly out: string
  readonly process: string
}> {
  override get message() {
    const holder = this.process === "unknown" ? "another process" : `process ${this.process}`
    return `--out ${this.out} is in use by ${holder}: wait for it to end, or choose another folder. If it is not a run of this project, remove ${join(this.out, "lock")}`
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

/** A lock without a number is being written, or was left by a full disk: after this long (ms) it is the latter. */
const writtenWithin = 10_000

/** The process that holds a lock; undefined where it is gone. */
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
 * Makes the file `path`, which says that this process alone is at work; to be removed at the end. A lock left behind by
 * a process that is gone is taken over.
 *
 * Our own rather than proper-lockfile, the usual package (last released in 2021, no types): it takes a lock over once
 * its holder has not touched it for some seconds, even if that process is alive and merely suspended.
 *
 * @returns undefined, or the process that holds it already
 * @throws what `node:fs` throws where the file can neither be made nor read
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
    // Whoever came first to a lock that was left behind has it now.
    if (attempt > 0) return "unknown"
    await fs.rm(path, { force: true })
  }
}

/** Keeps other processes from working on the folder `out` until the scope ends. */
export const lockOut = Effect.fn("lockOut")(function* (out: string) {
  const path = join(out, "lock")
  const acquire: Effect.Effect<void, FileError | OutInUse> = Effect.gen(function* () {
    yield* attempt("make", out, () => fs.mkdir(out, { recursive: true }))
    const holder = yield* attempt("write", path, () => takeLock(path))
    if (holder !== undefined) return yield* new OutInUse({ out, process: holder })
  })
  yield* Effect.acquireRelease(acquire, () => remove(path))
})
