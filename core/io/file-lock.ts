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

type Flock = (fd: number, operation: number) => number

/** The C library by its names: glibc, musl, macOS. */
const libraries = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
  "libSystem.B.dylib",
]

/** The part of Deno that is needed: its types are not those of this project. */
interface Deno {
  dlopen(library: string, functions: object): { readonly symbols: { readonly flock: Flock } }
}

const openFlock = (library: string): Flock => {
  const { Deno } = globalThis as { readonly Deno?: Deno }
  if (Deno !== undefined) {
    return Deno.dlopen(library, { flock: { parameters: ["i32", "i32"], result: "i32" } }).symbols.flock
  }
  // Not an import, since Deno looks for it then.
  const { dlopen } = process.getBuiltinModule("bun:ffi") as typeof Ffi
  return dlopen(library, { flock: { args: ["i32", "i32"], returns: "i32" } }).symbols.flock
}

let known: Flock | null | undefined

/** flock(2); null if the C library cannot be called. */
const flock = (): Flock | null => {
  if (known !== undefined) return known
  for (const library of libraries) {
    try {
      known = openFlock(library)
      return known
    } catch {
      // Another platform's name.
    }
  }
  known = null
  return known
}

/**
 * Locks an open file unless another has a lock on it, without waiting. The lock ends when the file is closed.
 *
 * @param mode any number may have a shared lock, but none while one has an exclusive one
 * @returns whether it is locked now: false also on a file system, or a platform, without such locks
 */
export const tryLock = (fd: number, mode: "shared" | "exclusive"): boolean => {
  const lock = flock()
  return lock !== null && lock(fd, (mode === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0
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
    const locked = tryLock(fd, "exclusive")
    // Whoever had it may have removed the file: then this is a lock on nothing.
    if (locked && isAt(fd, path)) {
      return () => {
        rmSync(path, { force: true })
        closeSync(fd)
      }
    }
    closeSync(fd)
    if (!locked) return undefined
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
    if (flock() === null) return
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
