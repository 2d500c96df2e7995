import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { attempt, exists, type FileError } from "./files.ts"

/** Copies a file without loading it into memory. If the file system can, both share blocks until one changes. */
export const copy = (source: string, target: string): Effect.Effect<void, FileError> =>
  attempt("copy", source, async () => {
    await fs.mkdir(dirname(target), { recursive: true })
    await fs.copyFile(source, target, fs.constants.COPYFILE_FICLONE)
  })

/**
 * Gives a second name to a file that never changes: weights are large, and a hard link takes neither time nor space.
 * If there can be no hard link (another disk, a file system without them), the file is copied.
 */
export const link = (source: string, target: string): Effect.Effect<void, FileError> =>
  attempt("link", source, async () => {
    await fs.mkdir(dirname(target), { recursive: true })
    // A file of the hub's cache is a symbolic link, of which the second name would be another.
    await fs.link(await fs.realpath(source), target)
  }).pipe(Effect.catch(() => copy(source, target)))

/** Links every file of a folder that has no subfolders. */
export const linkFolder = (source: string, target: string): Effect.Effect<void, FileError> =>
  Effect.flatMap(
    attempt("list", source, () => fs.readdir(source)),
    (names) =>
      Effect.forEach(names, (name) => link(join(source, name), join(target, name)), { discard: true }),
  )

/** Links or copies those of the named files that exist. */
export const transferExisting = (
  transfer: typeof link,
  source: string,
  names: readonly string[],
  target: string,
) =>
  Effect.forEach(
    names,
    Effect.fnUntraced(function* (name: string) {
      if (yield* exists(join(source, name))) yield* transfer(join(source, name), join(target, name))
    }),
    { discard: true },
  )
