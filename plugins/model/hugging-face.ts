/** BERT models on disk as Hugging Face transformers reads and writes them: `config.json` and `model.safetensors`. */
import { basename, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { InvalidInput } from "../../core/io/decode.ts"
import { type FileError, readJson, writeJson } from "../../core/io/files.ts"
import { sourceOf } from "../../core/tensor/borrow.ts"
import { Parameters } from "../../core/tensor/parameters.ts"
import { writeSafetensors } from "../../core/tensor/safetensors.ts"
import type { Stream } from "../../core/tensor/stream.ts"
import type { BertModel, TrainableModel } from "./bert.ts"
import { type Architecture, BertConfig, configJson } from "./config.ts"
import { initialise } from "./initialise.ts"
import {
  describeDimensions,
  type OutputHead,
  outputHeads,
  type ParameterSpec,
  parametersOf,
} from "./parameters.ts"
import { firstOf, openWeights, type StoredTensor, type StoredTensors } from "./weights.ts"

/**
 * Where a head's parameters come from: the checkpoint (`read`), a stream whatever the checkpoint has (`draw`), or a
 * stream only if the checkpoint has no such head (`readOrDraw`).
 */
export type OutputHeadSource = "read" | { readonly draw: Stream } | { readonly readOrDraw: Stream }

export interface ModelWanted {
  /** Heads that are not named are omitted, whether the checkpoint has them or not. */
  readonly outputHeads: Readonly<Partial<Record<OutputHead, OutputHeadSource>>>
  /** The classes of a classifier that is drawn; by default those of `config.json`. */
  readonly labels?: readonly string[]
}

export interface LoadedModel extends TrainableModel {
  /** Heads that were drawn. */
  readonly drawn: readonly OutputHead[]
  /** Names of the checkpoint's tensors that were not requested. */
  readonly ignored: readonly string[]
}

const maximumConfigBytes = 2 ** 20

/** Constants that older versions of transformers saved among the weights. */
const constants = /^bert\.embeddings\.(position_ids|token_type_ids)$/

const prefixOf: Record<OutputHead, string> = {
  pooler: "bert.pooler.",
  maskedLanguageModel: "cls.",
  classifier: "classifier.",
}
/** Heads of transformers that are not supported here: question answering, next sentence prediction. */
const foreignPrefixes = ["qa_outputs.", "cls.seq_relationship."]

/** Second names under which some versions of transformers save tied parameters again. */
const secondNames: ReadonlyMap<string, string> = new Map([
  ["cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"],
  ["cls.predictions.decoder.bias", "cls.predictions.bias"],
])

/**
 * Reads a model from a folder. Its parameters are tensors of the running backend; the caller disposes of them.
 *
 * @throws InvalidInput if `config.json` is not that of a supported BERT, or if a tensor is missing, of the wrong
 *   shape or unknown; the message names each such tensor and the keys of `config.json` that it contradicts
 * @throws FileError
 */
export const loadModel: (
  folder: string,
  wanted: ModelWanted,
) => Effect.Effect<LoadedModel, InvalidInput | FileError> = Effect.fn("loadModel")(function* (
  folder: string,
  wanted: ModelWanted,
) {
  const stated = yield* readJson(join(folder, "config.json"), BertConfig, maximumConfigBytes)
  const stored = yield* openWeights(folder)
  const streams = streamsOfDrawnHeads(wanted, stored)
  const labels = streams.has("classifier") ? (wanted.labels ?? stated.labels) : stated.labels
  const config: BertConfig = { ...stated, labels }
  const specs = parametersOf(
    config,
    outputHeads.filter((head) => wanted.outputHeads[head] !== undefined),
  )
  const ignored = yield* checkTensors(
    folder,
    config,
    specs.filter(({ block }) => !streams.has(block)),
    stored,
  )

  const parameters = new Parameters()
  const fill = Effect.gen(function* () {
    for (const spec of specs) {
      const stream = streams.get(spec.block)
      if (stream === undefined) {
        const { file, nameInFile } = find(stored, spec.name)!
        parameters.set(spec.name, tf.tensor(yield* file.read(nameInFile), [...spec.shape]))
      } else {
        for (const [name, { shape, values }] of initialise(config, [spec], stream)) {
          parameters.set(name, tf.tensor(values, [...shape]))
        }
      }
    }
  })
  yield* fill.pipe(Effect.onError(() => Effect.sync(() => parameters.dispose())))
  return { config, parameters, drawn: outputHeads.filter((head) => streams.has(head)), ignored }
}, Effect.scoped)

/** What a folder contains, found without reading its weights. */
export interface CheckedModel {
  readonly config: BertConfig
  /** The output heads that the folder has; each is complete. */
  readonly outputHeads: readonly OutputHead[]
  /** The files of the weights. */
  readonly weights: readonly string[]
}

/**
 * Checks that a folder holds the model that its `config.json` describes: that `loadModel` would read it with every
 * head that it has.
 *
 * @throws InvalidInput as `loadModel` does
 * @throws FileError
 */
export const checkModel: (folder: string) => Effect.Effect<CheckedModel, InvalidInput | FileError> =
  Effect.fn("checkModel")(function* (folder: string) {
    const config = yield* readJson(join(folder, "config.json"), BertConfig, maximumConfigBytes)
    const stored = yield* openWeights(folder)
    const present = outputHeads.filter((head) => stored.keys().some((name) => isOf(head, name)))
    yield* checkTensors(folder, config, parametersOf(config, present), stored)
    return {
      config,
      outputHeads: present,
      weights: [...new Set(stored.values().map(({ file }) => file.path))],
    }
  }, Effect.scoped)

/** The streams of the output heads that are drawn. */
const streamsOfDrawnHeads = (wanted: ModelWanted, stored: StoredTensors): ReadonlyMap<string, Stream> => {
  const streams = new Map<string, Stream>()
  for (const head of outputHeads) {
    const source = wanted.outputHeads[head]
    if (source === undefined || source === "read") continue
    if ("draw" in source) streams.set(head, source.draw)
    // Part of a head counts as a head, so that a missing tensor of it is an error.
    else if (!stored.keys().some((name) => isOf(head, name))) streams.set(head, source.readOrDraw)
  }
  return streams
}

const isForeign = (name: string) => foreignPrefixes.some((prefix) => name.startsWith(prefix))
const isOf = (head: OutputHead, name: string) => name.startsWith(prefixOf[head]) && !isForeign(name)

/** A stored tensor by its name, or by the second name under which it may be stored. */
const find = (stored: StoredTensors, name: string): StoredTensor | undefined =>
  stored.get(name) ??
  secondNames
    .entries()
    .filter(([, first]) => first === name)
    .map(([second]) => stored.get(second))
    .find((tensor) => tensor !== undefined)

/**
 * Checks the stored tensors against the parameters to be read.
 *
 * @param specs the parameters to be read
 * @returns the names, in the files, of all other stored tensors
 * @throws InvalidInput if a tensor is missing, of the wrong shape, unknown, or differs from the one it is tied to
 */
const checkTensors = Effect.fnUntraced(function* (
  folder: string,
  config: BertConfig,
  specs: readonly ParameterSpec[],
  stored: StoredTensors,
) {
  const problems: string[] = []
  for (const spec of specs) {
    const tensor = find(stored, spec.name)
    const expected = `config.json expects [${spec.shape.join(", ")}] (${describeDimensions(spec)})`
    if (tensor === undefined) {
      const layers = spec.block.startsWith("layer.") ? ` and num_hidden_layers ${config.layers}` : ""
      problems.push(`${spec.name} is missing; ${expected}${layers}`)
    } else if (tensor.shape.join() !== spec.shape.join()) {
      const found = `${tensor.nameInFile} in ${basename(tensor.file.path)}`
      problems.push(`${found} has the shape [${tensor.shape.join(", ")}]; ${expected}`)
    }
  }
  const read = new Set(specs.map(({ name }) => name))
  const readHeads = outputHeads.filter((head) => specs.some(({ block }) => block === head))
  const ignored: string[] = []
  for (const [name, { nameInFile, file }] of stored) {
    if (read.has(name)) continue
    const unwanted = outputHeads.some((head) => !readHeads.includes(head) && isOf(head, name))
    if (constants.test(name) || isForeign(name) || secondNames.has(name) || unwanted) {
      ignored.push(nameInFile)
      continue
    }
    const layer = /^bert\.encoder\.layer\.(\d+)\./.exec(name)?.[1]
    const why =
      layer !== undefined && Number(layer) >= config.layers
        ? `config.json has num_hidden_layers ${config.layers}`
        : "BERT has no parameter of that name"
    problems.push(`${nameInFile} is in ${basename(file.path)}, but ${why}`)
  }
  if (readHeads.includes("maskedLanguageModel")) {
    for (const [second, first] of secondNames) {
      if (!(yield* sameBits(stored.get(second), stored.get(first)))) {
        problems.push(`${second} differs from ${first}; expected them equal (tie_word_embeddings)`)
      }
    }
  }
  if (problems.length > 0) return yield* new InvalidInput({ what: folder, problems: firstOf(problems) })
  return ignored
})

/** Whether two tensors have the same bits, or one of them is absent. */
const sameBits = Effect.fnUntraced(function* (a: StoredTensor | undefined, b: StoredTensor | undefined) {
  if (a === undefined || b === undefined) return true
  const left = yield* a.file.read(a.nameInFile)
  const right = yield* b.file.read(b.nameInFile)
  return left.length === right.length && left.every((value, i) => Object.is(value, right[i]))
})

/** The output heads of transformers' classes. */
const headsOf: Record<Architecture, readonly OutputHead[]> = {
  BertModel: ["pooler"],
  BertForMaskedLM: ["maskedLanguageModel"],
  BertForSequenceClassification: ["pooler", "classifier"],
}

/**
 * Writes a model so that transformers opens it as the given class, with only the output heads of that class. The
 * caller adds the vocabulary.
 *
 * @throws FileError
 * @throws RangeError, as a bug, if the model lacks a head of the class
 */
export const saveModel: (
  folder: string,
  model: BertModel,
  architecture: Architecture,
) => Effect.Effect<void, FileError> = Effect.fn("saveModel")(function* (
  folder: string,
  { config, parameters }: BertModel,
  architecture: Architecture,
) {
  yield* writeSafetensors(
    join(folder, "model.safetensors"),
    parametersOf(config, headsOf[architecture]).map(({ name }) => sourceOf(name, parameters.get(name))),
  )
  yield* writeJson(join(folder, "config.json"), configJson(config, architecture))
})
