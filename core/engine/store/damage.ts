/** What is damaged in a store is set aside, never deleted: `OUT/damaged/<name>-<when>/`. */
import { join } from "node:path"
import { Data, Effect } from "effect"
import { exists, type FileError, move } from "../../io/files.ts"

/** That something of the store was damaged, and has been set aside. */
export interface SetAside {
  /** What: the label of a unit, or a file. */
  readonly of: string
  readonly found: string
  /** Where it is now; undefined if another process has set it aside. */
  readonly to: string | undefined
}

/** What was set aside, in one line. */
export const damageLine = ({ of, found, to }: SetAside): string =>
  `damaged: ${of}: ${found}${to === undefined ? "" : `; set aside in ${to}`}`

/** An artifact that a unit takes is damaged, and has been set aside, or is gone: it has to be made again. */
export class DamagedArtifact extends Data.TaggedError("DamagedArtifact")<{
  readonly label: string
  readonly found: string
  /** Where it is now; undefined if it is gone, or another process has set it aside. */
  readonly to: string | undefined
}> {
  override get message() {
    return damageLine({ of: this.label, found: this.found, to: this.to })
  }
}

/**
 * Moves something out of the store.
 *
 * @returns the folder where it is now; undefined if nothing of it was there any more
 */
export const moveAside = Effect.fnUntraced(function* (
  root: string,
  name: string,
  paths: readonly string[],
): Effect.fn.Return<string | undefined, FileError> {
  const when = new Date().toISOString().replaceAll(":", "-")
  const folder = yield* freeName(join(root, "damaged", `${name}-${when}`))
  // A whole folder takes the new name; of files, each keeps its own in there.
  const moves =
    paths.length === 0
      ? [[join(root, "artifacts", name), folder] as const]
      : paths.map((path) => [join(root, path), join(folder, path)] as const)
  const moved = yield* Effect.forEach(moves, ([from, to]) => move(from, to))
  return moved.includes(true) ? folder : undefined
})

const freeName = Effect.fnUntraced(function* (path: string) {
  for (let time = 1; ; time++) {
    const name = time === 1 ? path : `${path}-${time}`
    if (!(yield* exists(name))) return name
  }
})
