import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { localSources } from "../../core/hub/address.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { readVocabulary } from "../model/vocabulary.ts"
import { FileSource, localFile } from "./shared/source.ts"

const largestFile = 2 ** 26
/** The size of BERT's uncased vocabulary; others cost about the same. */
const usualSize = 30522

const Options = type({
  "+": "reject",
  /** `vocab.txt` or `tokenizer.json` of an uncased BERT: a path, or `hf://google-bert/bert-base-uncased/vocab.txt`. */
  source: FileSource,
})
type Options = typeof Options.infer

const takes = {}

export const vocabulary = plugin({
  name: "vocabulary",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "The vocabulary of an uncased BERT, from a file or the Hugging Face hub",
  options: Options,
  takes,
  gives: Vocabulary,
  usesBackend: false,
  reads: ({ source }) => localSources(source),
  estimate: () => ({ artifact: { size: usualSize }, cost: cost({ memory: 2e8, disk: 2.4e5 }) }),
  run: Effect.fn("vocabulary")(function* ({ options: { source } }: RunContext<Options, typeof takes, never>) {
    const path = yield* localFile(source, largestFile)
    const found = yield* readVocabulary(path)
    const upperCase = found.tokens.find((token) => !/^\[.*\]$/.test(token) && token !== token.toLowerCase())
    if (upperCase === undefined) return found
    return yield* new InvalidInput({
      what: path,
      problems: [
        `expected an uncased vocabulary, since all text is lower-cased; found the token ${JSON.stringify(upperCase)}`,
      ],
    })
  }),
})
