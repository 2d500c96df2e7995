/**
 * The lock of a blob while it is downloaded: flock(2) on the file that Python's huggingface_hub locks, so that one
 * downloads and the others wait. Nothing depends on it but the number of downloads, since each writes to a file of its
 * own.
 */
import { randomBytes } from "node:crypto"
import { closeSync, constants, openSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
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

/** The lock's file, locked; undefined if another has it. */
const tryPath = (path: string): number | undefined => {
  const fd = open(path)
  try {
    // Whoever had it may have removed the file: then this would be a lock on nothing.
    if (tryLock(fd, "exclusive") && isAt(fd, path)) return fd
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
  closeSync(fd)
  return undefined
}

/** Whether the file system has such locks, tried on a file that nobody else knows. */
const locksWork = (folder: string): boolean => {
  const path = join(folder, `.${randomBytes(8).toString("hex")}.lock`)
  const fd = open(path)
  try {
    return tryLock(fd, "exclusive")
  } finally {
    closeSync(fd)
    rmSync(path, { force: true })
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
    (fd) => Effect.sync(() => void (fd === undefined || closeSync(fd))),
  )
  if ((yield* lock) !== undefined) return true
  if (!(yield* attempt("lock", path, async () => locksWork(dirname(path))))) return false
  const began = yield* elapsedMillis
  for (let pause = firstRetry; ; pause = Math.min(longestRetry, 1.5 * pause)) {
    if (!(yield* waiting((yield* elapsedMillis) - began))) return false
    yield* Effect.sleep(pause)
    if ((yield* lock) !== undefined) return true
  }
})
