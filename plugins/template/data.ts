import { statSync } from "node:fs"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import type { MetricName } from "../../core/artifacts/metrics.ts"
import { SequencePacker } from "../../core/artifacts/sequences.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { decode } from "../../core/io/decode.ts"
import { FileError, readText } from "../../core/io/files.ts"
import { tokenizerOf } from "../model/tokenizer.ts"

const Options = type({
  "+": "reject",
  /** The train split as JSON Lines: an object a line, with its `text`, `label` and, of a pair, `second`. */
  train: "string > 0",
  /** The dev split, in the same form. */
  dev: "string > 0",
  /** The labels, in the order of their classes. */
  labels: "string[] >= 2",
  /** Maximum tokens per example, special tokens included; longer ones are truncated. */
  maxLength: "5 <= number.integer <= 512 = 128",
})

const takes = { vocabulary: Vocabulary }
const metrics: readonly MetricName[] = ["accuracy"]

/** Other keys of an object are ignored. */
const Line = type("string.json.parse").to({ text: "string > 0", "second?": "string > 0", label: "string" })

/** In bytes: a whole file is read into memory. */
const largestFile = 2 ** 28
/** For the estimate, which does not read the files. */
const bytesPerExample = 150

const examplesIn = (path: string): number =>
  Math.ceil((statSync(path, { throwIfNoEntry: false })?.size ?? 0) / bytesPerExample)

/**
 * The examples of a file.
 *
 * @throws FileError, InvalidInput with the line that cannot be used
 */
const examplesOf = Effect.fnUntraced(function* (path: string, labels: readonly string[]) {
  const examples: (typeof Line.infer)[] = []
  for (const [index, line] of (yield* readText(path, largestFile)).split("\n").entries()) {
    if (line.trim() === "") continue
    const example = yield* decode(`${path}, line ${index + 1}`, Line)(line)
    if (!labels.includes(example.label)) {
      const found = `line ${index + 1}: expected the label ${labels.join(" or ")}, found ${JSON.stringify(example.label)}`
      return yield* new FileError({ path, doing: "read", found })
    }
    examples.push(example)
  }
  if (examples.length === 0) return yield* new FileError({ path, doing: "read", found: "it has no examples" })
  return examples
})

/** Labelled sentences or pairs of them from JSON Lines. */
export const templateData = plugin({
  name: "template-data",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Labelled sentences, or pairs of them, from JSON Lines",
  options: Options,
  takes,
  gives: Examples,
  usesBackend: false,
  // The content of the files is part of the key, so an edited file gives new examples.
  reads: ({ train, dev }) => [train, dev],
  // A plan refuses files that a run could not start from.
  checkFiles: ({ train, dev, labels }) =>
    Effect.forEach([train, dev], (path) => examplesOf(path, labels), { discard: true }),
  estimate: (options, { vocabulary }) => {
    const [train, dev] = [examplesIn(options.train), examplesIn(options.dev)]
    const tokensPerExample = Math.min(options.maxLength, bytesPerExample / 4)
    const labels = options.labels.length
    return {
      artifact: {
        train,
        dev,
        tokensPerExample,
        labels,
        labelKind: "classes" as const,
        metrics,
        vocabularySize: vocabulary.size,
      },
      // Two int32 per token; in memory the text as well.
      cost: cost({
        memory: 4 * bytesPerExample * (train + dev),
        disk: 8 * tokensPerExample * (train + dev),
      }),
    }
  },
  run: Effect.fn("template-data")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, unknown>) {
    const tokenizer = tokenizerOf(vocabulary)
    const read = Effect.fnUntraced(function* (path: string) {
      const packer = new SequencePacker()
      const labels: number[] = []
      for (const { text, second, label } of yield* examplesOf(path, options.labels)) {
        packer.add(tokenizer.encode(text, second, options.maxLength))
        labels.push(options.labels.indexOf(label))
      }
      return { sequences: packer.packed(), labels: Float64Array.from(labels) }
    })
    return {
      labelNames: options.labels,
      metrics,
      train: yield* read(options.train),
      dev: yield* read(options.dev),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
