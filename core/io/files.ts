/**
 * Reading and writing files as effects. Failures are {@link FileError} values that say which file, what was being
 * done, what went wrong, and what to do about it.
 */
import { randomBytes } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import { dirname, join, relative, sep } from "node:path"
import type { type } from "arktype"
import { Context, Data, Effect } from "effect"
import { decode, type InvalidInput } from "./decode.ts"
import { flushFolder, flushTree, makeFolder, writeFlushed } from "./flush.ts"
import { parseJson } from "./json.ts"

export class FileError extends Data.TaggedError("FileError")<{
  readonly path: string
  readonly doing: string
  readonly found: string
  readonly advice?: string
  /** Whether the disk is the reason, not what was to be read or written: it may go well another time. */
  readonly isOfDisk?: boolean
}> {
  override get message() {
    return `cannot ${this.doing} ${this.path}: ${this.found}${this.advice === undefined ? "" : `. ${this.advice}`}`
  }
}

const reasons: Record<string, readonly [found: string, advice?: string]> = {
  ENOENT: ["there is no such file or folder"],
  EACCES: ["permission denied"],
  EPERM: ["permission denied"],
  EISDIR: ["expected a file, found a folder"],
  ENOTDIR: ["expected a folder, but part of the path is a file"],
  ELOOP: ["its symbolic links form a loop"],
  EEXIST: ["a file with that name already exists"],
  EROFS: ["the file system is read-only", "Choose another folder with --out"],
  ENOSPC: ["the disk is full", "Free some space and start again: finished work is kept"],
  EDQUOT: ["the disk quota is exhausted", "Free some space and start again: finished work is kept"],
  EMFILE: ["too many open files"],
}

/** Full, read-only, broken, or out of reach. */
const ofDisk: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE", "ETIMEDOUT"])

/** The code of an error from node:fs, such as `ENOENT`; empty if it has none. */
export const errorCode = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : ""

/** Turns whatever node:fs threw into a {@link FileError}. */
export const fileError = (doing: string, path: string, cause: unknown): FileError => {
  if (cause instanceof FileError) return cause
  const code = errorCode(cause)
  const [found, advice] = reasons[code] ?? [cause instanceof Error ? cause.message : String(cause)]
  return new FileError({
    path,
    doing,
    found,
    ...(advice === undefined ? {} : { advice }),
    ...(ofDisk.has(code) ? { isOfDisk: true } : {}),
  })
}

/** Runs `body`, which works on the file or folder `path`, and turns what it throws into a {@link FileError}. */
export const attempt = <A>(
  doing: string,
  path: string,
  body: () => Promise<A>,
): Effect.Effect<A, FileError> =>
  Effect.tryPromise({ try: body, catch: (cause) => fileError(doing, path, cause) })

/**
 * The bytes of a file of at most `limit` bytes.
 *
 * @throws FileError if the file is missing, unreadable or larger than `limit`
 */
export const readBytes = (
  path: string,
  limit = 2 ** 31 - 1,
): Effect.Effect<Uint8Array<ArrayBuffer>, FileError> =>
  attempt("read", path, async () => {
    const { size } = await fs.stat(path)
    if (size > limit) {
      throw new FileError({
        path,
        doing: "read",
        found: `expected at most ${limit} bytes, found ${size}`,
      })
    }
    const { buffer, byteOffset, byteLength } = await fs.readFile(path)
    return new Uint8Array(buffer, byteOffset, byteLength)
  })

/**
 * Decodes UTF-8 strictly: invalid bytes are an error that names their line, rather than silently replaced. A byte
 * order mark is dropped.
 */
const decodeUtf8 = (path: string, bytes: Uint8Array): Effect.Effect<string, FileError> =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () =>
      new FileError({
        path,
        doing: "read",
        found: `line ${firstInvalidLine(bytes)} is not UTF-8`,
        advice: "Convert it to UTF-8",
      }),
  })

const firstInvalidLine = (bytes: Uint8Array): number => {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let line = 1
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start)
    const end = newline < 0 ? bytes.length : newline + 1
    try {
      decoder.decode(bytes.subarray(start, end))
    } catch {
      return line
    }
    start = end
  }
  return line
}

/** Bytes of a text that are read unless a reader sets another limit: the longest string of some runtimes. */
const longestText = 2 ** 29 - 24
/** Bytes of a JSON file that are read unless a reader sets another limit. */
const largestJson = 2 ** 28

/** The text of a UTF-8 file. */
export const readText = (path: string, limit = longestText): Effect.Effect<string, FileError> =>
  Effect.flatMap(readBytes(path, limit), (bytes) => decodeUtf8(path, bytes))

/** The JSON value in a UTF-8 file, checked against `schema`. */
export const readJson = <T extends type.Any>(
  path: string,
  schema: T,
  limit = largestJson,
): Effect.Effect<T["infer"], FileError | InvalidInput> =>
  readText(path, limit).pipe(
    Effect.flatMap((text) =>
      Effect.try({
        try: () => parseJson(text),
        catch: (cause) => new FileError({ path, doing: "read", found: `it is not JSON (${String(cause)})` }),
      }),
    ),
    Effect.flatMap(decode(path, schema)),
  )

/** A name next to `path` to write under until the content is complete. */
const temporaryName = (path: string): string => `${path}.${randomBytes(4).toString("hex")}.tmp`

/** A name next to `path` for the folder that is there while another takes its place. */
const replacedName = (path: string): string => `${path}.${randomBytes(4).toString("hex")}.old`

/** The path that a name made by {@link replacedName} is of; undefined for any other name. */
const replacedPath = (name: string): string | undefined => /^(.+)\.[0-9a-f]{8}\.old$/.exec(name)?.[1]

/** The folder that is being filled: what is written into it is flushed with the whole of it, not file by file. */
const Filling = Context.Reference<string | undefined>("kasosei/core/Filling", {
  defaultValue: () => undefined,
})

/**
 * Writes a file atomically and for good: under a temporary name, flushed to the disk, then renamed. Creates missing
 * parent folders.
 *
 * @param temporary where it is written first, on the same file system; by default next to it
 * @throws FileError
 */
export const writeFile = (
  path: string,
  content: string | Uint8Array,
  temporary = temporaryName(path),
): Effect.Effect<void, FileError> =>
  Effect.flatMap(Filling, (filling) =>
    attempt("write", path, async () => {
      const flushed = filling === undefined || relative(filling, path).startsWith("..")
      const make = flushed ? makeFolder : (folder: string) => fs.mkdir(folder, { recursive: true })
      await make(dirname(path))
      await make(dirname(temporary))
      try {
        await (flushed ? writeFlushed : fs.writeFile)(temporary, content)
        await fs.rename(temporary, path)
      } catch (cause) {
        await fs.rm(temporary, { force: true })
        throw cause
      }
      if (flushed) await flushFolder(dirname(path))
    }),
  )

export const writeJson = (path: string, value: unknown): Effect.Effect<void, FileError> =>
  writeFile(path, `${JSON.stringify(value, null, 1)}\n`)

export const exists = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    fs.access(path, constants.F_OK).then(
      () => true,
      () => false,
    ),
  )

/**
 * Creates a folder atomically and for good: `fill` writes into a temporary folder next to it, which is flushed to the
 * disk and then renamed. A folder that already exists (another process may have created it meanwhile) is kept and the
 * new one dropped.
 */
export const writeFolder = <E, R>(path: string, fill: Fill<E, R>): Effect.Effect<void, E | FileError, R> =>
  filled(path, fill, temporaryName(path), renamedUnlessTaken(path))

/**
 * As {@link writeFolder}, but left to the file system to flush: for a copy of many files that a power cut may damage,
 * since whoever uses it compares it with its source.
 */
export const writeCopiedFolder = <E, R>(
  path: string,
  fill: Fill<E, R>,
): Effect.Effect<void, E | FileError, R> =>
  filled(path, fill, temporaryName(path), renamedUnlessTaken(path), false)

const renamedUnlessTaken = (path: string) => async (temporary: string) => {
  try {
    await fs.rename(temporary, path)
  } catch (cause) {
    if (!isTaken(cause)) throw cause
  }
}

/**
 * As {@link writeFolder}, but an existing folder is replaced once the new one is complete. It is removed only when the
 * new one has its place; if this process is killed before, {@link restoreReplaced} puts it back.
 *
 * @param temporary where the new folder is filled, on the same file system; by default next to it
 */
export const replaceFolder = <E, R>(
  path: string,
  fill: Fill<E, R>,
  temporary = temporaryName(path),
): Effect.Effect<void, E | FileError, R> =>
  filled(path, fill, temporary, async () => {
    const replaced: string[] = []
    const takePlace = async (): Promise<void> => {
      const aside = replacedName(path)
      if (await renamed(path, aside)) replaced.push(aside)
      try {
        await fs.rename(temporary, path)
      } catch (cause) {
        // Another process has put one there, perhaps the old one, which it took for a killed process's.
        if (isTaken(cause) && replaced.length < mostReplaced) return takePlace()
        if (replaced.length > 0) await renamed(replaced.at(-1)!, path)
        throw cause
      }
    }
    await takePlace()
    await flushFolder(dirname(path))
    for (const aside of replaced) await fs.rm(aside, { recursive: true, force: true })
  })

/** How often a folder may appear in a place that has just been cleared. */
const mostReplaced = 10

/**
 * Finishes what killed processes left half done in a folder by {@link replaceFolder}: a folder that had nothing in its
 * place yet is put back, others are removed. Safe while others write.
 */
export const restoreReplaced = (folder: string): Effect.Effect<void, FileError> =>
  attempt("restore what is in", folder, async () => {
    for (const name of await namesIn(folder)) {
      const original = replacedPath(name)
      if (original === undefined) continue
      const [aside, path] = [join(folder, name), join(folder, original)]
      if (await Effect.runPromise(exists(path))) await fs.rm(aside, { recursive: true, force: true })
      else if (await renamed(aside, path).catch(takenMeanwhile)) await flushFolder(folder)
    }
  })

/**
 * Moves a file or a folder, which the disk then keeps. What is at `target` must not be there yet.
 *
 * @returns whether it was there: another process may have moved it
 * @throws FileError
 */
export const move = (source: string, target: string): Effect.Effect<boolean, FileError> =>
  attempt("move", source, async () => {
    await makeFolder(dirname(target))
    try {
      await fs.rename(source, target)
    } catch (cause) {
      if (errorCode(cause) === "ENOENT") return false
      throw cause
    }
    await flushFolder(dirname(target))
    await flushFolder(dirname(source))
    return true
  })

/** The process that replaces it lives, and was faster. */
const takenMeanwhile = (cause: unknown): boolean => {
  if (isTaken(cause)) return false
  throw cause
}

/** The names in a folder; none if it does not exist. Rejects with what `node:fs` throws. */
export const namesIn = async (folder: string): Promise<readonly string[]> => {
  try {
    return await fs.readdir(folder)
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return []
    throw cause
  }
}

/** The sorted names in a folder; none if it does not exist. */
export const listNames = (folder: string): Effect.Effect<readonly string[], FileError> =>
  attempt("list", folder, async () => [...(await namesIn(folder))].sort())

/** Renames what is at `source`, if there is something. */
const renamed = (source: string, target: string): Promise<boolean> =>
  fs.rename(source, target).then(
    () => true,
    (cause) => {
      if (errorCode(cause) === "ENOENT") return false
      throw cause
    },
  )

/** Whether a folder could not be renamed because there is one of that name. */
const isTaken = (cause: unknown): boolean => ["ENOTEMPTY", "EEXIST"].includes(errorCode(cause))

/** Writes the content of a folder. */
type Fill<E, R> = (folder: string) => Effect.Effect<void, E, R>

const filled = <E, R>(
  path: string,
  fill: Fill<E, R>,
  temporary: string,
  publish: (temporary: string) => Promise<void>,
  flushes = true,
): Effect.Effect<void, E | FileError, R> =>
  Effect.gen(function* () {
    yield* attempt("make", temporary, () => fs.mkdir(temporary, { recursive: true }))
    yield* Effect.provideService(fill(temporary), Filling, temporary)
    const filling = yield* Filling
    yield* attempt("write", path, async () => {
      // A folder within one that is being filled is flushed with that.
      const flushed = flushes && (filling === undefined || relative(filling, path).startsWith(".."))
      if (flushed) {
        await flushTree(temporary)
        await makeFolder(dirname(path))
      }
      await publish(temporary)
      if (flushed) await flushFolder(dirname(path))
    })
  }).pipe(Effect.ensuring(remove(temporary)))

/** Deletes a file, or a folder with its content. It is no error if that is missing or cannot be deleted. */
export const remove = (path: string): Effect.Effect<void> =>
  Effect.promise(() => fs.rm(path, { recursive: true, force: true }).catch(() => undefined))

/** The sorted paths of all files in a folder and its subfolders, relative to it, with forward slashes. */
export const listFiles = (folder: string): Effect.Effect<readonly string[], FileError> =>
  attempt("list", folder, async () => {
    const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
      .sort()
  })
