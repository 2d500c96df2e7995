/**
 * The lock of a blob while it is downloaded: flock(2) on the file that Python's huggingface_hub locks, so that one
 * downloads and the others wait. Nothing depends on it but the number of downloads, since each writes to a file of its
 * own.
 */
import { closeSync, constants, openSync } from "node:fs"
import { Effect, type Scope } from "effect"
import { elapsedMillis } from "../io/clock.ts"
import { isAt, tryLock } from "../io/file-lock.ts"
import { attempt, type FileError } from "../io/files.ts"

/** Between attempts to take a lock, ms: at first, and at most. */
const firstRetry = 50
const longestRetry = 1000

/** Of the lock, for all who share the cache, as in Python. */
const mode = 0o664

// A symbolic link in its place is not followed.
const open = (path: string): number =>
  openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, mode)

/** The lock's file, locked; `held` if another has it. */
const tryPath = (path: string): number | "held" | "unsupported" => {
  const fd = open(path)
  try {
    const lock = tryLock(fd, "exclusive")
    // Whoever had it may have removed the file: then this would be a lock on nothing.
    if (lock === "locked" && isAt(fd, path)) return fd
    closeSync(fd)
    return lock === "unsupported" ? lock : "held"
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}

/**
 * Waits for a lock, which is held until the scope ends.
 *
 * @param path in a folder that exists
 * @param waiting told at each attempt, with how long it has waited, ms; false gives up
 * @returns whether the lock was taken: not where there are no such locks, or if it was given up
 */
export const takeBlobLock = Effect.fnUntraced(function* <R>(
  path: string,
  waiting: (waited: number) => Effect.Effect<boolean, never, R>,
): Effect.fn.Return<boolean, FileError, R | Scope.Scope> {
  const lock = Effect.acquireRelease(
    attempt("lock", path, async () => tryPath(path)),
    (fd) => Effect.sync(() => void (typeof fd !== "number" || closeSync(fd))),
  )
  let taken = yield* lock
  const began = yield* elapsedMillis
  for (let pause = firstRetry; taken === "held"; pause = Math.min(longestRetry, 1.5 * pause)) {
    if (!(yield* waiting((yield* elapsedMillis) - began))) return false
    yield* Effect.sleep(pause)
    taken = yield* lock
  }
  return taken !== "unsupported"
})
