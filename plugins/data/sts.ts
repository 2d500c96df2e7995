import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { hubAddress, hubSources, Source } from "../../core/hub/address.ts"
import { download } from "../../core/hub/download.ts"
import { fileError } from "../../core/io/files.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll } from "./shared/encode.ts"
import { meanLength } from "./shared/lengths.ts"
import { benchmarkNames, benchmarks, lengths } from "./sts/benchmarks.ts"
import { localFiles } from "./sts/files.ts"
import { pairsOfParquet, pairsOfSubset, pairsOfTable, type ScoredPair } from "./sts/pairs.ts"

const largestFile = 2 ** 26

const Options = type({
  "+": "reject",
  /** The benchmark; for STS-B, with its split. */
  benchmark: type.enumerated(...benchmarkNames),
  /**
   * The benchmark's folder: SentEval's `STSBenchmark`, `STS12-en-test` …, `SICK`, or GLUE's `STS-B`; for STS-B also
   * a copy of GLUE on the hub, such as `hf://datasets/nyu-mll/glue`.
   */
  source: Source,
  /** Maximum tokens per sentence; longer sentences are truncated. None exceeds the default. */
  maxLength: "3 <= number.integer <= 512 = 128",
}).narrow(
  ({ benchmark, source }, context) =>
    hubAddress(source) === null ||
    benchmarks[benchmark].hub !== undefined ||
    context.reject({
      path: ["source"],
      expected: `a local folder (${benchmark} is not on the hub)`,
      actual: source,
    }),
)
type Options = typeof Options.infer

const takes = { vocabulary: Vocabulary }

/** Each artifact is one benchmark, because its sets are scored together. */
export const sts = plugin({
  name: "sts",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Semantic textual similarity: STS-B, STS12 to STS16 or SICK-R",
  options: Options,
  takes,
  gives: Similarity,
  usesBackend: false,
  reads: ({ benchmark, source }) =>
    hubAddress(source) === null
      ? localFiles(benchmark, source).flatMap(({ sentences, scores }) =>
          scores === undefined ? [sentences] : [sentences, scores],
        )
      : hubSources(source),
  checkFiles: (options) =>
    hubAddress(options.source) === null ? Effect.asVoid(setsOf(options)) : Effect.void,
  estimate: ({ benchmark, maxLength }, inputs) => {
    const { pairs } = benchmarks[benchmark]
    const tokensPerSentence = meanLength(lengths, maxLength)
    const disk = pairs * (16 * tokensPerSentence + 16)
    return {
      artifact: { pairs, tokensPerSentence, vocabularySize: inputs.vocabulary.size },
      cost: cost({ memory: 2.5e8, disk }),
    }
  },
  run: Effect.fn("sts")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<Options, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const encode = (texts: readonly string[]) =>
      encodeAll(
        tokenizer,
        texts.map((first) => ({ first })),
        options.maxLength,
      )
    const named = yield* setsOf(options)
    const sets = yield* Effect.forEach(
      named,
      Effect.fnUntraced(function* ({ name, pairs }) {
        return {
          name,
          first: yield* encode(pairs.map(({ first }) => first)),
          second: yield* encode(pairs.map(({ second }) => second)),
          scores: Float64Array.from(pairs, ({ score }) => score),
        }
      }),
    )
    return { sets, vocabularySize: vocabulary.tokens.length }
  }),
})

interface NamedPairs {
  readonly name: string
  readonly pairs: readonly ScoredPair[]
}

const setsOf = Effect.fnUntraced(function* ({ benchmark, source }: Options) {
  const address = hubAddress(source)
  const { hub } = benchmarks[benchmark]
  if (address !== null && hub !== undefined) {
    const path = yield* download(address.repository, `${address.path ?? "stsb"}/${hub}`, largestFile)
    return [{ name: benchmark, pairs: yield* pairsOfParquet(path) }]
  }
  const files = yield* Effect.try({
    try: () => localFiles(benchmark, source),
    catch: (cause) => fileError("read", source, cause),
  })
  return yield* Effect.forEach(files, ({ name, sentences, scores }) =>
    Effect.map(
      scores === undefined ? pairsOfTable(sentences) : pairsOfSubset(sentences, scores),
      (pairs): NamedPairs => ({ name, pairs }),
    ),
  )
})
