/**
 * The weights of a folder in Hugging Face's layout, under the names of `parameters.ts`: one `model.safetensors`, or
 * shards with an index; names with or without the encoder's prefix (`bert.`); LayerNorm's old names `gamma` and `beta`.
 */
import { basename, join } from "node:path"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import { InvalidInput } from "../../core/io/decode.ts"
import { exists, FileError, readJson } from "../../core/io/files.ts"
import { openSafetensors, type SafetensorsFile } from "../../core/tensor/safetensors.ts"
import type { Layout } from "./layouts/layout.ts"

/** A tensor of a checkpoint: its file and its name in that file. */
export interface StoredTensor {
  readonly file: SafetensorsFile
  readonly nameInFile: string
  readonly shape: readonly number[]
}

/** The tensors of a checkpoint's files, by canonical name. */
export type StoredTensors = ReadonlyMap<string, StoredTensor>

export const singleFile = "model.safetensors"
/** For sharded weights: which tensor is in which file. */
export const indexFile = "model.safetensors.index.json"
export const maximumIndexBytes = 2 ** 26

const Index = type({
  "metadata?": "Record<string, unknown>",
  weight_map: "Record<string, string>",
})

/** The name in a model with a head: with the encoder's prefix, and LayerNorm's parameters `weight` and `bias`. */
const canonicalName = (name: string, { prefix }: Layout): string =>
  name
    .replace(/^(?=(embeddings|embeddings_project|encoder|transformer|pooler)\.)/, `${prefix}.`)
    .replace(/\bLayerNorm\.gamma$/, "LayerNorm.weight")
    .replace(/\bLayerNorm\.beta$/, "LayerNorm.bias")

/**
 * Opens a folder's weights; the files stay open until the scope closes.
 *
 * @throws FileError if there are no weights in a supported format
 * @throws InvalidInput if the files, or the files and their index, contradict each other
 */
export const openWeights: (
  folder: string,
  layout: Layout,
) => Effect.Effect<StoredTensors, InvalidInput | FileError, Scope.Scope> = Effect.fn("openWeights")(
  function* (folder: string, layout: Layout) {
    const stored = new Map<string, StoredTensor>()
    for (const file of yield* openFiles(folder)) {
      for (const { name, shape } of file.entries.values()) {
        const canonical = canonicalName(name, layout)
        const other = stored.get(canonical)
        if (other !== undefined) {
          const names = `${name} in ${basename(file.path)} and ${other.nameInFile} in ${basename(other.file.path)}`
          return yield* new InvalidInput({
            what: folder,
            problems: [`found ${names}, which are names of the same parameter; expected only one of them`],
          })
        }
        stored.set(canonical, { file, nameInFile: name, shape })
      }
    }
    return stored
  },
)

const openFiles = Effect.fnUntraced(function* (folder: string) {
  if (yield* exists(join(folder, singleFile))) return [yield* openSafetensors(join(folder, singleFile))]
  if (yield* exists(join(folder, indexFile))) return yield* openShards(folder)
  const pickled = yield* exists(join(folder, "pytorch_model.bin"))
  return yield* new FileError({
    path: folder,
    doing: "read the weights in",
    found: `there is neither ${singleFile} nor ${indexFile}`,
    ...(pickled && {
      advice:
        "pytorch_model.bin is not read, since opening it may run code: load it in transformers and call save_pretrained",
    }),
  })
})

/**
 * The files that an index names, each with the names of its tensors. All are in the folder of the index.
 *
 * @throws InvalidInput if a file would lie elsewhere
 * @throws FileError
 */
export const readIndex: (
  path: string,
) => Effect.Effect<ReadonlyMap<string, readonly string[]>, InvalidInput | FileError> = Effect.fn("readIndex")(
  function* (path: string) {
    const { weight_map } = yield* readJson(path, Index, maximumIndexBytes)
    const namesOf = Map.groupBy(Object.keys(weight_map), (name) => weight_map[name]!)
    const strange = [...namesOf.keys()].filter(
      (shard) => !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\.safetensors$/.test(shard),
    )
    if (strange.length > 0) {
      const problems = strange.map(
        (shard) => `expected a .safetensors file in the same folder, found ${JSON.stringify(shard)}`,
      )
      return yield* new InvalidInput({ what: path, problems: firstOf(problems) })
    }
    return namesOf
  },
)

const openShards = Effect.fnUntraced(function* (folder: string) {
  const path = join(folder, indexFile)
  const problems: string[] = []
  const files: SafetensorsFile[] = []
  for (const [shard, names] of yield* readIndex(path)) {
    const file = yield* openSafetensors(join(folder, shard))
    files.push(file)
    const listed = new Set(names)
    for (const name of listed) if (!file.entries.has(name)) problems.push(`${name} is not in ${shard}`)
    for (const name of file.entries.keys()) {
      if (!listed.has(name)) problems.push(`${name} in ${shard} is not listed, or is listed for another file`)
    }
  }
  if (problems.length > 0) return yield* new InvalidInput({ what: path, problems: firstOf(problems) })
  return files
})

const maximumProblems = 8

/** The first few problems, since one wrong size causes hundreds. */
export const firstOf = (problems: readonly string[]): readonly string[] =>
  problems.length <= maximumProblems
    ? problems
    : [...problems.slice(0, maximumProblems), `and ${problems.length - maximumProblems} more like these`]
