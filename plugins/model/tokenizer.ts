/** BERT's uncased WordPiece tokenizer (Devlin et al. 2019; Schuster and Nakajima 2012). */
import { Tokenizer } from "@huggingface/tokenizers"
import type { Vocabulary } from "../../core/artifacts/vocabulary.ts"
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

export interface WordPieceTokenizer {
  /**
   * `[CLS] first [SEP]`, or `[CLS] first [SEP] second [SEP]`, truncated to `maximumLength` ids, longest text first.
   *
   * @throws RangeError if `maximumLength` leaves no room for text after the special tokens
   */
  readonly encode: (first: string, second: string | undefined, maximumLength: number) => Encoded
}

/** Cleans text, lower-cases it, strips accents, splits it at spaces and punctuation, then into word pieces. */
export const tokenizerOf = ({ tokens, special }: Vocabulary): WordPieceTokenizer => {
  const added = Object.entries(specialPieces).map(([role, content]) => ({
    id: special[role as keyof typeof special],
    content,
    special: true,
  }))
  const tokenizer = new Tokenizer(
    {
      version: "1.0",
      added_tokens: added,
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: true,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: null,
      decoder: null,
      model: {
        type: "WordPiece",
        unk_token: specialPieces.unknown,
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      },
    },
    {},
  )
  const piecesOf = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids

  const encode = (first: string, second: string | undefined, maximumLength: number): Encoded => {
    const a = piecesOf(first)
    const b = second === undefined ? undefined : piecesOf(second)
    const room = maximumLength - (b === undefined ? 2 : 3)
    if (!(room >= (b === undefined ? 1 : 2))) {
      throw new RangeError(`a maximum length of ${maximumLength} leaves no room for text`)
    }
    const [keptA, keptB] =
      b === undefined ? [Math.min(a.length, room), 0] : longestFirst(a.length, b.length, room)
    const ids = [special.cls, ...a.slice(0, keptA), special.separator]
    const tokenTypeIds = new Int32Array(ids.length + (b === undefined ? 0 : keptB + 1)).fill(1, ids.length)
    if (b !== undefined) ids.push(...b.slice(0, keptB), special.separator)
    return { ids: Int32Array.from(ids), tokenTypeIds }
  }
  return { encode }
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
