import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import type { Kind } from "../artifact.ts"
import { readJson, readText, writeFile, writeJson } from "../files.ts"

/** The ids of the tokens that have a role of their own. */
export const SpecialTokens = type({
  "+": "reject",
  pad: "number.integer >= 0",
  unknown: "number.integer >= 0",
  first: "number.integer >= 0",
  separator: "number.integer >= 0",
  mask: "number.integer >= 0",
})
export type SpecialTokens = typeof SpecialTokens.infer

/** A vocabulary: a token's id is its place in the list. */
export interface Vocabulary {
  readonly tokens: readonly string[]
  readonly special: SpecialTokens
}

export const Vocabulary: Kind<"vocabulary", Vocabulary, Vocabulary, { readonly size: number }> = {
  kind: "vocabulary",
  write: Effect.fnUntraced(function* (folder, given) {
    // One token a line is the format of BERT's vocab.txt, so a checkpoint can carry this very file.
    yield* writeFile(join(folder, "vocab.txt"), given.tokens.map((token) => `${token}\n`).join(""))
    yield* writeJson(join(folder, "special.json"), given.special)
  }),
  read: Effect.fnUntraced(function* (folder) {
    const text = yield* readText(join(folder, "vocab.txt"))
    const special = yield* readJson(join(folder, "special.json"), SpecialTokens)
    return { tokens: text.split("\n").slice(0, -1), special }
  }),
}
