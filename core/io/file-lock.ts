/**
 * Locks of the kernel on open files, by flock(2): they end with the process that has them, however it ends, and hold
 * between processes and containers of one machine, also if each sees process ids of its own. On a network file system
 * they may not be shared with other machines.
 *
 * Neither `node:fs` has them, nor both runtimes under one name, so the C library's function is called. A package in
 * their place, proper-lockfile or lockfile, would give a file that a killed process leaves behind.
 */

import type * as Ffi from "bun:ffi"
import { closeSync, fstatSync, openSync, rmSync, statSync } from "node:fs"
import * as fs from "node:fs/promises"
import { dirname } from "node:path"
import { Effect, type Scope } from "effect"
import { attempt, errorCode, type FileError, fileError } from "./files.ts"

/** From sys/file.h, the same on Linux, macOS and the BSDs. */
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

/** flock(2): 0, or the number of the error. */
type Flock = (fd: number, operation: number) => number

/** The C library by its names, and its function that says where errno is: glibc, musl, macOS. */
const libraries = [
  ["libc.so.6", "__errno_location"],
  [`libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, "__errno_location"],
  ["libSystem.B.dylib", "__error"],
] as const

/** The part of Deno that is needed: its types are not those of this project. */
interface Deno {
  dlopen(
    library: string,
    functions: object,
  ): { readonly symbols: Record<string, (...args: number[]) => never> }
  readonly UnsafePointerView: new (pointer: never) => { getInt32(offset: number): number }
}

const openFlock = (library: string, errno: string): Flock => {
  const { Deno } = globalThis as { readonly Deno?: Deno }
  if (Deno !== undefined) {
    const { symbols } = Deno.dlopen(library, {
      flock: { parameters: ["i32", "i32"], result: "i32" },
      [errno]: { parameters: [], result: "pointer" },
    })
    const View = Deno.UnsafePointerView
    return (fd, operation) =>
      (symbols["flock"]!(fd, operation) as number) === 0 ? 0 : new View(symbols[errno]!()).getInt32(0)
  }
  // Not an import, since Deno looks for it then.
  const { dlopen, read } = process.getBuiltinModule("bun:ffi") as typeof Ffi
  const { symbols } = dlopen(library, {
    flock: { args: ["i32", "i32"], returns: "i32" },
    [errno]: { args: [], returns: "ptr" },
  })
  return (fd, operation) =>
    symbols["flock"]!(fd, operation) === 0 ? 0 : read.i32(symbols[errno]!() as Ffi.Pointer, 0)
}

let known: Flock | null | undefined

/** flock(2); null if the C library cannot be called. */
const flock = (): Flock | null => {
  if (known !== undefined) return known
  for (const [library, errno] of libraries) {
    try {
      known = openFlock(library, errno)
      return known
    } catch {
      // Another platform's name.
    }
  }
  known = null
  return known
}

/** EWOULDBLOCK of Linux, and of macOS and the BSDs. */
const wouldBlock = process.platform === "linux" ? 11 : 35

/**
 * Locks an open file unless another has a lock on it, without waiting. The lock ends when the file is closed.
 *
 * @param mode any number may have a shared lock, but none while one has an exclusive one
 * @returns `unsupported` on a file system, or a platform, that knows no such locks
 */
export const tryLock = (fd: number, mode: "shared" | "exclusive"): "locked" | "held" | "unsupported" => {
  const lock = flock()
  if (lock === null) return "unsupported"
  const error = lock(fd, (mode === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB)
  return error === 0 ? "locked" : error === wouldBlock ? "held" : "unsupported"
}

/** Whether an open file is the one at `path`, which whoever had a lock on it may have removed or replaced. */
export const isAt = (fd: number, path: string): boolean => {
  try {
    const [here, there] = [fstatSync(fd), statSync(path)]
    return here.ino === there.ino && here.dev === there.dev
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return false
    throw cause
  }
}

/** Between two attempts to take a lock that another has. */
const retryAfter = "50 millis"

/**
 * Takes the exclusive lock of a file, which is created if it is missing, if no other has it.
 *
 * @returns what removes the file and gives the lock back; undefined if another has it
 */
const takeLock = (path: string): (() => void) | undefined => {
  while (true) {
    const fd = openSync(path, "a")
    const lock = tryLock(fd, "exclusive")
    // Whoever had it may have removed the file: then this is a lock on nothing.
    if (lock === "unsupported" || (lock === "locked" && isAt(fd, path))) {
      return () => {
        rmSync(path, { force: true })
        closeSync(fd)
      }
    }
    closeSync(fd)
    if (lock === "held") return undefined
  }
}

/**
 * The exclusive lock of the file `path` until the scope ends. The file is created if it is missing, and removed with the
 * lock. Waits, and can be interrupted, for as long as another has it. Where there are no such locks, nothing is locked.
 *
 * @throws FileError if the file can be neither created nor opened
 */
export const lockFile = (path: string): Effect.Effect<void, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* attempt("lock", path, () => fs.mkdir(dirname(path), { recursive: true }))
    // Nothing comes between a lock and its release, and only one that was taken is released.
    const take = Effect.try({
      try: () => takeLock(path),
      catch: (cause) => fileError("lock", path, cause),
    }).pipe(
      Effect.tap((release) =>
        release === undefined ? Effect.void : Effect.addFinalizer(() => Effect.sync(release)),
      ),
      Effect.uninterruptible,
    )
    while ((yield* take) === undefined) yield* Effect.sleep(retryAfter)
  })
