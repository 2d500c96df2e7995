import { type } from "arktype"
import { type Size, sizes } from "../../model/config.ts"

const count = (most: number) =>
  type("string.integer.parse").to(
    type("number.integer >= 1").narrow((n, context) => n <= most || context.mustBe(`at most ${most}`)),
  )

/** Options that the measurements share, as texts from the command line. */
export const fields = {
  model: type.enumerated(...(Object.keys(sizes) as Size[])).default("mini"),
  file: type("string > 0"),
  batch: count(65_536),
  length: count(512),
  steps: count(100_000),
}

export const flagTexts = {
  model: `Its size: ${Object.keys(sizes).join(", ")} (default: mini)`,
  rte: "RTE's train.tsv; random pieces where left out",
  corpus: "Sentences, one a line, plain or .gz; random pieces where left out",
  tokenizer: "The vocab.txt or tokenizer.json that the file's texts are cut up by",
  batch: "Examples in a step",
  length: "The longest sequence, special tokens included",
  steps: "Steps that are timed, after one that is not (default: 12)",
}

/** What measurements on sentences are told. @param length the word pieces of a sentence where nothing is said */
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
