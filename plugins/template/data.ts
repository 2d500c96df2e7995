import { statSync } from "node:fs"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { SequencePacker } from "../../core/artifacts/sequences.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { decode } from "../../core/io/decode.ts"
import { FileError, readText } from "../../core/io/files.ts"
import { tokenizerOf } from "../model/tokenizer.ts"

const Options = type({
  "+": "reject",
  /** JSON Lines: one object a line, with the sentence as its `text`. */
  source: "string > 0",
  /** Maximum tokens per sentence, special tokens included; longer sentences are truncated. */
  maxLength: "3 <= number.integer <= 512 = 32",
})

const takes = { vocabulary: Vocabulary }

/** Other keys of an object are ignored. */
const Sentence = type("string.json.parse").to({ text: "string > 0" })

/** In bytes: the whole file is read into memory. */
const largestFile = 2 ** 28
/** For the estimate, which does not read the file. */
const bytesPerSentence = 150

/** A corpus from JSON Lines. */
export const templateData = plugin({
  name: "template-data",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "A corpus from JSON Lines, one sentence a line",
  options: Options,
  takes,
  gives: Corpus,
  usesBackend: false,
  // The content of the file is part of the key, so an edited file gives a new corpus.
  reads: ({ source }) => [source],
  estimate: ({ source, maxLength }, { vocabulary }) => {
    const bytes = statSync(source, { throwIfNoEntry: false })?.size ?? 0
    const sentences = Math.ceil(bytes / bytesPerSentence)
    const artifact = { sentences, tokensPerSentence: maxLength, vocabularySize: vocabulary.size }
    return { artifact, cost: cost({ memory: 4 * bytes, disk: 8 * maxLength * sentences }) }
  },
  run: Effect.fn("template-data")(function* ({
    options: { source, maxLength },
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, unknown>) {
    const tokenizer = tokenizerOf(vocabulary)
    const packer = new SequencePacker()
    const lines = (yield* readText(source, largestFile)).split("\n")
    for (const [index, line] of lines.entries()) {
      if (line.trim() === "") continue
      const { text } = yield* decode(`${source}, line ${index + 1}`, Sentence)(line)
      packer.add(tokenizer.encode(text, undefined, maxLength))
    }
    if (packer.count === 0) {
      return yield* new FileError({ path: source, doing: "read", found: "it has no sentences" })
    }
    const vocabularySize = vocabulary.tokens.length
    return { sequences: packer.packed(), special: vocabulary.special, vocabularySize }
  }),
})
