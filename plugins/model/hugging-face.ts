/** Models on disk as Hugging Face transformers reads and writes them: `config.json` and `model.safetensors`. */
import { basename, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { InvalidInput } from "../../core/io/decode.ts"
import { type FileError, readJson, writeJson } from "../../core/io/files.ts"
import { writeTensors } from "../../core/tensor/borrow.ts"
import { Parameters } from "../../core/tensor/parameters.ts"
import { describeNonFinite, type SafetensorsFile } from "../../core/tensor/safetensors.ts"
import type { Stream } from "../../core/tensor/stream.ts"
import { type Architecture, configJson, EncoderConfig } from "./config.ts"
import type { EncoderModel, TrainableModel } from "./encoder.ts"
import { initialise } from "./initialise.ts"
import type { Layout } from "./layouts/layout.ts"
import { layouts } from "./layouts.ts"
import {
  describeDimensions,
  type OutputHead,
  outputHeads,
  type ParameterSpec,
  parametersOf,
  storedParametersOf,
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
  /** The only block whose parameters are wanted; the others are checked for their names and shapes, but not read. */
  readonly only?: ParameterSpec["block"]
}

export interface LoadedModel extends TrainableModel {
  /** Heads that were drawn. */
  readonly drawn: readonly OutputHead[]
  /** Names of the checkpoint's tensors that were not requested. */
  readonly ignored: readonly string[]
}

const maximumConfigBytes = 2 ** 20

/** Constants that older versions of transformers saved among the weights. */
const isConstant = ({ prefix }: Layout, name: string) =>
  name === `${prefix}.embeddings.position_ids` || name === `${prefix}.embeddings.token_type_ids`

/** What the names of a head's tensors start with. */
const prefixesOf = (
  { prefix, classifier, maskedLanguageModel }: Layout,
  head: OutputHead,
): readonly string[] => {
  const first = (name: string) => `${name.split(".")[0]}.`
  switch (head) {
    case "pooler":
      return [`${prefix}.pooler.`]
    case "maskedLanguageModel": {
      const { dense, norm, decoder } = maskedLanguageModel ?? {}
      return [dense, norm, decoder].filter((name) => name !== undefined).map(first)
    }
    case "classifier":
      return [classifier.dense, classifier.output].map(first).filter((name) => name !== `${prefix}.`)
  }
}

/** Second names under which some versions of transformers save tied parameters again. */
const secondNamesOf = ({ prefix, maskedLanguageModel }: Layout): ReadonlyMap<string, string> => {
  if (maskedLanguageModel === undefined) return new Map()
  const { decoder, bias } = maskedLanguageModel
  const names = new Map([[`${decoder}.weight`, `${prefix}.embeddings.word_embeddings.weight`]])
  return bias === `${decoder}.bias` ? names : names.set(`${decoder}.bias`, bias)
}

/**
 * Reads a model from a folder. Its parameters are tensors of the running backend; the caller disposes of them.
 *
 * @throws InvalidInput if `config.json` is not that of a supported model, if an output head that is to be read is not
 *   there, if a tensor is missing, of the wrong shape or unknown, or if one that is read has a value that is not finite;
 *   the message names each such tensor, and the keys of `config.json` that it contradicts
 * @throws FileError
 */
export const loadModel: (
  folder: string,
  wanted: ModelWanted,
) => Effect.Effect<LoadedModel, InvalidInput | FileError> = Effect.fn("loadModel")(function* (
  folder: string,
  wanted: ModelWanted,
) {
  const stated = yield* readJson(join(folder, "config.json"), EncoderConfig, maximumConfigBytes)
  const { layout } = stated
  if (wanted.outputHeads.maskedLanguageModel !== undefined && layout.maskedLanguageModel === undefined) {
    const problem = `${layout.title} has no masked language model here; expected a checkpoint of ${titlesWithMaskedLanguageModel}`
    return yield* new InvalidInput({ what: folder, problems: [problem] })
  }
  const stored = yield* openWeights(folder, layout)
  const streams = streamsOfDrawnHeads(layout, wanted, stored)
  const labels = streams.has("classifier") ? (wanted.labels ?? stated.labels) : stated.labels
  const config: EncoderConfig = { ...stated, labels }
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
    const damaged: string[] = []
    for (const spec of specs) {
      if (wanted.only !== undefined && spec.block !== wanted.only) continue
      const stream = streams.get(spec.block)
      if (stream === undefined) {
        const { file, nameInFile } = find(layout, stored, spec.name)!
        const values = yield* file.read(nameInFile)
        const damage = damageOf(file, nameInFile, values)
        if (damage !== undefined) damaged.push(damage)
        else if (damaged.length === 0) parameters.set(spec.name, tf.tensor(values, [...spec.shape]))
      } else {
        for (const [name, { shape, values }] of initialise(config, [spec], stream)) {
          parameters.set(name, tf.tensor(values, [...shape]))
        }
      }
    }
    if (damaged.length > 0) return yield* new InvalidInput({ what: folder, problems: firstOf(damaged) })
  })
  yield* fill.pipe(Effect.onError(() => Effect.sync(() => parameters.dispose())))
  const drawn = outputHeads.filter((head) => streams.has(head) && specs.some(({ block }) => block === head))
  return { config, parameters, drawn, ignored }
}, Effect.scoped)

/** What a folder contains. */
export interface CheckedModel {
  readonly config: EncoderConfig
  /** The output heads that the folder has; each is complete. */
  readonly outputHeads: readonly OutputHead[]
  /** The files of the weights. */
  readonly weights: readonly string[]
}

/**
 * Checks that a folder holds the model that its `config.json` describes: that `loadModel` would read it with every
 * head that it has. The weights are read one tensor at a time.
 *
 * @param part with `shapes`, only the headers of the weights are read, and tensors that are tied
 * @throws InvalidInput as `loadModel` does
 * @throws FileError
 */
export const checkModel: (
  folder: string,
  part?: "shapes" | "values",
) => Effect.Effect<CheckedModel, InvalidInput | FileError> = Effect.fn("checkModel")(function* (
  folder: string,
  part: "shapes" | "values" = "values",
) {
  const config = yield* readJson(join(folder, "config.json"), EncoderConfig, maximumConfigBytes)
  const { layout } = config
  const stored = yield* openWeights(folder, layout)
  const present = outputHeads.filter((head) => stored.keys().some((name) => isOf(layout, head, name)))
  const specs = parametersOf(config, present)
  yield* checkTensors(folder, config, specs, stored)
  const damaged: string[] = []
  for (const { name } of part === "values" ? specs : []) {
    const { file, nameInFile } = find(layout, stored, name)!
    const damage = damageOf(file, nameInFile, yield* file.read(nameInFile))
    if (damage !== undefined) damaged.push(damage)
  }
  if (damaged.length > 0) return yield* new InvalidInput({ what: folder, problems: firstOf(damaged) })
  return {
    config,
    outputHeads: present,
    weights: [...new Set(stored.values().map(({ file }) => file.path))],
  }
}, Effect.scoped)

const titlesWithMaskedLanguageModel = [...layouts.values()]
  .filter(({ maskedLanguageModel }) => maskedLanguageModel !== undefined)
  .map(({ title }) => title)
  .join(", ")

/** Why a tensor cannot be computed with; undefined if all its values are finite. */
const damageOf = (file: SafetensorsFile, nameInFile: string, values: Float32Array): string | undefined => {
  const { shape } = file.entries.get(nameInFile)!
  const found = describeNonFinite(values, shape)
  return found === undefined
    ? undefined
    : `${nameInFile} in ${basename(file.path)}: expected finite numbers, found ${found}; the file is damaged, or its training diverged: get the checkpoint again, or take an earlier one`
}

/** The streams of the output heads that are drawn. */
const streamsOfDrawnHeads = (
  layout: Layout,
  wanted: ModelWanted,
  stored: StoredTensors,
): ReadonlyMap<string, Stream> => {
  const streams = new Map<string, Stream>()
  for (const head of outputHeads) {
    const source = wanted.outputHeads[head]
    if (source === undefined || source === "read") continue
    if ("draw" in source) streams.set(head, source.draw)
    // Part of a head counts as a head, so that a missing tensor of it is an error.
    else if (!stored.keys().some((name) => isOf(layout, head, name))) streams.set(head, source.readOrDraw)
  }
  return streams
}

const isForeign = ({ foreign }: Layout, name: string) => foreign.some((prefix) => name.startsWith(prefix))
const isOf = (layout: Layout, head: OutputHead, name: string) =>
  prefixesOf(layout, head).some((prefix) => name.startsWith(prefix)) && !isForeign(layout, name)

/** A stored tensor by its name, or by the second name under which it may be stored. */
const find = (layout: Layout, stored: StoredTensors, name: string): StoredTensor | undefined =>
  stored.get(name) ??
  secondNamesOf(layout)
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
  config: EncoderConfig,
  specs: readonly ParameterSpec[],
  stored: StoredTensors,
) {
  const { layout } = config
  const layersKey = layout.keys?.num_hidden_layers ?? "num_hidden_layers"
  const secondNames = secondNamesOf(layout)
  const problems: string[] = []
  const reads = (head: OutputHead) => specs.some(({ block }) => block === head)
  if (reads("classifier") && !stored.keys().some((name) => isOf(layout, "classifier", name))) {
    problems.push(
      "it has no classifier; expected a fine-tuned model, such as that of modelOf(run) for a run with keepModel: true",
    )
  }
  for (const spec of specs) {
    const tensor = find(layout, stored, spec.name)
    const expected = `config.json expects [${spec.shape.join(", ")}] (${describeDimensions(spec)})`
    if (tensor === undefined) {
      const layers = spec.block.startsWith("layer.") ? ` and ${layersKey} ${config.layers}` : ""
      problems.push(`${spec.name} is missing; ${expected}${layers}`)
    } else if (tensor.shape.join() !== spec.shape.join()) {
      const found = `${tensor.nameInFile} in ${basename(tensor.file.path)}`
      problems.push(`${found} has the shape [${tensor.shape.join(", ")}]; ${expected}`)
    }
  }
  const read = new Set(specs.map(({ name }) => name))
  const readHeads = outputHeads.filter(reads)
  const ignored: string[] = []
  for (const [name, { nameInFile, file }] of stored) {
    if (read.has(name)) continue
    const unwanted = outputHeads.some((head) => !readHeads.includes(head) && isOf(layout, head, name))
    if (isConstant(layout, name) || isForeign(layout, name) || secondNames.has(name) || unwanted) {
      ignored.push(nameInFile)
      continue
    }
    const layer = /^\w+\.(?:encoder|transformer)\.layer\.(\d+)\./.exec(name)?.[1]
    const why =
      layer !== undefined && Number(layer) >= config.layers
        ? `config.json has ${layersKey} ${config.layers}`
        : `${layout.title} has no parameter of that name`
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

/** The output heads of transformers' classes, apart from a pooler that a family does not have. */
const headsOf: Record<Architecture, readonly OutputHead[]> = {
  BertModel: ["pooler"],
  BertForMaskedLM: ["maskedLanguageModel"],
  BertForSequenceClassification: ["pooler", "classifier"],
}

/**
 * Writes a model so that transformers opens it as the given class of its family, with only that class's output heads. The
 * caller adds the vocabulary.
 *
 * @throws FileError
 * @throws RangeError, as a bug, if the model lacks a head of the class
 */
export const saveModel: (
  folder: string,
  model: EncoderModel,
  architecture: Architecture,
) => Effect.Effect<void, FileError> = Effect.fn("saveModel")(function* (
  folder: string,
  { config, parameters }: EncoderModel,
  architecture: Architecture,
) {
  yield* writeTensors(
    join(folder, "model.safetensors"),
    storedParametersOf(config, headsOf[architecture]).map(({ name }) => ({
      name,
      tensor: parameters.get(name),
    })),
  )
  yield* writeJson(join(folder, "config.json"), configJson(config, architecture))
})
