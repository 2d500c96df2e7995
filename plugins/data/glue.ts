import * as fs from "node:fs/promises"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Progress } from "../../core/api/progress.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { hubAddress, localSources, Source } from "../../core/hub/address.ts"
import { download } from "../../core/hub/download.ts"
import { attempt, FileError } from "../../core/io/files.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { examplesOfParquet, examplesOfTsv } from "./glue/examples.ts"
import { type GlueTask, glueTaskNames, glueTasks } from "./glue/tasks.ts"
import { encodeAll } from "./shared/encode.ts"
import { meanLength } from "./shared/lengths.ts"

const largestFile = 2 ** 28
/** Accepted names of the two files. */
const names = {
  tsv: { train: ["train.tsv"], dev: ["dev.tsv"] },
  parquet: {
    train: ["train-00000-of-00001.parquet", "train.parquet"],
    dev: ["validation-00000-of-00001.parquet", "validation.parquet"],
  },
} as const

const Options = type({
  "+": "reject",
  /** The GLUE task. */
  task: type.enumerated(...glueTaskNames),
  /**
   * The task's folder, with GLUE's `train.tsv` and `dev.tsv` or with parquet files; or a copy of GLUE on the hub,
   * such as `hf://datasets/nyu-mll/glue`.
   */
  source: Source,
  /** Maximum tokens per example; longer ones (about 12 % of RTE at 128) are truncated, the longer sentence first. */
  maxLength: "5 <= number.integer <= 512 = 128",
})
type Options = typeof Options.infer

const takes = { vocabulary: Vocabulary }

export const glue = plugin({
  name: "glue",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "RTE, WNLI, CoLA or SST-2 of GLUE, from files or the Hugging Face hub",
  options: Options,
  takes,
  gives: Examples,
  usesBackend: false,
  reads: ({ source }) => localSources(source),
  estimate: ({ task, maxLength }, inputs) => {
    const { train, dev, labelNames, lengths } = glueTasks[task]
    const tokensPerExample = meanLength(lengths, maxLength)
    // Two int32 per token, an offset and a float64 label per example; in memory also the text and its tokens.
    const disk = (train + dev) * (8 * tokensPerExample + 12)
    return {
      artifact: {
        train,
        dev,
        tokensPerExample,
        labels: labelNames.length,
        labelKind: "classes" as const,
        vocabularySize: inputs.vocabulary.size,
      },
      cost: cost({ memory: 2.5e8 + 5 * disk, disk }),
    }
  },
  run: Effect.fn("glue")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<Options, typeof takes, never>) {
    const task = glueTasks[options.task]
    const progress = yield* Progress
    const files = yield* filesOf(task, options.source)
    const read = files.format === "tsv" ? examplesOfTsv : examplesOfParquet
    const texts = { train: yield* read(task, files.train), dev: yield* read(task, files.dev) }
    const tokenizer = tokenizerOf(vocabulary)
    const total = texts.train.length + texts.dev.length
    const encode = Effect.fnUntraced(function* (split: keyof typeof texts, done: number) {
      yield* progress.report(done, total, split)
      const sequences = yield* encodeAll(tokenizer, texts[split], options.maxLength)
      return { sequences, labels: Float64Array.from(texts[split], ({ label }) => label) }
    })
    return {
      labelNames: task.labelNames,
      metrics: ["accuracy" as const],
      train: yield* encode("train", 0),
      dev: yield* encode("dev", texts.train.length),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})

const filesOf = Effect.fnUntraced(function* (task: GlueTask, source: string) {
  const address = hubAddress(source)
  if (address !== null) {
    const { repository, path } = address
    const [train, dev] = yield* Effect.forEach(["train", "dev"] as const, (split) =>
      download(repository, `${path ?? task.config}/${names.parquet[split][0]}`, largestFile),
    )
    return { format: "parquet", train: train!, dev: dev! } as const
  }
  const present = new Set(yield* attempt("list", source, () => fs.readdir(source)))
  for (const format of ["tsv", "parquet"] as const) {
    const train = names[format].train.find((name) => present.has(name))
    const dev = names[format].dev.find((name) => present.has(name))
    if (train !== undefined && dev !== undefined) {
      return { format, train: join(source, train), dev: join(source, dev) } as const
    }
  }
  const found = [...present].sort().slice(0, 8).join(", ") || "nothing"
  return yield* new FileError({
    path: source,
    doing: "find the data in",
    found: `it contains ${found}`,
    advice: "Give the folder with train.tsv and dev.tsv, or with train.parquet and validation.parquet",
  })
})
