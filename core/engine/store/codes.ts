/** What keys name as code: the sources and packages that many artifacts have in common, in a file named by its digest. */
import { join } from "node:path"
import { Effect } from "effect"
import { canonicalJson, sha256 } from "../../io/digest.ts"
import { exists, type FileError, writeFile } from "../../io/files.ts"
import { moveAside, type SetAside } from "./damage.ts"
import { Code } from "./manifest.ts"
import { Broken, readSealed, sealedText } from "./seal.ts"

const folder = "sources"

export const digestOfCode = ({ sources, packages }: Code): string =>
  sha256(canonicalJson({ sources, packages }))

/** The name of the file, in the store, of the code with this digest. */
export const codeFile = (digest: string): string => `${folder}/${digest.slice(0, 20)}.json`

/** The code in a file of that name; what is wrong with it, if something is. */
export const readCodeFile = async (root: string, file: string): Promise<Code | Broken> => {
  try {
    const code = await readSealed(join(root, file), Code)
    if (code instanceof Broken || codeFile(digestOfCode(code)) === file) return code
    return new Broken("it has another's name")
  } catch (cause) {
    return new Broken(cause instanceof Error ? cause.message : String(cause))
  }
}

export class Codes {
  private readonly known = new Map<string, Code | undefined>()

  /** @param temporary where a file is written before it has its name */
  constructor(
    private readonly root: string,
    private readonly temporary: Effect.Effect<string, FileError>,
  ) {}

  /** Writes sources and packages once; gives their digest. */
  readonly write = Effect.fnUntraced(
    { self: this },
    function* ({ sources, packages }: Code): Effect.fn.Return<string, FileError> {
      const code: Code = { sources, packages }
      const digest = digestOfCode(code)
      const path = join(this.root, codeFile(digest))
      if (this.known.get(digest) === undefined && !(yield* exists(path))) {
        yield* writeFile(path, sealedText(code), yield* this.temporary)
      }
      this.known.set(digest, code)
      return digest
    },
  )

  /** undefined if it is not there, or is damaged. */
  readonly read = Effect.fnUntraced({ self: this }, function* (digest: string): Effect.fn.Return<
    Code | undefined
  > {
    if (!this.known.has(digest)) {
      const code = yield* Effect.promise(() => readCodeFile(this.root, codeFile(digest)))
      this.known.set(digest, code instanceof Broken ? undefined : code)
    }
    return this.known.get(digest)
  })

  /** Writes the file of this code anew if it is damaged or gone; tells what was set aside for that. */
  readonly restore = Effect.fnUntraced(
    { self: this },
    function* ({ sources, packages }: Code): Effect.fn.Return<SetAside | undefined, FileError> {
      const code: Code = { sources, packages }
      const digest = digestOfCode(code)
      if ((yield* this.read(digest)) !== undefined) return undefined
      const file = codeFile(digest)
      const path = join(this.root, file)
      const found = yield* Effect.promise(() => readCodeFile(this.root, file))
      const aside =
        found instanceof Broken && !found.earlier && (yield* exists(path))
          ? { of: file, found: found.what, to: yield* moveAside(this.root, "sources", [file]) }
          : undefined
      yield* writeFile(path, sealedText(code), yield* this.temporary)
      this.known.set(digest, code)
      return aside
    },
  )
}
