import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { exists, FileError, readJson, readText, writeFile, writeJson } from "../io/files.ts"
import type { ArtifactKind } from "./kind.ts"

/** The ids of the special tokens. */
export const SpecialTokens = type({
  "+": "reject",
  pad: "number.integer >= 0",
  unknown: "number.integer >= 0",
  cls: "number.integer >= 0",
  separator: "number.integer >= 0",
  mask: "number.integer >= 0",
})
export type SpecialTokens = typeof SpecialTokens.infer

/** A vocabulary: a token's id is its index in the list. */
export interface Vocabulary {
  readonly tokens: readonly string[]
  readonly special: SpecialTokens
  /**
   * How text becomes tokens: the content of a Hugging Face `tokenizer.json`. Absent for BERT's uncased WordPiece, which
   * follows from the tokens.
   */
  readonly tokenizer?: Readonly<Record<string, unknown>> | undefined
}

const Tokenizer = type("Record<string, unknown>")

export const Vocabulary: ArtifactKind<"vocabulary", Vocabulary, Vocabulary, { readonly size: number }> = {
  name: "vocabulary",
  write: Effect.fnUntraced(function* (folder, given) {
    const broken = given.tokens.find((token) => /[\r\n]/.test(token))
    if (broken !== undefined) {
      const found = `the token ${JSON.stringify(broken)} has a line break, but the file has one token a line`
      return yield* new FileError({ path: join(folder, "vocab.txt"), doing: "write", found })
    }
    // One token a line is the format of BERT's vocab.txt, so a checkpoint can contain this very file.
    yield* writeFile(join(folder, "vocab.txt"), given.tokens.map((token) => `${token}\n`).join(""))
    yield* writeJson(join(folder, "special.json"), given.special)
    if (given.tokenizer !== undefined) yield* writeJson(join(folder, "tokenizer.json"), given.tokenizer)
  }),
  read: Effect.fnUntraced(function* (folder) {
    const text = yield* readText(join(folder, "vocab.txt"))
    const special = yield* readJson(join(folder, "special.json"), SpecialTokens)
    const tokens = text.split("\n").slice(0, -1)
    const beyond = Object.entries(special).find(([, id]) => id >= tokens.length)
    if (beyond !== undefined) {
      const found = `${beyond[0]}: expected an id below ${tokens.length}, the size of the vocabulary, found ${beyond[1]}`
      return yield* new FileError({ path: join(folder, "special.json"), doing: "read", found })
    }
    const path = join(folder, "tokenizer.json")
    if (!(yield* exists(path))) return { tokens, special }
    return { tokens, special, tokenizer: yield* readJson(path, Tokenizer) }
  }),
}
