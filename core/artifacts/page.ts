import { join } from "node:path"
import { Effect } from "effect"
import { InvalidInput } from "../io/decode.ts"
import { listFiles, writeFile } from "../io/files.ts"
import { isInside } from "../io/inside.ts"
import type { ArtifactKind } from "./kind.ts"

/** A report: files by their path inside the report's folder (`index.html`, `figures/figure-1.svg`). */
export type PageGiven = ReadonlyMap<string, string | Uint8Array>

export interface PageTaken {
  readonly folder: string
  readonly files: readonly string[]
}

/**
 * The files that say where a page comes from: the only ones in which the pages of two equal studies may differ, since
 * times and places are in them.
 */
export const provenanceFiles = ["provenance.html", "provenance.json"] as const

export const Page: ArtifactKind<"page", PageGiven, PageTaken, Record<never, never>> = {
  name: "page",
  write: Effect.fnUntraced(function* (folder, given) {
    const outside = [...given.keys()].filter((path) => !isInside(path))
    if (outside.length > 0) {
      const problems = outside.map((path) => `expected a path inside the page, found ${JSON.stringify(path)}`)
      return yield* new InvalidInput({ what: "a page", problems })
    }
    for (const [path, content] of given) yield* writeFile(join(folder, path), content)
  }),
  read: Effect.fnUntraced(function* (folder) {
    return { folder, files: yield* listFiles(folder) }
  }),
}
