/** Copies of artifacts in another store. */

import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { dirname, join, relative } from "node:path"
import { Effect } from "effect"
import { attempt, exists, FileError, replaceFolder, writeFile } from "../../io/files.ts"
import { copy } from "../../io/link.ts"
import type { Item } from "./inventory.ts"
import { changedFile, inspect } from "./record.ts"

/**
 * Copies an artifact into the store at `to`, with what it names as its code, and compares every file of the copy with
 * its digest. One that is there already is kept if it is whole.
 *
 * @returns whether it was copied
 * @throws FileError if the artifact, or what `to` has in its place, is damaged
 */
export const exportItem = Effect.fnUntraced(function* (
  root: string,
  { name, codes }: Item,
  to: string,
): Effect.fn.Return<boolean, FileError> {
  const [source, target] = [join(root, "artifacts", name), join(to, "artifacts", name)]
  const isNew = !(yield* exists(target))
  if (isNew) {
    const fill = Effect.fnUntraced(function* (folder: string) {
      const entries = yield* attempt("list", source, () =>
        fs.readdir(source, { recursive: true, withFileTypes: true }),
      )
      for (const entry of entries) {
        if (!entry.isFile()) continue
        const path = join(entry.parentPath, entry.name)
        yield* copy(path, join(folder, relative(source, path)))
      }
      yield* checkWhole(folder, name)
    })
    yield* replaceFolder(target, fill, temporaryIn(to))
  } else yield* checkWhole(target, name)
  for (const file of codes) {
    const [from, copied] = [join(root, file), join(to, file)]
    // Only plans read it, to say what has changed since.
    if ((yield* exists(copied)) || !(yield* exists(from))) continue
    yield* writeFile(copied, yield* attempt("read", from, () => fs.readFile(from)), temporaryIn(to))
  }
  return isNew
})

const temporaryIn = (to: string): string =>
  join(to, "tmp", `${process.pid}-${randomBytes(8).toString("hex")}`)

const checkWhole = Effect.fnUntraced(function* (folder: string, name: string) {
  const found = yield* attempt("read", folder, async () => {
    const inside = await inspect(folder, name)
    if (inside.status === "damaged") return inside.what
    return inside.status === "done" ? changedFile(folder, inside.record) : undefined
  })
  if (found === undefined) return
  return yield* new FileError({
    path: join(dirname(folder), name),
    doing: "export",
    found: `it is damaged: ${found}`,
  })
})
