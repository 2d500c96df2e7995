/** What is damaged in a store is set aside, never deleted: `OUT/damaged/<name>-<when>/`. */
import { join } from "node:path"
import { Data, Effect } from "effect"
import { exists, type FileError, move } from "../../io/files.ts"

/** That something of the store was damaged, and has been set aside. */
export interface SetAside {
  /** What: the label of a unit, or a file. */
  readonly of: string
  readonly found: string
  /** Where it is now. */
  readonly to: string
}

/** What was set aside, in one line. */
export const damageLine = ({ of, found, to }: SetAside): string =>
  `damaged: ${of}: ${found}; set aside in ${to}`

/** An artifact that a unit takes is damaged, and has been set aside, or is gone: it has to be made again. */
export class DamagedArtifact extends Data.TaggedError("DamagedArtifact")<{
  readonly label: string
  readonly found: string
  /** Where it is now; undefined if it is gone. */
  readonly to?: string
}> {
  override get message() {
    const where = this.to === undefined ? "" : `; set aside in ${this.to}`
    return `damaged: ${this.label}: ${this.found}${where}`
  }
}

/** Moves something out of the store; gives the folder where it is now. */
export const moveAside = Effect.fnUntraced(function* (
  root: string,
  name: string,
  paths: readonly string[],
): Effect.fn.Return<string, FileError> {
  const when = new Date().toISOString().replaceAll(":", "-")
  const folder = yield* freeName(join(root, "damaged", `${name}-${when}`))
  // A whole folder takes the new name; of files, each keeps its own in there.
  if (paths.length === 0) yield* move(join(root, "artifacts", name), folder)
  for (const path of paths) yield* move(join(root, path), join(folder, path))
  return folder
})

const freeName = Effect.fnUntraced(function* (path: string) {
  for (let time = 1; ; time++) {
    const name = time === 1 ? path : `${path}-${time}`
    if (!(yield* exists(name))) return name
  }
})
