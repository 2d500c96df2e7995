import { statSync } from "node:fs"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Progress } from "../../core/api/progress.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { SequencePacker } from "../../core/artifacts/sequences.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { hubAddress, hubSources, localSources } from "../../core/hub/address.ts"
import { attempt, FileError } from "../../core/io/files.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { type Lengths, meanLength } from "./shared/lengths.ts"
import { checkedRows } from "./shared/limits.ts"
import { type Line, streamLines } from "./shared/lines.ts"
import { FileSource, localFile } from "./shared/source.ts"

const largestFile = 2 ** 33
/** Each array of an artifact is read in one piece of less than 2³¹ bytes. */
const mostTokens = 2 ** 29 - 1

/** Sentences of the English Wikipedia, measured on a sample of 20,000. */
export const wikipediaLengths: Lengths = [13, 17, 21, 24, 27, 30, 34, 39, 45, 63]
const bytesPerSentence = 140
const bytesPerSentenceCompressed = 59
/** Sentences in SimCSE's corpus: the estimate for a file that is not there yet. */
const usualCount = 1_000_000

const Options = type({
  "+": "reject",
  /** Text, one sentence per line, gzipped if the name ends in `.gz`: a path, or `hf://datasets/owner/name/file`. */
  source: FileSource,
  /** Maximum tokens per sentence; longer sentences are truncated. SimCSE uses 32. */
  maxLength: "3 <= number.integer <= 512 = 32",
  /** How many sentences to read from the start; all by default. */
  "limit?": "1 <= number.integer <= 100000000",
})
type Options = typeof Options.infer

const takes = { vocabulary: Vocabulary }

const noSentences = (path: string) => new FileError({ path, doing: "read", found: "it has no sentences" })

export const sentences = plugin({
  name: "sentences",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "A text corpus, one sentence per line, plain or gzipped",
  options: Options,
  takes,
  gives: Corpus,
  usesBackend: false,
  reads: ({ source }) => [...localSources(source), ...hubSources(source)],
  checkFiles: Effect.fn("sentences.checkFiles")(function* ({ source }) {
    if (hubAddress(source) !== null) return
    const found = yield* attempt("read", source, async () => {
      let [lines, sentences] = [0, 0]
      for await (const read of streamLines(source)) {
        lines += read.lines.length
        sentences += read.lines.filter(({ text }) => text.trim() !== "").length
        if (lines >= checkedRows) return "more"
      }
      return sentences
    })
    if (found === 0) return yield* noSentences(source)
  }),
  estimate: ({ source, maxLength, limit = Number.POSITIVE_INFINITY }, inputs) => {
    const bytes = statSync(source, { throwIfNoEntry: false })?.size
    const each = source.endsWith(".gz") ? bytesPerSentenceCompressed : bytesPerSentence
    const count = Math.min(limit, bytes === undefined ? usualCount : Math.ceil(bytes / each))
    const tokensPerSentence = meanLength(wikipediaLengths, maxLength)
    const tokens = count * tokensPerSentence
    const disk = 8 * tokens + 4 * count
    return {
      artifact: { sentences: count, tokensPerSentence, vocabularySize: inputs.vocabulary.size, pairs: false },
      // The packer doubles its arrays as they grow and copies them at the end.
      cost: cost({ memory: 4e8 + 3 * disk, disk }),
    }
  },
  run: Effect.fn("sentences")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<Options, typeof takes, never>) {
    const { maxLength, limit = Number.POSITIVE_INFINITY } = options
    const path = yield* localFile(options.source, largestFile)
    const { size } = yield* attempt("read", path, async () => statSync(path))
    const progress = yield* Progress
    const tokenizer = tokenizerOf(vocabulary)
    const packer = new SequencePacker()
    const add = ({ text }: Line) => {
      if (packer.count < limit && text.trim() !== "") packer.add(tokenizer.encode(text, undefined, maxLength))
    }
    yield* Effect.acquireUseRelease(
      Effect.sync(() => streamLines(path)),
      Effect.fnUntraced(function* (reading) {
        while (packer.count < limit) {
          const { done, value } = yield* attempt("read", path, () => reading.next())
          if (done === true) break
          value.lines.forEach(add)
          if (packer.tokens > mostTokens) {
            const found = `its first ${packer.count} sentences have more than ${mostTokens} tokens`
            return yield* new FileError({
              path,
              doing: "read",
              found,
              advice: "Set limit to fewer sentences",
            })
          }
          const [at, end] = Number.isFinite(limit) ? [packer.count, limit] : [value.bytes, size]
          yield* progress.report(at, end, `${packer.count} sentences`)
          yield* Effect.yieldNow
        }
      }),
      (reading) => Effect.promise(() => reading.return()),
    )
    if (packer.count === 0) {
      return yield* noSentences(path)
    }
    return {
      sequences: packer.packed(),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
