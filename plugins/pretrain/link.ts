import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { attempt, type FileError } from "../../core/files.ts"

/**
 * Gives a file a second name: weights are large, and a hard link takes neither time nor space. Where there can be
 * none (another disk, a file system without them) the file is copied. A symbolic link is followed first.
 */
export const link = (source: string, target: string): Effect.Effect<void, FileError> =>
  attempt("copy", source, async () => {
    const file = await fs.realpath(source)
    await fs.mkdir(dirname(target), { recursive: true })
    await fs.link(file, target).catch(() => fs.copyFile(file, target, fs.constants.COPYFILE_FICLONE))
  })

/** Every file of a folder without folders in it, under the same name in another. */
export const linkFolder = (source: string, target: string): Effect.Effect<void, FileError> =>
  Effect.flatMap(
    attempt("list", source, () => fs.readdir(source)),
    (names) =>
      Effect.forEach(names, (name) => link(join(source, name), join(target, name)), { discard: true }),
  )
