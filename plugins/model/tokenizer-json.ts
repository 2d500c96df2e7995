/**
 * The `tokenizer.json` of Hugging Face's tokenizers, as far as it is supported: WordPiece as in BERT, cased or uncased,
 * and byte-level BPE as in RoBERTa. Settings that are not known to give the same ids are refused.
 */
import { type } from "arktype"

const id = type("number.integer >= 0")
const vocab = type("Record<string, number.integer >= 0>")

const AddedToken = type({
  id,
  content: "string > 0",
  "lstrip?": "boolean",
  "rstrip?": "boolean",
  "single_word?": "false",
})

const named = type(["string", id])
const Piece = type({ SpecialToken: { id: "string", type_id: "0 | 1" } }).or({
  Sequence: { id: "'A' | 'B'", type_id: "0 | 1" },
})
const pieces = (...texts: readonly string[]) =>
  Piece.array().narrow(
    (template, context) =>
      template.flatMap((piece) => ("Sequence" in piece ? [piece.Sequence.id] : [])).join() === texts.join() ||
      context.mustBe(`a template with ${texts.map((text) => `$${text}`).join(" before ")}`),
  )
const PostProcessor = type({ type: "'RobertaProcessing' | 'BertProcessing'", cls: named, sep: named })
  .or({
    type: "'TemplateProcessing'",
    single: pieces("A"),
    pair: pieces("A", "B"),
    special_tokens: type({ "[string]": type({ ids: id.array() }) }),
  })
  .narrow((processor, context) => {
    if (processor.type !== "TemplateProcessing") return true
    const names = [...processor.single, ...processor.pair].flatMap((piece) =>
      "SpecialToken" in piece ? [piece.SpecialToken.id] : [],
    )
    const unknown = names.find((name) => !Object.hasOwn(processor.special_tokens, name))
    return (
      unknown === undefined ||
      context.reject({
        relativePath: ["special_tokens"],
        expected: `an object with ${unknown}, which the templates name`,
      })
    )
  })

const WordPieceJson = type({
  model: {
    "type?": "'WordPiece'",
    vocab,
    "unk_token?": "'[UNK]'",
    "continuing_subword_prefix?": "'##'",
    "max_input_chars_per_word?": "100",
  },
  normalizer: {
    type: "'BertNormalizer'",
    lowercase: "boolean",
    "clean_text?": "true",
    "handle_chinese_chars?": "true",
    "strip_accents?": "boolean | null",
  },
  pre_tokenizer: { type: "'BertPreTokenizer'" },
  "post_processor?": PostProcessor.or("null"),
  "added_tokens?": AddedToken.array(),
})
export type WordPieceJson = typeof WordPieceJson.infer

const BytePairJson = type({
  model: {
    type: "'BPE'",
    vocab,
    merges: type("string[]").or(type(["string", "string"]).array()),
    "dropout?": "null",
    "continuing_subword_prefix?": "'' | null",
    "end_of_word_suffix?": "'' | null",
    "byte_fallback?": "false",
    "ignore_merges?": "false",
  },
  "normalizer?": "null",
  pre_tokenizer: { type: "'ByteLevel'", add_prefix_space: "false", "use_regex?": "true" },
  post_processor: PostProcessor,
  "added_tokens?": AddedToken.array(),
})
export type BytePairJson = typeof BytePairJson.infer

const ModelType = type({ model: { "type?": "'WordPiece' | 'BPE'" } })

/** A `tokenizer.json`, checked. */
export const TokenizerJson = ModelType.pipe((json): WordPieceJson | BytePairJson | type.errors =>
  json.model.type === "BPE" ? BytePairJson(json) : WordPieceJson(json),
)
export type TokenizerJson = WordPieceJson | BytePairJson

export const isBytePair = (json: TokenizerJson): json is BytePairJson => json.model.type === "BPE"

/** A place in a template: a special token, or one of the texts, with the token type there. */
export type Place = { readonly tokenType: number } & (
  | { readonly id: number }
  | { readonly text: "first" | "second" }
)

/** Where the special tokens go around one text, and around two. */
export interface Template {
  readonly single: readonly Place[]
  readonly pair: readonly Place[]
}

const first: Place = { text: "first", tokenType: 0 }
const second = (tokenType: number): Place => ({ text: "second", tokenType })

/** BERT's: `[CLS] A [SEP]` with token type 0, and `B [SEP]` with token type 1. */
export const bertTemplate = (cls: number, separator: number): Template => {
  const start = { id: cls, tokenType: 0 }
  const end = (tokenType: number) => ({ id: separator, tokenType })
  return { single: [start, first, end(0)], pair: [start, first, end(0), second(1), end(1)] }
}

/** RoBERTa's: `<s> A </s>` and `<s> A </s></s> B </s>`, without token types. */
const robertaTemplate = (cls: number, separator: number): Template => {
  const start = { id: cls, tokenType: 0 }
  const end = { id: separator, tokenType: 0 }
  return { single: [start, first, end], pair: [start, first, end, end, second(0), end] }
}

/** The template of a tokenizer, if it states one. */
export const templateOf = ({ post_processor }: TokenizerJson): Template | undefined => {
  if (post_processor == null) return undefined
  if (post_processor.type !== "TemplateProcessing") {
    const { cls, sep } = post_processor
    return (post_processor.type === "BertProcessing" ? bertTemplate : robertaTemplate)(cls[1], sep[1])
  }
  const { special_tokens } = post_processor
  const places = (template: readonly (typeof Piece.infer)[]): readonly Place[] =>
    template.flatMap((piece): readonly Place[] => {
      if ("Sequence" in piece) {
        const { id, type_id } = piece.Sequence
        return [{ text: id === "A" ? "first" : "second", tokenType: type_id }]
      }
      const { id, type_id } = piece.SpecialToken
      return special_tokens[id]!.ids.map((special) => ({ id: special, tokenType: type_id }))
    })
  return { single: places(post_processor.single), pair: places(post_processor.pair) }
}

/** What determines the ids, in a form in which equal tokenizers are equal, however their files are written. */
export const essentials = (json: TokenizerJson): Readonly<Record<string, unknown>> => {
  const added = (json.added_tokens ?? []).map(({ id, content, lstrip = false, rstrip = false }) => [
    id,
    content,
    lstrip,
    rstrip,
  ])
  if (isBytePair(json)) {
    const merges = json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")))
    return { model: ["BPE", merges], added_tokens: added, post_processor: templateOf(json) }
  }
  const { lowercase, strip_accents } = json.normalizer
  return {
    model: ["WordPiece"],
    normalizer: [lowercase, strip_accents ?? lowercase],
    added_tokens: added,
    post_processor: templateOf(json),
  }
}
