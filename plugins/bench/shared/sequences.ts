/** Data for benches: texts or, without a file, random tokens in sequences of typical lengths. */
import { Effect } from "effect"
import { packSequences, type Sequences } from "../../../core/artifacts/sequences.ts"
import type { SpecialTokens, Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { integers, stream } from "../../../core/tensor/stream.ts"
import { rteTask } from "../../data/rte.ts"
import { wikipediaLengths } from "../../data/sentences.ts"
import { encodeAll } from "../../data/shared/encode.ts"
import { examplesOfTsv } from "../../data/shared/glue/examples.ts"
import type { Lengths } from "../../data/shared/lengths.ts"
import { streamLines } from "../../data/shared/lines.ts"
import { tokenizerOf } from "../../model/tokenizer.ts"
import { readVocabulary } from "../../model/vocabulary.ts"

export interface Material {
  readonly sequences: Sequences
  /** [N], 0 or 1 */
  readonly labels: Int32Array
  readonly vocabularySize: number
  readonly special: SpecialTokens
  /** The source of the sequences, for the report. */
  readonly data: "file" | "random"
}

interface Wanted {
  readonly count: number
  readonly maxLength: number
  /** A `vocab.txt` or `tokenizer.json`; needed with a file of texts. */
  readonly tokenizer: string | undefined
}

/** That of bert-base-uncased. */
const usualVocabulary = {
  size: 30_522,
  special: { pad: 0, unknown: 100, cls: 101, separator: 102, mask: 103 },
}

const randomMaterial = (lengths: Lengths, { count, maxLength }: Wanted): Material => {
  const draws = stream(0, "bench")
  const { size, special } = usualVocabulary
  const tenths = integers({ stream: draws, site: 0, iteration: 0 }, count, lengths.length)
  const items = Array.from(tenths, (tenth, n) => {
    const length = Math.max(3, Math.min(maxLength, Math.round(lengths[tenth]!)))
    const ids = integers({ stream: draws, site: 1, iteration: n }, length, size - 1000).map((id) => id + 1000)
    ids[0] = special.cls
    ids[length - 1] = special.separator
    return { ids, tokenTypeIds: new Int32Array(length) }
  })
  const labels = integers({ stream: draws, site: 2, iteration: 0 }, count, 2)
  return { sequences: packSequences(items), labels, vocabularySize: size, special, data: "random" }
}

const readTokenizer = Effect.fnUntraced(function* (path: string | undefined) {
  if (path === undefined) {
    const problems = ["--tokenizer must be given with a file of texts: a vocab.txt or a tokenizer.json"]
    return yield* new InvalidInput({ what: "bench", problems })
  }
  return yield* readVocabulary(path)
})

const enough = (path: string, found: number, count: number) =>
  found >= count
    ? Effect.void
    : new InvalidInput({ what: path, problems: [`expected at least ${count} examples, found ${found}`] })

const fromFile = (vocabulary: Vocabulary, sequences: Sequences, labels: Int32Array): Material => ({
  sequences,
  labels,
  vocabularySize: vocabulary.tokens.length,
  special: vocabulary.special,
  data: "file",
})

/** The first examples of RTE, from its `train.tsv`. */
export const pairs = Effect.fnUntraced(function* (path: string | undefined, wanted: Wanted) {
  if (path === undefined) return randomMaterial(rteTask.lengths, wanted)
  const vocabulary = yield* readTokenizer(wanted.tokenizer)
  const examples = (yield* examplesOfTsv(rteTask, rteTask.tsv[0]!, path)).slice(0, wanted.count)
  yield* enough(path, examples.length, wanted.count)
  const sequences = yield* encodeAll(tokenizerOf(vocabulary), examples, wanted.maxLength)
  const labels = Int32Array.from(examples, ({ label }) => label)
  return fromFile(vocabulary, sequences, labels)
})

/** The first sentences of a corpus, one a line. */
export const sentences = Effect.fnUntraced(function* (path: string | undefined, wanted: Wanted) {
  if (path === undefined) return randomMaterial(wikipediaLengths, wanted)
  const vocabulary = yield* readTokenizer(wanted.tokenizer)
  const texts: { readonly first: string }[] = []
  yield* Effect.tryPromise({
    try: async () => {
      for await (const { lines } of streamLines(path)) {
        for (const { text } of lines) if (text.trim() !== "") texts.push({ first: text })
        if (texts.length >= wanted.count) break
      }
    },
    catch: (cause) => new InvalidInput({ what: path, problems: [String(cause)] }),
  })
  yield* enough(path, texts.length, wanted.count)
  const kept = texts.slice(0, wanted.count)
  const sequences = yield* encodeAll(tokenizerOf(vocabulary), kept, wanted.maxLength)
  return fromFile(vocabulary, sequences, new Int32Array(kept.length))
})
