/** BERT's WordPiece vocabulary, from the `vocab.txt` or the `tokenizer.json` of an uncased BERT. */
import { type } from "arktype"
import { Effect } from "effect"
import type { SpecialTokens, Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { decode, InvalidInput } from "../../core/io/decode.ts"
import { type FileError, readText } from "../../core/io/files.ts"

const maximumBytes = 2 ** 26

/** How the special tokens are written. */
export const specialPieces: Readonly<Record<keyof SpecialTokens, string>> = {
  pad: "[PAD]",
  unknown: "[UNK]",
  cls: "[CLS]",
  separator: "[SEP]",
  mask: "[MASK]",
}

/** The `tokenizer.json` of an uncased BERT; with other settings the ids would differ from those it specifies. */
const TokenizerJson = type({
  model: {
    "type?": "'WordPiece'",
    vocab: "Record<string, number.integer >= 0>",
    "unk_token?": "'[UNK]'",
    "continuing_subword_prefix?": "'##'",
    "max_input_chars_per_word?": "100",
  },
  normalizer: {
    type: "'BertNormalizer'",
    lowercase: "true",
    "clean_text?": "true",
    "handle_chinese_chars?": "true",
    "strip_accents?": "true | null",
  },
  pre_tokenizer: { type: "'BertPreTokenizer'" },
  "added_tokens?": type({ id: "number.integer >= 0", content: "string" }).array(),
})

/**
 * Reads a vocabulary.
 *
 * @param path a `vocab.txt`, one token a line, or a `tokenizer.json`
 * @throws InvalidInput if a special token is missing, a token appears twice or an id has no token
 * @throws FileError if the file is unreadable or not UTF-8
 */
export const readVocabulary: (path: string) => Effect.Effect<Vocabulary, InvalidInput | FileError> =
  Effect.fn("readVocabulary")(function* (path: string) {
    const text = yield* readText(path, maximumBytes)
    const tokens = path.endsWith(".json") ? yield* tokensOfJson(path, text) : tokensOfLines(text)
    const idOf = new Map<string, number>()
    for (const [id, token] of tokens.entries()) {
      const other = idOf.get(token)
      if (other !== undefined) {
        const problem = `the token ${JSON.stringify(token)} appears twice, with ids ${other} and ${id}; expected it once`
        return yield* new InvalidInput({ what: path, problems: [problem] })
      }
      idOf.set(token, id)
    }
    const missing = Object.values(specialPieces).filter((piece) => !idOf.has(piece))
    if (missing.length > 0) {
      return yield* new InvalidInput({
        what: path,
        problems: missing.map((piece) => `${piece} is not in this vocabulary of ${tokens.length} tokens`),
      })
    }
    const special: SpecialTokens = {
      pad: idOf.get(specialPieces.pad)!,
      unknown: idOf.get(specialPieces.unknown)!,
      cls: idOf.get(specialPieces.cls)!,
      separator: idOf.get(specialPieces.separator)!,
      mask: idOf.get(specialPieces.mask)!,
    }
    return { tokens, special }
  })

const tokensOfLines = (text: string): readonly string[] => {
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

const tokensOfJson = Effect.fnUntraced(function* (path: string, text: string) {
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) => new InvalidInput({ what: path, problems: [`it is not JSON (${String(cause)})`] }),
  })
  const { model, added_tokens } = yield* decode(path, TokenizerJson)(json)
  const pieces = new Map(Object.entries(model.vocab))
  for (const { id, content } of added_tokens ?? []) {
    if (pieces.get(content) !== id) {
      const problem = `the added token ${JSON.stringify(content)} has id ${id}; expected ${pieces.get(content) ?? "only tokens that are in the vocabulary"}`
      return yield* new InvalidInput({ what: path, problems: [problem] })
    }
  }
  const tokens: (string | undefined)[] = new Array(pieces.size)
  for (const [piece, id] of pieces) {
    if (id >= tokens.length || tokens[id] !== undefined) {
      const problem = `the id ${id} of ${JSON.stringify(piece)} is taken or too large; expected each id from 0 to ${tokens.length - 1} once`
      return yield* new InvalidInput({ what: path, problems: [problem] })
    }
    tokens[id] = piece
  }
  return tokens.filter((piece) => piece !== undefined)
})
