/** Every reader of files or texts from outside, with a small input that it accepts. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { gzipSync } from "node:zlib"
import { type } from "arktype"
import { Effect } from "effect"
import { Corpus } from "../../../core/artifacts/corpus.ts"
import { Examples } from "../../../core/artifacts/examples.ts"
import { anyObservations } from "../../../core/artifacts/observations.ts"
import { Run } from "../../../core/artifacts/run.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { Similarity } from "../../../core/artifacts/similarity.ts"
import { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { branchRequest } from "../../../core/engine/branch.ts"
import { checkPassed } from "../../../core/engine/check-cache.ts"
import { cachedDigest } from "../../../core/engine/digest-cache.ts"
import { forgetPackages, packageVersion } from "../../../core/engine/packages.ts"
import { pipelineParameters } from "../../../core/engine/settings.ts"
import { attempt } from "../../../core/io/files.ts"
import { readManifest } from "../../../core/io/package-manifest.ts"
import { openSafetensors } from "../../../core/tensor/safetensors.ts"
import { countRows } from "../../../plugins/data/shared/count-rows.ts"
import { formatOf } from "../../../plugins/data/shared/format.ts"
import { examplesOf } from "../../../plugins/data/shared/glue/examples.ts"
import { localFiles } from "../../../plugins/data/shared/glue/files.ts"
import type { GlueTask } from "../../../plugins/data/shared/glue/task.ts"
import { streamLines } from "../../../plugins/data/shared/lines.ts"
import { pairsOfParquet, pairsOfSubset, pairsOfTable } from "../../../plugins/data/sts/pairs.ts"
import { readTable } from "../../../plugins/data/table/rows.ts"
import { checkModel } from "../../../plugins/model/hugging-face.ts"
import { tokenizerOf } from "../../../plugins/model/tokenizer.ts"
import { readVocabulary } from "../../../plugins/model/vocabulary.ts"

/** Files by their names in a folder. */
export type Files = Readonly<Record<string, Uint8Array>>

export interface Reader {
  readonly name: string
  /** A good input. */
  readonly files: Files
  /** Which of the files are damaged; all by default. */
  readonly damaged?: readonly string[]
  /** Whether a message need not name the file: what is missing or damaged counts as absent, or is no file. */
  readonly nameless?: boolean
  readonly read: (folder: string) => Effect.Effect<unknown, { readonly message: string }>
}

const encoder = new TextEncoder()
const encoded = (texts: Readonly<Record<string, string>>): Files =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, encoder.encode(text)]))

/** Not as a Buffer, whose slices are no copies. */
const bytesOf = (path: string): Uint8Array => Uint8Array.from(readFileSync(path))

const fixtures = join(import.meta.dir, "..", "..", "fixtures")
const fixtureFiles = (...path: readonly string[]): Files => {
  const folder = join(fixtures, ...path)
  const names = readdirSync(folder).filter(
    (name) => statSync(join(folder, name)).isFile() && !/README|make/.test(name),
  )
  return Object.fromEntries(names.map((name) => [name, bytesOf(join(folder, name))]))
}
const only = (files: Files, ...names: readonly string[]): Files =>
  Object.fromEntries(names.map((name) => [name, files[name]!]))

const pairs = { labelNames: ["entailment", "not_entailment"], metrics: ["accuracy"] } as const
const task = (
  labels: GlueTask["labelNames"],
  tsv: GlueTask["tsv"],
  parquet: GlueTask["parquet"],
): GlueTask => ({ labelNames: labels, metrics: ["accuracy"], tsv, parquet, train: 1, dev: 1, lengths: [1] })
const rte = task(
  pairs.labelNames,
  [{ train: "train.tsv", dev: "dev.tsv", sentences: ["sentence1", "sentence2"], label: "label" }],
  { folder: "rte", dev: "validation", sentences: ["sentence1", "sentence2"], label: "label" },
)
const cola = task(
  ["unacceptable", "acceptable"],
  [
    {
      train: "train.tsv",
      dev: "dev.tsv",
      headless: ["source", "label", "mark", "sentence"],
      sentences: ["sentence"],
      label: "label",
      written: ["0", "1"],
    },
  ],
  { folder: "cola", dev: "validation", sentences: ["sentence"], label: "label" },
)
const stsb = task(
  null,
  [{ train: "train.tsv", dev: "dev.tsv", sentences: ["sentence1", "sentence2"], label: "score" }],
  { folder: "stsb", dev: "validation", sentences: ["sentence1", "sentence2"], label: "label" },
)
const glue = (task: GlueTask) => (folder: string) =>
  Effect.flatMap(
    attempt("find", folder, async () => localFiles(task, folder)),
    (files) => examplesOf(task, files),
  )

const lineByLine = (name: string) => (folder: string) =>
  attempt("read", join(folder, name), async () => {
    let bytes = 0
    for await (const { lines } of streamLines(join(folder, name)))
      for (const { text } of lines) bytes += text.length
    return bytes
  })

const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "sat", ".", "a"]
const tokenised = (name: string) => (folder: string) =>
  Effect.map(readVocabulary(join(folder, name)), (vocabulary) =>
    tokenizerOf(vocabulary).encode("The cats sat.\0 é \u202e", "A cat.", 16),
  )

const model = (...path: readonly string[]): Files => {
  const files = fixtureFiles(...path)
  return only(files, "config.json", "model.safetensors")
}

/** The files that an artifact's kind writes. */
const written = async (
  write: (folder: string) => Effect.Effect<unknown, { readonly message: string }>,
): Promise<Files> => {
  const folder = mkdtempSync(join(tmpdir(), "kasosei-soak-"))
  try {
    await Effect.runPromise(write(folder))
    const names = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile())
    return Object.fromEntries(names.map((name) => [name, bytesOf(join(folder, name))]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const special = { pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 }
const sequences = packSequences(
  [
    [2, 5, 6, 3],
    [2, 5, 3],
  ].map((ids) => ({ ids, tokenTypeIds: ids.map(() => 0) })),
)
const labels = Float64Array.from([0, 1])
const split = { sequences, labels }

const parameters = {
  name: "soak",
  parameters: type({
    "+": "reject",
    seeds: type("number.integer >= 0")
      .array()
      .default(() => [1]),
    lr: type("0 < number < 1")
      .array()
      .default(() => [0.1]),
    text: "string = ''",
    size: "'tiny' | 'base' = 'tiny'",
  }),
}

/** In the user's cache folder, for those that read there. */
const inCache = (folder: string, body: () => unknown) =>
  Effect.sync(() => {
    const { XDG_CACHE_HOME } = process.env
    process.env["XDG_CACHE_HOME"] = folder
    try {
      return body()
    } finally {
      if (XDG_CACHE_HOME === undefined) delete process.env["XDG_CACHE_HOME"]
      else process.env["XDG_CACHE_HOME"] = XDG_CACHE_HOME
    }
  })

const table = (name: string, file: Uint8Array, columns: readonly string[]): Reader => ({
  name: `table ${formatOf(name)}`,
  files: { [name]: file },
  read: (folder) => {
    countRows(join(folder, name), formatOf(name)!)
    return readTable(join(folder, name), formatOf(name)!, columns)
  },
})

const csv = 'text,tone\n"One, ""two""",good\nThree,bad\n"Four\nfive",good\n'
const jsonLines = '{"text":"One","tone":"good","more":[1,{"a":null}]}\n{"text":"Two","tone":false}\n'

export const readers = async (): Promise<readonly Reader[]> => {
  const glueOf = (name: string) => fixtureFiles("glue", name)
  const rteFiles = fixtureFiles("rte-sample")
  const stsbFiles = glueOf("stsb")
  const tokenizers = fixtureFiles("tokenizers")
  const bert = model("bert-2x32")
  const vocabulary = { tokens: words, special }
  const shard = "model-00001-of-00001.safetensors"
  const tensors = await Effect.runPromise(
    Effect.scoped(openSafetensors(join(fixtures, "bert-2x32", "model.safetensors"))),
  )
  const index = { weight_map: Object.fromEntries([...tensors.entries.keys()].map((name) => [name, shard])) }
  return [
    { name: "GLUE tsv", files: only(rteFiles, "train.tsv", "dev.tsv"), read: glue(rte) },
    {
      name: "GLUE tsv without header",
      files: only(glueOf("cola"), "train.tsv", "dev.tsv"),
      read: glue(cola),
    },
    { name: "GLUE parquet", files: only(rteFiles, "train.parquet", "validation.parquet"), read: glue(rte) },
    {
      name: "GLUE parquet scores",
      files: only(stsbFiles, "train.parquet", "validation.parquet"),
      read: glue(stsb),
    },
    table("a.csv", encoder.encode(csv), ["text", "tone"]),
    table("a.tsv", encoder.encode("text\ttone\nOne\tgood\nTwo\tbad\n"), ["text", "tone"]),
    table("a.jsonl", encoder.encode(jsonLines), ["text", "tone"]),
    table("a.parquet", fixtureFiles("parquet")["stsb.parquet"]!, ["sentence1", "sentence2", "label"]),
    {
      name: "STS table",
      files: {
        "sts-dev.csv": encoder.encode(
          "main\tx\t2012\t1\t3.5\tA man.\tA boy.\nmain\tx\t2012\t2\t1\tOne.\tTwo.\tmore\n",
        ),
      },
      read: (folder) => pairsOfTable(join(folder, "sts-dev.csv")),
    },
    {
      name: "STS subset",
      files: encoded({ input: "A man.\tA boy.\nOne.\tTwo.\n", gold: "3.5\n\n" }),
      read: (folder) => pairsOfSubset(join(folder, "input"), join(folder, "gold")),
    },
    {
      name: "STS parquet",
      files: only(stsbFiles, "train.parquet"),
      read: (folder) => pairsOfParquet(join(folder, "train.parquet")),
    },
    {
      name: "sentences",
      files: encoded({ "a.txt": "One sentence.\n\nTwo é.\n日本\n" }),
      read: lineByLine("a.txt"),
    },
    {
      name: "sentences gzipped",
      files: { "a.txt.gz": gzipSync("One sentence.\nAnother one, é.\n".repeat(50)) },
      read: lineByLine("a.txt.gz"),
    },
    { name: "vocab.txt", files: encoded({ "vocab.txt": words.join("\n") }), read: tokenised("vocab.txt") },
    {
      name: "tokenizer.json WordPiece",
      files: { "tokenizer.json": tokenizers["cased-word-piece.json"]! },
      read: tokenised("tokenizer.json"),
    },
    {
      name: "tokenizer.json BPE",
      files: { "tokenizer.json": tokenizers["byte-level-bpe.json"]! },
      read: tokenised("tokenizer.json"),
    },
    ...[
      ["bert-2x32"],
      ["layouts", "roberta-2x32"],
      ["layouts", "electra-2x32"],
      ["layouts", "distilbert-2x32"],
    ].map(
      (path): Reader => ({
        name: `config.json ${path.at(-1)}`,
        files: model(...path),
        damaged: ["config.json"],
        read: (folder) => checkModel(folder),
      }),
    ),
    {
      name: "safetensors",
      files: only(bert, "model.safetensors"),
      read: (folder) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { entries, read } = yield* openSafetensors(join(folder, "model.safetensors"))
            for (const name of entries.keys()) yield* read(name)
          }),
        ),
    },
    { name: "model folder", files: bert, read: (folder) => checkModel(folder, "shapes") },
    {
      name: "model index",
      files: {
        "config.json": bert["config.json"]!,
        [shard]: bert["model.safetensors"]!,
        "model.safetensors.index.json": encoder.encode(JSON.stringify(index)),
      },
      damaged: ["model.safetensors.index.json"],
      read: (folder) => checkModel(folder, "shapes"),
    },
    {
      name: "artifact examples",
      files: await written((folder) =>
        Examples.write(folder, {
          labelNames: ["a", "b"],
          metrics: ["accuracy"],
          train: split,
          dev: split,
          special,
          vocabularySize: 8,
        }),
      ),
      read: Examples.read,
    },
    {
      name: "artifact corpus",
      files: await written((folder) => Corpus.write(folder, { sequences, special, vocabularySize: 8 })),
      read: Corpus.read,
    },
    {
      name: "artifact similarity",
      files: await written((folder) =>
        Similarity.write(folder, {
          sets: [{ name: "x", first: sequences, second: sequences, scores: labels }],
          vocabularySize: 8,
        }),
      ),
      read: Similarity.read,
    },
    {
      name: "artifact vocabulary",
      files: await written((folder) => Vocabulary.write(folder, vocabulary)),
      read: Vocabulary.read,
    },
    {
      name: "artifact run",
      files: await written((folder) =>
        Run.write(folder, {
          seed: 1,
          steps: 2,
          warmupSteps: 1,
          loss: labels,
          learningRate: labels,
          gradientNorm: labels,
          predictions: labels,
          labels,
          metrics: ["accuracy"],
          baseline: 0,
        }),
      ),
      read: Run.read,
    },
    {
      name: "artifact observations",
      files: await written((folder) =>
        anyObservations.write(folder, [
          { step: 0, block: "layer.0", norm: 1.5, gram: Float64Array.from([1, 2, 3]) },
          { step: 1, block: "pooler", norm: -2, gram: Float64Array.from([4]) },
        ]),
      ),
      read: anyObservations.read,
    },
    {
      name: "package.json",
      files: encoded({ "package.json": '{"name":"a","version":"1.0.0","dependencies":{"effect":"4"}}' }),
      nameless: true,
      read: (folder) => Effect.sync(() => readManifest(folder)),
    },
    {
      name: "bun.lock",
      files: encoded({
        "bun.lock":
          '{"lockfileVersion":1,"packages":{"a":["a@1.0.0","",{"dependencies":{"b":"2"}},"sha"],"b":["b@2.0.0","",{},"sha"],},}',
      }),
      nameless: true,
      read: (folder) =>
        Effect.sync(() => {
          forgetPackages()
          return packageVersion("a", folder)
        }),
    },
    {
      name: "digest cache",
      files: encoded({
        "kasosei/content-digests.json": JSON.stringify({ "/a": { stamp: "1 2 3", digest: "0".repeat(64) } }),
        "kasosei/checked-files.json": JSON.stringify(["1".repeat(64)]),
      }),
      nameless: true,
      read: (folder) => inCache(folder, () => [cachedDigest("/a", "1 2 3"), checkPassed("1".repeat(64))]),
    },
    {
      name: "--set",
      files: encoded({ set: "seeds=1..30\nlr=1e-5,2e-5\ntext=a b\nsize=tiny" }),
      nameless: true,
      read: (folder) =>
        pipelineParameters(
          parameters,
          new TextDecoder().decode(readFileSync(join(folder, "set"))).split("\n"),
        ),
    },
    {
      name: "--branch",
      files: encoded({ branch: "arm=vanilla lr=1e-3 seed=2@50\nlr=5e-4\noptimiser=sgd({ momentum: 0.5 })" }),
      nameless: true,
      read: (folder) => {
        const [text = "", ...set] = new TextDecoder().decode(readFileSync(join(folder, "branch"))).split("\n")
        return branchRequest(text, set)
      },
    },
  ]
}

export const writeFiles = (folder: string, files: Files): void => {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
}
