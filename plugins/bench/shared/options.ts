import { type } from "arktype"
import { type Size, sizes } from "../../model/config.ts"

const count = (most: number) =>
  type("string.integer.parse").to(
    type("number.integer >= 1").narrow((n, context) => n <= most || context.mustBe(`at most ${most}`)),
  )

/** Options that the benches share, as strings from the command line. */
export const fields = {
  model: type.enumerated(...(Object.keys(sizes) as Size[])).default("mini"),
  file: type("string > 0"),
  batch: count(65_536),
  length: count(512),
  steps: count(100_000),
}

export const flagTexts = {
  model: `Size of the model: ${Object.keys(sizes).join(", ")} (default: mini)`,
  rte: "RTE's train.tsv (default: random tokens)",
  corpus: "Text, one sentence per line, plain or .gz (default: random tokens)",
  tokenizer: "vocab.txt or tokenizer.json, needed to tokenise a file",
  batch: "Examples per update",
  length: "Maximum tokens per sequence, special tokens included",
  steps: "Updates to time, after one for warm-up (default: 12)",
}

/**
 * The flags and options of benches on sentences.
 *
 * @param length the default of `max-len`, in tokens
 */
export const onSentences = (length: string) => ({
  flags: {
    model: flagTexts.model,
    corpus: flagTexts.corpus,
    tokenizer: flagTexts.tokenizer,
    batch: `${flagTexts.batch} (default: 64)`,
    "max-len": `${flagTexts.length} (default: ${length})`,
    steps: flagTexts.steps,
  },
  options: type({
    "+": "reject",
    model: fields.model,
    "corpus?": fields.file,
    "tokenizer?": fields.file,
    batch: fields.batch.default("64"),
    "max-len": fields.length.default(length),
    steps: fields.steps.default("12"),
  }),
})
