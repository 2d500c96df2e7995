import * as fs from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { Effect } from "effect"
import { attempt, writeFile } from "../io/files.ts"
import type { Kind } from "./kind.ts"

/** A report: files by their path inside the report's folder (`index.html`, `figures/figure-1.svg`). */
export type PageGiven = ReadonlyMap<string, string | Uint8Array>

export interface PageTaken {
  readonly folder: string
  readonly files: readonly string[]
}

export const Page: Kind<"page", PageGiven, PageTaken, Record<never, never>> = {
  kind: "page",
  write: (folder, given) =>
    Effect.forEach(given, ([path, content]) => writeFile(join(folder, path), content), { discard: true }),
  read: Effect.fnUntraced(function* (folder) {
    const entries = yield* attempt("list", folder, () =>
      fs.readdir(folder, { recursive: true, withFileTypes: true }),
    )
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    return { folder, files: files.sort() }
  }),
}
