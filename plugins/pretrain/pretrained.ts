/** Pretrained checkpoints, in the Hugging Face layout. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { hubAddress, hubSources, localSources, type Repository, Source } from "../../core/hub/address.ts"
import { download, downloadFirst } from "../../core/hub/download.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { copy, link, transferExisting } from "../../core/io/link.ts"
import { configOf, type EncoderConfig } from "../model/config.ts"
import { checkModel } from "../model/hugging-face.ts"
import type { Layout } from "../model/layouts/layout.ts"
import { countParameters, parametersOf } from "../model/parameters.ts"
import { encoderSize, sizeOption } from "../model/size.ts"
import { tokenizerFiles } from "../model/tokenizer.ts"
import { vocabularyFiles } from "../model/vocabulary.ts"
import { indexFile, maximumIndexBytes, readIndex, singleFile } from "../model/weights.ts"
import { poolers, tokenTypes } from "./shared/traits.ts"

const Options = type({
  "+": "reject",
  /** A folder with `config.json` and the weights, or `hf://owner/name`, followed by `@revision` unless it is `main`. */
  source: Source.narrow((source, context) => {
    const address = hubAddress(source)
    const model = address === null || (address.repository.type === "model" && address.path === null)
    return (
      model ||
      context.mustBe("a folder or a model's repository: hf://owner/name, or hf://owner/name@revision")
    )
  }),
  /** The sizes that the checkpoint must have; others are refused. */
  size: sizeOption,
  /** The expected size of its vocabulary. */
  vocabularySize: "1 <= number.integer <= 4194304 = 30522",
  /** The expected number of its positions: tokens of the longest sequence (512 for RoBERTa, which stores 514). */
  positions: "1 <= number.integer <= 65536 = 512",
})
type Options = typeof Options.infer

/** Limits in bytes; BERT-large has 1.4e9 of weights. */
const largestConfig = 2 ** 20
const largestTokenizer = 2 ** 26
const largestWeights = 2 ** 36

/** What is taken beside the configuration and the weights, if it is there. */
const filesBeside = [indexFile, ...tokenizerFiles]

/**
 * Downloads the files that are not cached yet; returns their folder, and which of them are taken beside configuration
 * and weights. Others may be cached there too, but what is taken must not depend on that.
 */
const fetchRepository = Effect.fnUntraced(function* (repository: Repository) {
  const config = yield* download(repository, "config.json", largestConfig)
  const tokenizer = yield* downloadFirst(
    repository,
    vocabularyFiles.map((name) => [name, largestTokenizer]),
  )
  const weights = yield* downloadFirst(repository, [
    [singleFile, largestWeights],
    [indexFile, maximumIndexBytes],
  ])
  if (basename(weights) === indexFile) {
    for (const shard of (yield* readIndex(weights)).keys()) yield* download(repository, shard, largestWeights)
  }
  const taken = [weights, tokenizer].map((path) => basename(path))
  return { folder: dirname(config), beside: filesBeside.filter((name) => taken.includes(name)) }
})

/** What is read of a folder, not all that lies in it; without any of that, the folder, which a plan then reports. */
const filesRead = (folder: string): readonly string[] => {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return [folder]
  const read = ["config.json", singleFile, ...filesBeside]
  const all = readdirSync(folder)
  // Only without the single file are there shards; then any other may be one.
  const isWeights = (name: string) => !all.includes(singleFile) && name.endsWith(".safetensors")
  const names = all.filter((name) => read.includes(name) || isWeights(name))
  return names.length === 0 ? [folder] : names.sort().map((name) => join(folder, name))
}

type Key = keyof NonNullable<Layout["keys"]>

/** Where `config.json` differs from the options, on which the plan is based. */
const sizeProblems = (given: Options, config: EncoderConfig): readonly string[] => {
  const { layers, hidden, heads, intermediate } = encoderSize(given.size)
  const { keys, firstPosition } = config.layout
  const unused = firstPosition(config)
  const named = typeof given.size === "string" ? `size ${given.size}` : "size"
  // What is found, what is expected, and by which option; what that would have to be, if it is a single number.
  const comparisons: readonly (readonly [Key, number, number, string, number?])[] = [
    ["num_hidden_layers", config.layers, layers, named],
    ["hidden_size", config.hidden, hidden, named],
    ["num_attention_heads", config.heads, heads, named],
    ["intermediate_size", config.intermediate, intermediate, named],
    ["vocab_size", config.vocabularySize, given.vocabularySize, "vocabularySize", config.vocabularySize],
    // Before the first position that is used there may be others, as in RoBERTa.
    [
      "max_position_embeddings",
      config.positions + unused,
      given.positions + unused,
      "positions",
      config.positions,
    ],
  ]
  return comparisons.flatMap(([key, found, expected, option, right]) =>
    found === expected
      ? []
      : [
          `${keys?.[key] ?? key}: expected ${expected}, by the option ${option}, found ${found}; correct the option${right === undefined ? "" : ` to ${right}`} or the source`,
        ],
  )
}

/** @throws InvalidInput, FileError if the folder does not hold a model of these sizes */
const checkFolder = Effect.fnUntraced(function* (
  folder: string,
  options: Options,
  part: "shapes" | "values",
) {
  const checked = yield* checkModel(folder, part)
  const problems = sizeProblems(options, checked.config)
  if (problems.length === 0) return checked
  return yield* new InvalidInput({ what: join(folder, "config.json"), problems })
})

const run = Effect.fn("pretrained")(function* ({
  options,
}: RunContext<Options, Record<never, never>, unknown>) {
  const address = hubAddress(options.source)
  const { folder, beside } =
    address === null
      ? { folder: options.source, beside: filesBeside }
      : yield* fetchRepository(address.repository)
  // Files in the hub's cache never change; those in a user's folder may.
  const transfer = address === null ? copy : link
  const { weights } = yield* checkFolder(folder, options, "values")
  return {
    write: Effect.fnUntraced(function* (target: string) {
      for (const path of [join(folder, "config.json"), ...weights]) {
        yield* transfer(path, join(target, basename(path)))
      }
      yield* transferExisting(transfer, folder, beside, target)
    }),
  }
})

/**
 * A pretrained BERT, RoBERTa, ELECTRA discriminator or DistilBERT. `config.json` and the weights are checked against
 * each other and against the options before anything is kept, and all weights must be finite numbers. A branch on the
 * hub stands for one commit, which counts in the key; to fix which, give the commit as `@revision`.
 */
export const pretrained = plugin({
  name: "pretrained",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "A pretrained checkpoint, from a folder or from the Hugging Face hub",
  options: Options,
  takes: {},
  gives: Checkpoint,
  usesBackend: false,
  reads: ({ source }) => [...localSources(source).flatMap(filesRead), ...hubSources(source)],
  // The values of the weights are checked when they are copied: reading them all takes seconds.
  checkFiles: (options) =>
    hubAddress(options.source) === null
      ? Effect.asVoid(checkFolder(options.source, options, "shapes"))
      : Effect.void,
  estimate: ({ size, vocabularySize, positions }) => {
    const sizes = { ...encoderSize(size), vocabularySize, positions }
    const config = { ...configOf("base", vocabularySize, 0), ...sizes }
    // Weights are checked one tensor at a time; in 16 bits, one is in memory twice.
    const largestTensor = 1.5 * Float32Array.BYTES_PER_ELEMENT * vocabularySize * sizes.hidden
    const weights =
      Float32Array.BYTES_PER_ELEMENT *
      countParameters(parametersOf(config, ["pooler", "maskedLanguageModel"]))
    // Whether it has seen dropout is not known.
    const traits = { pooler: poolers.released, "token types": tokenTypes.released }
    return { artifact: { ...sizes, traits }, cost: cost({ memory: 3e8 + largestTensor, disk: weights }) }
  },
  run,
})
