/**
 * Tokenizers: WordPiece as in BERT (Devlin et al. 2019; Schuster and Nakajima 2012), and byte-level BPE as in RoBERTa
 * (Sennrich et al. 2016; Radford et al. 2019).
 */
import { Tokenizer } from "@huggingface/tokenizers"
import type { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { bertTemplate, isBytePair, type Place, TokenizerJson, templateOf } from "./tokenizer-json.ts"
import { specialPieces } from "./vocabulary.ts"

/** The tokenizer's files in a checkpoint. Models trained from the checkpoint need copies of them. */
export const tokenizerFiles = [
  "vocab.txt",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
]

/** A sequence as the model takes it: token ids, and the token type (0 or 1) of each. */
export interface Encoded {
  readonly ids: Int32Array
  readonly tokenTypeIds: Int32Array
}

export interface TextTokenizer {
  /**
   * One text or two with the special tokens of the model, such as `[CLS] first [SEP] second [SEP]`, truncated to
   * `maximumLength` ids, longest text first.
   *
   * @throws RangeError if `maximumLength` leaves no room for text after the special tokens
   */
  readonly encode: (first: string, second: string | undefined, maximumLength: number) => Encoded
  /** The smallest maximum length for one text and for two: the special tokens, and a token of each text. */
  readonly shortest: { readonly single: number; readonly pair: number }
}

/** The tokenizer of BERT's uncased vocabularies: lower-cases, strips accents, splits at spaces and punctuation. */
const uncasedWordPiece = ({ tokens, special }: Vocabulary): TokenizerJson => ({
  added_tokens: Object.entries(specialPieces).map(([role, content]) => ({
    id: special[role as keyof typeof special],
    content,
  })),
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: true,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
  },
})

/** GPT-2's and RoBERTa's pre-tokenizer: contractions, words, numbers and signs, each with the space before it. */
const byteLevelPattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** Chinese characters beyond U+FFFF, in the blocks that BERT's tokenizer puts spaces around. */
const rareChinese =
  /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu

/**
 * The settings for @huggingface/tokenizers, and what it must be given instead of a text. Its version 0.2.0 takes some
 * other characters for spaces than Python's tokenizers, and does not know the rarer Chinese characters.
 */
const adapted = (json: TokenizerJson): { settings: object; prepare: (text: string) => string } => {
  const added = (json.added_tokens ?? []).map((token) => ({
    ...token,
    special: true,
    lstrip: false,
    rstrip: false,
  }))
  const strips = (json.added_tokens ?? []).flatMap(({ content, lstrip, rstrip }) => {
    const literal = RegExp.escape(content)
    return [
      ...(lstrip ? [new RegExp(`\\p{White_Space}+(?=${literal})`, "gu")] : []),
      ...(rstrip ? [new RegExp(`(?<=${literal})\\p{White_Space}+`, "gu")] : []),
    ]
  })
  const stripped = (text: string) => strips.reduce((rest, strip) => rest.replace(strip, ""), text)
  const settings = { version: "1.0", added_tokens: added, post_processor: null, decoder: null }
  if (!isBytePair(json)) {
    const normalizer = {
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      ...json.normalizer,
    }
    return {
      settings: { ...json, ...settings, normalizer },
      prepare: (text) => stripped(text.replace(rareChinese, " $& ")),
    }
  }
  const pre_tokenizer = {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: byteLevelPattern }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ],
  }
  return { settings: { ...json, ...settings, normalizer: null, pre_tokenizer }, prepare: stripped }
}

/** @throws TraversalError, as a bug, if the vocabulary's `tokenizer` is not one that `readVocabulary` accepts */
export const tokenizerOf = (vocabulary: Vocabulary): TextTokenizer => {
  const json =
    vocabulary.tokenizer === undefined
      ? uncasedWordPiece(vocabulary)
      : TokenizerJson.assert(vocabulary.tokenizer)
  const { cls, separator } = vocabulary.special
  const template = templateOf(json) ?? bertTemplate(cls, separator)
  const { settings, prepare } = adapted(json)
  const tokenizer = new Tokenizer(settings, {})
  const piecesOf = (text: string) => tokenizer.encode(prepare(text), { add_special_tokens: false }).ids

  // A template has a place for each text, which must hold at least one token.
  const shortest = { single: template.single.length, pair: template.pair.length }

  const encode = (first: string, second: string | undefined, maximumLength: number): Encoded => {
    const a = piecesOf(first)
    const b = second === undefined ? undefined : piecesOf(second)
    const kind = b === undefined ? "single" : "pair"
    const places = template[kind]
    if (!(maximumLength >= shortest[kind])) {
      throw new RangeError(`a maximum length of ${maximumLength} leaves no room for text`)
    }
    const room = maximumLength - places.length + (b === undefined ? 1 : 2)
    const [keptA, keptB] =
      b === undefined ? [Math.min(a.length, room), 0] : longestFirst(a.length, b.length, room)
    const kept = { first: a.slice(0, keptA), second: b?.slice(0, keptB) ?? [] }
    const idsAt = (place: Place) => ("text" in place ? kept[place.text] : [place.id])
    return {
      ids: Int32Array.from(places.flatMap(idsAt)),
      tokenTypeIds: Int32Array.from(places.flatMap((place) => idsAt(place).map(() => place.tokenType))),
    }
  }
  return { encode, shortest }
}

/**
 * The lengths of two sequences after the longer one has lost tokens until both fit into `room`. If an odd room is
 * halved, the longer sequence gets the larger half, or the second if they were equally long. As in Hugging Face's
 * tokenizers/src/utils/truncation.rs.
 */
export const longestFirst = (first: number, second: number, room: number): [number, number] => {
  if (first + second <= room) return [first, second]
  const shorter = Math.min(first, second)
  const half = Math.floor(room / 2)
  const [short, long] = shorter <= half ? [shorter, room - shorter] : [half, room - half]
  return first > second ? [long, short] : [short, long]
}
