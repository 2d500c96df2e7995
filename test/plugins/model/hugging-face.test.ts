import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { HostTensor } from "../../../core/tensor/parameters.ts"
import { writeSafetensors } from "../../../core/tensor/safetensors.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { type Architecture, configJson } from "../../../plugins/model/config.ts"
import type { TrainableModel } from "../../../plugins/model/encoder.ts"
import { checkModel, loadModel, type ModelWanted, saveModel } from "../../../plugins/model/hugging-face.ts"
import { initialise } from "../../../plugins/model/initialise.ts"
import { parametersOf } from "../../../plugins/model/parameters.ts"
import { onCpu, tinyConfig, tinyModel, withFolder } from "./tiny-model.ts"

beforeAll(onCpu)

let model: TrainableModel
let before: number
beforeEach(() => {
  before = tf.memory().numTensors
  model = tinyModel()
})
afterEach(() => {
  model.parameters.dispose()
  expect(tf.memory().numTensors).toBe(before)
})

const save = (folder: string, architecture: Architecture) =>
  Effect.runPromise(saveModel(folder, model, architecture))

/** The loaded model with its parameters as bits; its tensors are disposed of. */
const load = async (folder: string, wanted: ModelWanted) => {
  const { parameters, ...rest } = await Effect.runPromise(loadModel(folder, wanted))
  const host = parameters.toHost()
  parameters.dispose()
  return { ...rest, bits: bitsOf(host), shapes: new Map([...host].map(([name, { shape }]) => [name, shape])) }
}
const bitsOf = (host: Iterable<readonly [string, HostTensor]>) =>
  new Map([...host].map(([name, { values }]) => [name, new Uint32Array(values.slice().buffer)]))

const refusal = async (folder: string, wanted: ModelWanted) =>
  (await Effect.runPromise(Effect.flip(loadModel(folder, wanted)))).message

type Weights = Map<string, HostTensor>
const weightsOf = (architecture: Architecture): Weights => {
  const outputHeads = {
    BertModel: ["pooler"],
    BertForMaskedLM: ["maskedLanguageModel"],
    BertForSequenceClassification: ["pooler", "classifier"],
  } as const
  const host = model.parameters.toHost()
  return new Map(
    parametersOf(model.config, outputHeads[architecture]).map(({ name }) => [name, host.get(name)!]),
  )
}
const writeWeights = (path: string, weights: Iterable<readonly [string, HostTensor]>) =>
  Effect.runPromise(
    writeSafetensors(
      path,
      [...weights].map(([name, { shape, values }]) => ({ name, shape, values: () => values })),
    ),
  )
/** A folder with config.json and the given weights. */
const write = async (folder: string, weights: Iterable<readonly [string, HostTensor]>, config = {}) => {
  await writeWeights(join(folder, "model.safetensors"), weights)
  const json = { ...configJson(model.config, "BertForSequenceClassification"), ...config }
  await writeFile(join(folder, "config.json"), JSON.stringify(json))
}
const zeros = (...shape: number[]): HostTensor => ({
  shape,
  values: new Float32Array(shape.reduce((product, size) => product * size, 1)),
})

const everything: ModelWanted = { outputHeads: { pooler: "read", classifier: "read" } }
const encoderOnly: ModelWanted = { outputHeads: {} }

describe("a written model", () => {
  test.each<[Architecture, ModelWanted]>([
    ["BertForSequenceClassification", everything],
    ["BertModel", { outputHeads: { pooler: "read" } }],
    ["BertForMaskedLM", { outputHeads: { maskedLanguageModel: "read" } }],
  ])("as %s is read back bit for bit", (architecture, wanted) =>
    withFolder(async (folder) => {
      await save(folder, architecture)
      expect((await readdir(folder)).sort()).toEqual(["config.json", "model.safetensors"])
      const read = await load(folder, wanted)
      const weights = weightsOf(architecture)
      expect(read.bits).toEqual(bitsOf(weights))
      expect([...read.bits.keys()]).toEqual([...weights.keys()])
      expect(read.config).toEqual(model.config)
      expect([read.drawn, read.ignored]).toEqual([[], []])
    }),
  )

  test("gives the same files every time", () =>
    withFolder(async (folder) => {
      await save(join(folder, "a"), "BertModel")
      await save(join(folder, "b"), "BertModel")
      for (const file of ["config.json", "model.safetensors"]) {
        const [a, b] = await Promise.all(["a", "b"].map((name) => readFile(join(folder, name, file))))
        expect(a!.equals(b!)).toBe(true)
      }
    }))
})

describe("other layouts of the same weights", () => {
  test.each<[string, (name: string) => string]>([
    ["without the prefix bert.", (name) => name.replace(/^bert\./, "")],
    [
      "with LayerNorm's old names",
      (name) =>
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
    ],
  ])("%s", (_, rename) =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForSequenceClassification")
      await write(
        folder,
        [...weights].map(([name, tensor]) => [rename(name), tensor]),
      )
      expect((await load(folder, everything)).bits).toEqual(bitsOf(weights))
    }),
  )

  test("float16, widened without rounding", () =>
    withFolder(async (folder) => {
      // Rounded to float16 beforehand, so that writing them as float16 loses nothing.
      const weights = [...weightsOf("BertModel")].map(
        ([name, { shape, values }]) =>
          [name, { shape, values: Float32Array.from(new Float16Array(values)) }] as const,
      )
      const halves = weights.map(([name, { shape, values }]) => ({
        name,
        shape,
        bits: new Uint16Array(new Float16Array(values).buffer),
      }))
      await write(folder, [])
      await writeHalves(join(folder, "model.safetensors"), "F16", halves)
      expect((await load(folder, { outputHeads: { pooler: "read" } })).bits).toEqual(bitsOf(weights))
    }))

  test("in shards", () =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForSequenceClassification")
      await writeShards(folder, [...weights])
      expect((await load(folder, everything)).bits).toEqual(bitsOf(weights))
    }))

  test("with the tied decoder saved again, and with output heads and constants that are not requested", () =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForMaskedLM")
      const word = weights.get("bert.embeddings.word_embeddings.weight")!
      await write(folder, [
        ...weights,
        ["cls.predictions.decoder.weight", word],
        ["cls.predictions.decoder.bias", weights.get("cls.predictions.bias")!],
        ["cls.seq_relationship.weight", zeros(2, 8)],
        ["cls.seq_relationship.bias", zeros(2)],
        ["bert.embeddings.position_ids", zeros(1, 16)],
        ["bert.pooler.dense.weight", zeros(8, 8)],
        ["bert.pooler.dense.bias", zeros(8)],
        ["classifier.weight", zeros(5, 8)],
        ["classifier.bias", zeros(5)],
        ["qa_outputs.weight", zeros(2, 8)],
      ])
      const masked = await load(folder, { outputHeads: { maskedLanguageModel: "read" } })
      expect(masked.bits).toEqual(bitsOf(weights))
      expect(masked.ignored).toHaveLength(10)
      const encoder = await load(folder, encoderOnly)
      expect([...encoder.bits.keys()].every((name) => /^bert\.(embeddings|encoder)\./.test(name))).toBe(true)
      expect(encoder.ignored).toHaveLength(15)
    }))

  test("with the bias of the predictions only under the decoder's name", () =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForMaskedLM")
      const renamed = [...weights].map(
        ([name, tensor]) => [name.replace("predictions.bias", "predictions.decoder.bias"), tensor] as const,
      )
      await write(folder, renamed)
      const read = await load(folder, { outputHeads: { maskedLanguageModel: "read" } })
      expect(read.bits.get("cls.predictions.bias")).toEqual(bitsOf(weights).get("cls.predictions.bias")!)
    }))
})

const writeShards = async (folder: string, weights: (readonly [string, HostTensor])[], changes = {}) => {
  await write(folder, weights)
  const half = weights.length >> 1
  const shards = {
    "model-00001-of-00002.safetensors": weights.slice(0, half),
    "model-00002-of-00002.safetensors": weights.slice(half),
  }
  const weight_map: Record<string, string> = {}
  for (const [file, part] of Object.entries(shards)) {
    await writeWeights(join(folder, file), part)
    for (const [name] of part) weight_map[name] = file
  }
  await Bun.file(join(folder, "model.safetensors")).delete()
  const index = { metadata: { total_size: 1 }, weight_map: { ...weight_map, ...changes } }
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify(index))
}

describe("output heads", () => {
  const head = stream(5, "head")

  test("are drawn if the checkpoint lacks them, or always on request, and are reported as drawn", () =>
    withFolder(async (folder) => {
      await save(folder, "BertForMaskedLM")
      const labels = ["entailment", "not_entailment"]
      const read = await load(folder, {
        outputHeads: { pooler: { readOrDraw: head }, classifier: { draw: head } },
        labels,
      })
      expect(read.drawn).toEqual(["pooler", "classifier"])
      expect(read.config.labels).toEqual(labels)
      expect(read.shapes.get("classifier.weight")).toEqual([2, 8])
      const specs = parametersOf(read.config, ["pooler", "classifier"])
      expect([...read.bits.keys()]).toEqual(specs.map(({ name }) => name))
      const drawn = bitsOf(initialise(read.config, specs, head))
      for (const name of ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight"]) {
        expect(read.bits.get(name)).toEqual(drawn.get(name)!)
      }
    }))

  test("are read if the checkpoint has them", () =>
    withFolder(async (folder) => {
      await save(folder, "BertForSequenceClassification")
      const wanted: ModelWanted = {
        outputHeads: { pooler: { readOrDraw: head }, classifier: { draw: head } },
      }
      const read = await load(folder, wanted)
      const own = bitsOf(weightsOf("BertForSequenceClassification"))
      expect(read.drawn).toEqual(["classifier"])
      expect(read.bits.get("bert.pooler.dense.weight")).toEqual(own.get("bert.pooler.dense.weight")!)
      expect(read.bits.get("classifier.weight")).not.toEqual(own.get("classifier.weight")!)
      expect(read.config.labels).toEqual(model.config.labels)
    }))

  test("that are incomplete are refused, not drawn", () =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertModel")
      weights.delete("bert.pooler.dense.bias")
      await write(folder, weights)
      const wanted: ModelWanted = { outputHeads: { pooler: { readOrDraw: head } } }
      expect(await refusal(folder, wanted)).toContain("bert.pooler.dense.bias is missing")
    }))

  test("that must be read are refused if they are missing", () =>
    withFolder(async (folder) => {
      await save(folder, "BertModel")
      const message = await refusal(folder, everything)
      expect(message).toContain(
        "classifier.weight is missing; config.json expects [3, 8] (num_labels 3, hidden_size 8)",
      )
    }))
})

describe("a value that is not finite", () => {
  const query = "bert.encoder.layer.1.attention.self.query.weight"
  const bias = "bert.encoder.layer.0.output.dense.bias"
  const damaged = (): Weights => {
    const weights = weightsOf("BertForSequenceClassification")
    weights.get(query)!.values.set([Number.NaN, Number.NaN], 19)
    weights.get(bias)!.values[3] = Number.POSITIVE_INFINITY
    return weights
  }
  const problems = (file: (name: string) => string) => [
    `${bias} in ${file(bias)}: expected finite numbers, found Infinity at [3]; the file is damaged`,
    `${query} in ${file(query)}: expected finite numbers, found NaN at [2, 3], and 1 more like it among 64`,
    "get the checkpoint again, or take an earlier one",
  ]
  const check = async (folder: string) => (await Effect.runPromise(Effect.flip(checkModel(folder)))).message

  test("is refused by its tensor, index and value, when the model is checked and when it is loaded", () =>
    withFolder(async (folder) => {
      await write(folder, damaged())
      for (const message of [await refusal(folder, everything), await check(folder)]) {
        for (const part of [folder, ...problems(() => "model.safetensors")]) expect(message).toContain(part)
      }
    }))

  test("is refused in shards, by the shard's name", () =>
    withFolder(async (folder) => {
      const weights = [...damaged()]
      const names = weights.map(([name]) => name)
      await writeShards(folder, weights)
      const shardOf = (name: string) =>
        `model-0000${names.indexOf(name) < names.length >> 1 ? 1 : 2}-of-00002.safetensors`
      for (const message of [await refusal(folder, everything), await check(folder)]) {
        for (const part of problems(shardOf)) expect(message).toContain(part)
      }
    }))

  test.each<["F16" | "BF16", number]>([
    ["F16", 0x7c00],
    ["BF16", 0x7f80],
  ])("is refused in %s", (dtype, infinity) =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertModel")
      const halves = [...weights].map(([name, { shape, values }]) => {
        const bits =
          dtype === "F16"
            ? new Uint16Array(new Float16Array(values).buffer)
            : Uint16Array.from(new Uint32Array(values.slice().buffer), (bit) => bit >>> 16)
        if (name === query) bits[10] = 0x8000 | infinity
        return { name, shape, bits }
      })
      await write(folder, [])
      await writeHalves(join(folder, "model.safetensors"), dtype, halves)
      const found = `${query} in model.safetensors: expected finite numbers, found -Infinity at [1, 2]`
      expect(await refusal(folder, { outputHeads: { pooler: "read" } })).toContain(found)
      expect(await check(folder)).toContain(found)
    }),
  )

  test("in a head that is not read does not matter", () =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForSequenceClassification")
      weights.get("classifier.bias")!.values[0] = Number.NaN
      await write(folder, weights)
      expect((await load(folder, encoderOnly)).ignored).toContain("classifier.bias")
      expect(await check(folder)).toContain("classifier.bias in model.safetensors: expected finite numbers")
    }))
})

/** Writes a safetensors file of 16-bit tensors. */
const writeHalves = async (
  path: string,
  dtype: "F16" | "BF16",
  tensors: readonly {
    readonly name: string
    readonly shape: readonly number[]
    readonly bits: Uint16Array
  }[],
) => {
  let at = 0
  const header: Record<string, unknown> = {}
  for (const { name, shape, bits } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + bits.byteLength] }
    at += bits.byteLength
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  await writeFile(
    path,
    Buffer.concat([length, json, ...tensors.map(({ bits }) => new Uint8Array(bits.buffer))]),
  )
}

describe("refused", () => {
  const refused = (change: (weights: Weights) => void, config: object, ...messages: string[]) =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForSequenceClassification")
      change(weights)
      await write(folder, weights, config)
      const message = await refusal(folder, everything)
      for (const part of [folder, ...messages]) expect(message).toContain(part)
    })
  const query = "bert.encoder.layer.1.attention.self.query.weight"
  const nothing = () => undefined

  test("a missing tensor", () => refused((w) => w.delete(query), {}, `${query} is missing`))
  test("an unknown tensor", () =>
    refused(
      (w) => w.set("bert.encoder.layer.1.adapter.weight", zeros(2)),
      {},
      "bert.encoder.layer.1.adapter.weight is in model.safetensors, but BERT has no parameter of that name",
    ))
  test("an unknown part of a head that is read", () =>
    refused((w) => w.set("classifier.dense.weight", zeros(2)), {}, "classifier.dense.weight is in"))
  test("a tensor of the wrong shape", () =>
    refused(
      (w) => w.set(query, zeros(8, 4)),
      {},
      `${query} in model.safetensors has the shape [8, 4]; config.json expects [8, 8] (hidden_size 8, hidden_size 8)`,
    ))
  test("a transposed tensor of the same size", () =>
    refused((w) => w.set("classifier.weight", zeros(8, 3)), {}, "has the shape [8, 3]"))
  test("a config with another vocabulary", () =>
    refused(
      nothing,
      { vocab_size: 21 },
      "[20, 8]; config.json expects [21, 8] (vocab_size 21, hidden_size 8)",
    ))
  test("a config with another width", () =>
    refused(nothing, { hidden_size: 16 }, "hidden_size 16", "more like"))
  test("a config with fewer layers", () =>
    refused(
      nothing,
      { num_hidden_layers: 1 },
      `${query} is in model.safetensors, but config.json has num_hidden_layers 1`,
    ))
  test("a config with more layers", () =>
    refused(
      nothing,
      { num_hidden_layers: 3 },
      "bert.encoder.layer.2.attention.self.query.weight is missing",
      "num_hidden_layers 3",
      "and 8 more like these",
    ))
  test("a config with other labels", () =>
    refused(nothing, { id2label: { 0: "a", 1: "b" } }, "classifier.weight", "num_labels 2"))
  test("a parameter under two names", () =>
    refused(
      (w) => w.set("encoder.layer.1.attention.self.query.weight", zeros(8, 8)),
      {},
      "are names of the same parameter",
    ))
  test("a model that is not a BERT", () =>
    refused(nothing, { model_type: "gpt2" }, "config.json", "model_type"))

  test("a decoder that is not tied", () =>
    withFolder(async (folder) => {
      const weights = weightsOf("BertForMaskedLM")
      weights.set("cls.predictions.decoder.weight", zeros(20, 8))
      await write(folder, weights)
      expect(await refusal(folder, { outputHeads: { maskedLanguageModel: "read" } })).toContain(
        "cls.predictions.decoder.weight differs from bert.embeddings.word_embeddings.weight",
      )
    }))

  test("a tensor of integers", () =>
    withFolder(async (folder) => {
      await save(folder, "BertForSequenceClassification")
      const path = join(folder, "model.safetensors")
      const bytes = await readFile(path)
      const offset = bytes.indexOf('"F32"', bytes.indexOf("layer.1.output"))
      bytes.write('"I32"', offset)
      await writeFile(path, bytes)
      expect(await refusal(folder, everything)).toContain("expected F32, F16 or BF16, found dtype I32")
    }))

  test("a folder without weights, or with pickled weights only", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "config.json"), JSON.stringify(configJson(tinyConfig, "BertModel")))
      expect(await refusal(folder, encoderOnly)).toContain("there is neither model.safetensors nor")
      await writeFile(join(folder, "pytorch_model.bin"), "")
      expect(await refusal(folder, encoderOnly)).toContain("save_pretrained")
      expect(await refusal(join(folder, "absent"), encoderOnly)).toContain("there is no such file")
    }))

  test.each<[string, Record<string, string>, string]>([
    [
      "in the parent folder",
      { "classifier.bias": "../model.safetensors" },
      'in the same folder, found "../model.safetensors"',
    ],
    [
      "by its absolute path",
      { "classifier.bias": "/etc/model.safetensors" },
      'in the same folder, found "/etc/model.safetensors"',
    ],
    [
      "in a subfolder",
      { "classifier.bias": "sub/model.safetensors" },
      "expected a .safetensors file in the same folder",
    ],
    ["by a path of Windows", { "classifier.bias": "..\\model.safetensors" }, "in the same folder"],
    ["of another type", { "classifier.bias": "config.json" }, "in the same folder"],
    ["that is missing", { "classifier.bias": "model-3.safetensors" }, "there is no such file"],
    [
      "with other tensors",
      { "classifier.bias": "model-00001-of-00002.safetensors" },
      "classifier.bias is not in model-00001-of-00002",
    ],
    [
      "without a tensor that it lists there",
      { "bert.extra": "model-00002-of-00002.safetensors" },
      "bert.extra is not in model-00002",
    ],
  ])("an index that names a file %s", (_, changes, message) =>
    withFolder(async (folder) => {
      await writeShards(folder, [...weightsOf("BertForSequenceClassification")], changes)
      expect(await refusal(folder, everything)).toContain(message)
    }),
  )
})
