/** A folder in which a test writes an artifact, damages it and reads it, and small contents for artifacts. */
import { afterEach, beforeEach } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"

/** Each of the tests where this is called has a new, empty folder. */
export const artifactFolder = () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kasosei-artifact-"))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** The path of a file in the folder; without names, of the folder itself. */
  const path = (...names: readonly string[]) => join(folder, ...names)
  return {
    path,
    write: <G>(kind: ArtifactKind<string, G, unknown, unknown>, given: G) =>
      Effect.runPromise(kind.write(folder, given)),
    read: <T>(kind: ArtifactKind<string, never, T, unknown>) => Effect.runPromise(kind.read(folder)),
    /** The message with which the artifact is refused; F stands for the folder. */
    refusal: async (kind: ArtifactKind<string, never, unknown, unknown>) =>
      (await Effect.runPromise(Effect.flip(kind.read(folder)))).message.replaceAll(folder, "F"),
    /** Changes a JSON file of the artifact. */
    edit: (name: string, change: (json: Record<string, unknown>) => void) => {
      const json = JSON.parse(readFileSync(path(name), "utf8"))
      change(json)
      writeFileSync(path(name), JSON.stringify(json))
    },
    overwrite: (name: string, array: Int32Array | Float64Array) =>
      writeFileSync(path(name), new Uint8Array(array.buffer)),
  }
}

export const special = { pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 }

/** Three sentences, the first of them in two segments. */
export const sequences = packSequences([
  { ids: [2, 5, 6, 3, 7, 3], tokenTypeIds: [0, 0, 0, 0, 1, 1] },
  { ids: [2, 3], tokenTypeIds: [0, 0] },
  { ids: [2, 9, 3], tokenTypeIds: [0, 0, 0] },
])
