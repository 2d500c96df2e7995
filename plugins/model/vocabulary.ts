/** Vocabularies and tokenizers on disk: BERT's `vocab.txt`, or Hugging Face's `tokenizer.json`. */
import { join } from "node:path"
import { Effect } from "effect"
import type { SpecialTokens, Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { decode, InvalidInput } from "../../core/io/decode.ts"
import { exists, type FileError, readText, writeFile, writeJson } from "../../core/io/files.ts"
import { parseJson } from "../../core/io/json.ts"
import { essentials, isBytePair, TokenizerJson, templateOf } from "./tokenizer-json.ts"

const maximumBytes = 2 ** 26
/** The largest published vocabularies have a quarter of that. */
const mostTokens = 1_000_000

type Pieces = Readonly<Record<keyof SpecialTokens, string>>

/** How BERT's special tokens are written. */
export const specialPieces: Pieces = {
  pad: "[PAD]",
  unknown: "[UNK]",
  cls: "[CLS]",
  separator: "[SEP]",
  mask: "[MASK]",
}
/** How RoBERTa's special tokens are written. */
const robertaPieces: Pieces = {
  pad: "<pad>",
  unknown: "<unk>",
  cls: "<s>",
  separator: "</s>",
  mask: "<mask>",
}

/**
 * Reads a vocabulary, with its tokenizer unless that is BERT's uncased one.
 *
 * @param path a `vocab.txt` of an uncased BERT, one token a line, or a `tokenizer.json`
 * @throws InvalidInput if a special token is missing, a token appears twice, an id has no token, or the tokenizer is
 *   not supported
 * @throws FileError if the file is unreadable or not UTF-8
 */
export const readVocabulary: (path: string) => Effect.Effect<Vocabulary, InvalidInput | FileError> =
  Effect.fn("readVocabulary")(function* (path: string) {
    const text = yield* readText(path, maximumBytes)
    if (path.endsWith(".json")) return yield* vocabularyOfJson(path, text)
    const tokens = tokensOfLines(text)
    yield* checkCount(path, tokens.length)
    return { tokens, special: yield* specialOf(path, tokens, [specialPieces]) }
  })

/** The files of a folder or repository that a vocabulary is read from, the preferred one first: it says more. */
export const vocabularyFiles = ["tokenizer.json", "vocab.txt"] as const

const specialOf = Effect.fnUntraced(function* (
  path: string,
  tokens: readonly string[],
  conventions: readonly Pieces[],
) {
  const idOf = new Map<string, number>()
  for (const [id, token] of tokens.entries()) {
    const other = idOf.get(token)
    if (other !== undefined) {
      const problem = `the token ${JSON.stringify(token)} appears twice, with ids ${other} and ${id}; expected it once`
      return yield* new InvalidInput({ what: path, problems: [problem] })
    }
    idOf.set(token, id)
  }
  const missingOf = (pieces: Pieces) => Object.values(pieces).filter((piece) => !idOf.has(piece))
  const pieces = conventions.toSorted((a, b) => missingOf(a).length - missingOf(b).length)[0]!
  const missing = missingOf(pieces)
  if (missing.length > 0) {
    return yield* new InvalidInput({
      what: path,
      problems: missing.map((piece) => `${piece} is not in this vocabulary of ${tokens.length} tokens`),
    })
  }
  return {
    pad: idOf.get(pieces.pad)!,
    unknown: idOf.get(pieces.unknown)!,
    cls: idOf.get(pieces.cls)!,
    separator: idOf.get(pieces.separator)!,
    mask: idOf.get(pieces.mask)!,
  } satisfies SpecialTokens
})

const checkCount = (path: string, count: number): Effect.Effect<void, InvalidInput> =>
  count <= mostTokens
    ? Effect.void
    : Effect.fail(
        new InvalidInput({ what: path, problems: [`expected at most ${mostTokens} tokens, found more`] }),
      )

/** One more than there may be, if there are more. */
const tokensOfLines = (text: string): readonly string[] => {
  const lines = text.split(/\r?\n/, mostTokens + 1)
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

const vocabularyOfJson = Effect.fnUntraced(function* (path: string, text: string) {
  const whole = yield* Effect.try({
    try: () => parseJson(text),
    catch: (cause) => new InvalidInput({ what: path, problems: [`it is not JSON (${String(cause)})`] }),
  })
  const json = yield* decode(path, TokenizerJson)(whole)
  const { model, added_tokens = [] } = json
  const pieces = new Map(Object.entries(model.vocab))
  yield* checkCount(path, pieces.size + added_tokens.length)
  for (const { id, content } of added_tokens) {
    const other = pieces.get(content)
    if (other !== undefined && other !== id) {
      const problem = `the added token ${JSON.stringify(content)} has id ${id}; expected ${other}, its id in the vocabulary`
      return yield* new InvalidInput({ what: path, problems: [problem] })
    }
    pieces.set(content, id)
  }
  const tokens: (string | undefined)[] = new Array(pieces.size)
  for (const [piece, id] of pieces) {
    if (id >= tokens.length || tokens[id] !== undefined) {
      const problem = `the id ${id} of ${JSON.stringify(piece)} is taken or too large; expected each id from 0 to ${tokens.length - 1} once`
      return yield* new InvalidInput({ what: path, problems: [problem] })
    }
    tokens[id] = piece
  }
  const listed = tokens.filter((piece) => piece !== undefined)
  const special = yield* specialOf(path, listed, [specialPieces, robertaPieces])
  const template = templateOf(json)
  const places = template === undefined ? [] : [...template.single, ...template.pair]
  const beyond = places.find((place) => "id" in place && place.id >= listed.length)
  if (beyond !== undefined && "id" in beyond) {
    const problem = `post_processor adds the id ${beyond.id}; expected ids below ${listed.length}, the size of the vocabulary`
    return yield* new InvalidInput({ what: path, problems: [problem] })
  }
  const vocabulary: Vocabulary = { tokens: listed, special }
  return isUncasedBert(json) ? vocabulary : { ...vocabulary, tokenizer: json }
})

/** Whether the tokenizer follows from a `vocab.txt`. */
const isUncasedBert = (json: TokenizerJson): boolean => {
  if (isBytePair(json) || !json.normalizer.lowercase || json.normalizer.strip_accents === false) return false
  const known = new Set(Object.values(specialPieces))
  return (json.added_tokens ?? []).every(({ content }) => known.has(content))
}

/** The part of a `tokenizer.json` in which two tokenizers differ; undefined if they give the same ids. */
const differingPart = (a: Vocabulary["tokenizer"], b: Vocabulary["tokenizer"]): string | undefined => {
  if (a === undefined || b === undefined) return a === b ? undefined : "the tokenizer"
  const [left, right] = [essentials(TokenizerJson.assert(a)), essentials(TokenizerJson.assert(b))]
  return Object.keys({ ...left, ...right }).find(
    (part) => JSON.stringify(left[part]) !== JSON.stringify(right[part]),
  )
}

/**
 * Why a vocabulary is not that of a checkpoint; undefined if it is, or if the folder has none. Sizes alone do not show
 * it: vocabularies of equal size may differ in their tokens, and equal tokens may belong to different tokenizers.
 *
 * @throws InvalidInput if the checkpoint's tokenizer is not supported
 * @throws FileError
 */
export const vocabularyDifference: (
  vocabulary: Vocabulary,
  folder: string,
) => Effect.Effect<string | undefined, InvalidInput | FileError> = Effect.fn("vocabularyDifference")(
  function* (vocabulary: Vocabulary, folder: string) {
    const names = vocabulary.tokenizer === undefined ? vocabularyFiles.toReversed() : vocabularyFiles
    for (const name of names) {
      const path = join(folder, name)
      if (!(yield* exists(path))) continue
      const stored = yield* readVocabulary(path)
      const { tokens } = stored
      const other = tokens.findIndex((token, id) => token !== vocabulary.tokens[id])
      if (other >= 0 || tokens.length !== vocabulary.tokens.length) {
        const at = other >= 0 ? other : tokens.length
        const shown = (token: string | undefined) => (token === undefined ? "absent" : JSON.stringify(token))
        const where = name === "vocab.txt" ? `on line ${at + 1} of ${path}` : `in ${path}`
        return `token ${at} is ${shown(vocabulary.tokens[at])}, but ${shown(tokens[at])} ${where}`
      }
      // A vocab.txt does not say whether its text is lower-cased.
      if (name === "vocab.txt") return undefined
      const part = differingPart(vocabulary.tokenizer, stored.tokenizer)
      return part === undefined ? undefined : `its tokens are the same, but ${part} differs in ${path}`
    }
    return undefined
  },
)

/**
 * Writes the tokenizer of a new model in Hugging Face's layout.
 *
 * @throws FileError
 */
export const writeTokenizer = Effect.fnUntraced(function* (
  folder: string,
  { tokens, special, tokenizer }: Vocabulary,
) {
  if (tokenizer === undefined) {
    yield* writeFile(join(folder, "vocab.txt"), tokens.map((token) => `${token}\n`).join(""))
    return
  }
  yield* writeJson(join(folder, "tokenizer.json"), tokenizer)
  yield* writeJson(join(folder, "tokenizer_config.json"), {
    tokenizer_class: "PreTrainedTokenizerFast",
    pad_token: tokens[special.pad],
    unk_token: tokens[special.unknown],
    cls_token: tokens[special.cls],
    sep_token: tokens[special.separator],
    mask_token: tokens[special.mask],
  })
})
