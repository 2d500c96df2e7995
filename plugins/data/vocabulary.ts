import { existsSync, statSync } from "node:fs"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { hubAddress, hubSources, localSources, Source } from "../../core/hub/address.ts"
import { downloadFirst } from "../../core/hub/download.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { FileError } from "../../core/io/files.ts"
import { readVocabulary, vocabularyFiles } from "../model/vocabulary.ts"
import { localFile } from "./shared/source.ts"

const largestFile = 2 ** 26
/** The size of BERT's uncased vocabulary; others cost about the same. */
const usualSize = 30522

const Options = type({
  "+": "reject",
  /**
   * A checkpoint's folder or repository (`hf://google-bert/bert-base-uncased`), or its `tokenizer.json`, or the
   * `vocab.txt` of an uncased BERT.
   */
  source: Source.narrow((source, context) => {
    const address = hubAddress(source)
    const known = address === null || address.repository.type === "model" || address.path !== null
    return known || context.mustBe("a model's repository or a file: hf://owner/name, or hf://owner/name/file")
  }),
})
type Options = typeof Options.infer

const takes = {}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** The local file among the sources: in a folder, the one that is read. */
const chosenIn = (source: string): string => {
  if (!isFolder(source)) return source
  const name = vocabularyFiles.find((name) => existsSync(join(source, name)))
  return name === undefined ? source : join(source, name)
}

const fileOf = Effect.fnUntraced(function* (source: string) {
  const address = hubAddress(source)
  if (address !== null && address.path === null) {
    return yield* downloadFirst(
      address.repository,
      vocabularyFiles.map((name) => [name, largestFile]),
    )
  }
  const path = chosenIn(yield* localFile(source, largestFile))
  if (!isFolder(path)) return path
  return yield* new FileError({
    path,
    doing: "find the vocabulary in",
    found: `there is neither ${vocabularyFiles.join(" nor ")}`,
  })
})

/** The tokens of a model and how its text becomes tokens: WordPiece, cased or uncased, or byte-level BPE. */
export const vocabulary = plugin({
  name: "vocabulary",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "The vocabulary and tokenizer of a checkpoint, from a folder, a file or the Hugging Face hub",
  options: Options,
  takes,
  gives: Vocabulary,
  usesBackend: false,
  reads: ({ source }) => [...localSources(source).map(chosenIn), ...hubSources(source)],
  estimate: () => ({ artifact: { size: usualSize }, cost: cost({ memory: 2e8, disk: 2.4e5 }) }),
  checkFiles: ({ source }) => (hubAddress(source) === null ? Effect.asVoid(read(source)) : Effect.void),
  run: ({ options: { source } }: RunContext<Options, typeof takes, never>) => read(source),
})

const read = Effect.fn("vocabulary")(function* (source: string) {
  const path = yield* fileOf(source)
  const found = yield* readVocabulary(path)
  if (found.tokenizer !== undefined) return found
  const upperCase = found.tokens.find((token) => !/^\[.*\]$/.test(token) && token !== token.toLowerCase())
  if (upperCase === undefined) return found
  return yield* new InvalidInput({
    what: path,
    problems: [
      `expected an uncased vocabulary, since all text is lower-cased; found the token ${JSON.stringify(upperCase)}; for a cased model, give its tokenizer.json`,
    ],
  })
})
