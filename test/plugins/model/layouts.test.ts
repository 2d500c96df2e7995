import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { hostKernels } from "../../../core/tensor/host/kernels.ts"
import { implement, registerKernels } from "../../../core/tensor/kernel.ts"
import { attention, attentionKernel } from "../../../core/tensor/ops/attention.ts"
import { dropoutKernel } from "../../../core/tensor/ops/dropout.ts"
import { residualNormKernel } from "../../../core/tensor/ops/layer-norm.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { disposeGradients, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { openSafetensors, writeSafetensors } from "../../../core/tensor/safetensors.ts"
import { type Dropout, stream } from "../../../core/tensor/stream.ts"
import { openReference, type Reference } from "../../../plugins/check/reference/passes.ts"
import { reference } from "../../../plugins/check/reference.ts"
import { type Architecture, configJson, EncoderConfig } from "../../../plugins/model/config.ts"
import { dense, embed, encode, encoderLayer } from "../../../plugins/model/encoder.ts"
import { checkModel, loadModel, type ModelWanted, saveModel } from "../../../plugins/model/hugging-face.ts"
import { attentionProbabilities, hiddenStates } from "../../../plugins/model/inspect.ts"
import { layouts } from "../../../plugins/model/layouts.ts"
import { classify, clsIndices, pool, predictTokens } from "../../../plugins/model/output-heads.ts"
import { blocksOf, parametersOf } from "../../../plugins/model/parameters.ts"
import { onCpu, withFolder } from "./tiny-model.ts"

const fixtures = join(import.meta.dir, "../../fixtures/layouts")
const folderOf = (layout: string) => join(fixtures, `${layout}-2x32`)
const names = ["roberta", "electra", "distilbert"] as const

interface Expected {
  /** The input of the first layer and the output of each, [levels][ΣT][H]. */
  readonly hidden_states: readonly (readonly (readonly number[])[])[]
  /** Whole gradients of the mean cross-entropy, row-major. */
  readonly gradients: Readonly<Record<string, readonly number[]>>
  readonly masked?: { readonly at: readonly number[]; readonly logits: readonly (readonly number[])[] }
}
const expectedOf = (layout: string): Expected =>
  JSON.parse(readFileSync(join(folderOf(layout), "expected.json"), "utf8"))

beforeAll(onCpu)

let before: number
beforeEach(() => {
  before = tf.memory().numTensors
})
afterEach(() => expect(tf.memory().numTensors).toBe(before))

const head = stream(5, "head")
const load = (folder: string, wanted: ModelWanted) => Effect.runPromise(loadModel(folder, wanted))

/** A copy of a fixture with other names of tensors and other keys. */
const rewritten = (layout: string, folder: string, rename: (name: string) => string, keys: object = {}) =>
  Effect.gen(function* () {
    const { entries, read } = yield* openSafetensors(join(folderOf(layout), "model.safetensors"))
    const sources = yield* Effect.forEach([...entries.values()], ({ name, shape }) =>
      Effect.map(read(name), (values) => ({ name: rename(name), shape, values: () => values })),
    )
    yield* writeSafetensors(join(folder, "model.safetensors"), sources)
    const config: object = JSON.parse(readFileSync(join(folderOf(layout), "config.json"), "utf8"))
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...keys }))
  }).pipe(Effect.scoped, Effect.runPromise)

const withReference = <A>(layout: string, body: (reference: Reference) => Promise<A> | A): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(openReference(folderOf(layout)), (reference) =>
        Effect.promise(async () => body(reference)),
      ),
    ),
  )

/** The largest difference, as a fraction of the largest expected value. */
const deviation = (found: ArrayLike<number>, expected: readonly number[]): number => {
  expect(found.length).toBe(expected.length)
  const largest = Math.max(...expected.map(Math.abs))
  return Math.max(...expected.map((value, i) => Math.abs(value - found[i]!))) / largest
}

describe.each(names)("%s, beside transformers", (layout) => {
  const expected = expectedOf(layout)

  test("logits, every parameter's gradient, Gram matrices and ranks by block, a short fine-tuning", async () => {
    const quantities = await Effect.runPromise(reference.compare(folderOf(layout), "fp32"))
    expect(quantities.length).toBeGreaterThan(15)
    for (const { name, ok, at, worst } of quantities)
      expect({ name, ok, at, worst }).toMatchObject({ ok: true })
  })

  test("hidden states of all tokens at every level", () =>
    withReference(layout, ({ model, batch }) => {
      tf.tidy(() => {
        let hidden_TH = embed(model, batch)
        for (const [level, states] of expected.hidden_states.entries()) {
          if (level > 0) hidden_TH = encoderLayer(model, level - 1, hidden_TH, batch.offsets)
          expect(deviation(hidden_TH.dataSync(), states.flat())).toBeLessThan(2e-6)
        }
      })
    }))

  test("probes see these hidden states, and the attention probabilities by which values are averaged", () =>
    withReference(layout, ({ model, batch }) => {
      tf.tidy(() => {
        for (const [depth, states] of expected.hidden_states.entries()) {
          expect(deviation(hiddenStates(model, batch, depth).dataSync(), states.flat())).toBeLessThan(2e-6)
        }
        const { heads, hidden, layers, layout } = model.config
        for (let layer = 0; layer < layers; layer++) {
          const names = layout.layer(layer)
          const input_TH = hiddenStates(model, batch, layer)
          const [q_TH, k_TH, v_TH] = [names.query, names.key, names.value].map((name) =>
            dense(model, name, input_TH),
          )
          const context_TH = attention(q_TH!, k_TH!, v_TH!, { heads, offsets: batch.offsets })
          const averaged = attentionProbabilities(model, batch, layer).map((p_ALL, n) => {
            const first = batch.offsets[n]!
            const length = batch.offsets[n + 1]! - first
            const values_LAd = tf.reshape(tf.slice(v_TH!, [first, 0], [length, hidden]), [length, heads, -1])
            const averages_ALd = tf.matMul(p_ALL, tf.transpose(values_LAd, [1, 0, 2]))
            return tf.reshape(tf.transpose(averages_ALd, [1, 0, 2]), [length, hidden])
          })
          const found = tf.concat(averaged).dataSync()
          expect(deviation(found, [...context_TH.dataSync()])).toBeLessThan(2e-6)
        }
      })
    }))

  test("a sequence of all positions is the longest", () =>
    withReference(layout, ({ model }) => {
      const sequence = (length: number) => {
        const ids = new Int32Array(length).fill(5)
        return packSequences([{ ids, tokenTypeIds: new Int32Array(length) }])
      }
      expect(model.config.positions).toBe(20)
      tf.tidy(() => {
        expect(encode(model, sequence(20)).shape).toEqual([20, 32])
        expect(() => encode(model, sequence(21))).toThrow(RangeError)
      })
    }))

  test("whole gradients, element by element", () =>
    withReference(layout, ({ model, batch, labels }) => {
      const { value, gradients } = valueAndGradients(
        () =>
          softmaxCrossEntropy(
            classify(model, encode(model, batch, { indices: clsIndices(batch.offsets) })),
            labels,
          ),
        model.parameters,
      )
      expect(Object.keys(expected.gradients).length).toBeGreaterThan(4)
      for (const [name, gradient] of Object.entries(expected.gradients)) {
        expect(deviation(gradients.get(name)!.dataSync(), gradient)).toBeLessThan(2e-5)
      }
      value.dispose()
      disposeGradients(gradients)
    }))
})

test.each(["roberta", "distilbert"])("%s, beside transformers: the masked language model", async (layout) => {
  const { at, logits } = expectedOf(layout).masked!
  const model = await load(folderOf(layout), { outputHeads: { maskedLanguageModel: "read" } })
  await withReference(layout, ({ batch }) => {
    tf.tidy(() => {
      const found_PV = predictTokens(model, encode(model, batch, { indices: Int32Array.from(at) }))
      expect(deviation(found_PV.dataSync(), logits.flat())).toBeLessThan(2e-6)
    })
  })
  model.parameters.dispose()
})

describe.each(names)("a %s on disk", (layout) => {
  const classifier: ModelWanted = { outputHeads: { pooler: "read", classifier: "read" } }
  const kinds: readonly [Architecture, ModelWanted][] = [
    ["BertForSequenceClassification", classifier],
    ["BertModel", { outputHeads: {} }],
    ["BertForMaskedLM", { outputHeads: { maskedLanguageModel: "read" } }],
  ]

  test.each(kinds.filter(([architecture]) => layout !== "electra" || architecture !== "BertForMaskedLM"))(
    "is written as the family's %s and read back bit for bit",
    (architecture, wanted) =>
      withFolder(async (folder) => {
        const draw: ModelWanted = { outputHeads: { pooler: { draw: head } } }
        const model = await load(folderOf(layout), architecture === "BertModel" ? draw : wanted)
        await Effect.runPromise(saveModel(folder, model, architecture))
        const json = JSON.parse(await readFile(join(folder, "config.json"), "utf8"))
        const family = { roberta: "Roberta", electra: "Electra", distilbert: "DistilBert" }[layout]
        expect(json.architectures).toEqual([architecture.replace("Bert", family)])
        const again = await load(folder, wanted)
        expect(again.config).toEqual(model.config)
        expect(again.drawn).toEqual([])
        const host = model.parameters.toHost()
        for (const [name, tensor] of again.parameters.toHost()) expect(tensor).toEqual(host.get(name)!)
        const unsaved = [...host.keys()].filter((name) => !again.parameters.has(name))
        expect(unsaved.filter((name) => !name.includes("pooler"))).toEqual([])
        model.parameters.dispose()
        again.parameters.dispose()
      }),
  )

  test("gives back the keys of config.json that matter", async () => {
    const stored: Record<string, unknown> = JSON.parse(
      await readFile(join(folderOf(layout), "config.json"), "utf8"),
    )
    const config = EncoderConfig(stored)
    if (config instanceof type.errors) throw new Error(config.summary)
    expect(stored).toMatchObject(configJson(config, "BertForSequenceClassification"))
  })

  test("may have its names without the encoder's prefix", () =>
    withFolder(async (folder) => {
      await rewritten(layout, folder, (name) => name.replace(new RegExp(`^${layout}\\.`), ""))
      const [own, renamed] = [await load(folderOf(layout), classifier), await load(folder, classifier)]
      expect(renamed.parameters.toHost()).toEqual(own.parameters.toHost())
      own.parameters.dispose()
      renamed.parameters.dispose()
    }))

  test("with a tensor missing, or for more layers than it has, is refused with its own keys", () =>
    withFolder(async (folder) => {
      const [hidden, layers] =
        layout === "distilbert" ? ["dim", "n_layers"] : ["hidden_size", "num_hidden_layers"]
      const { query } = layouts.get(layout)!.layer(1)
      await rewritten(layout, folder, (name) => (name === `${query}.weight` ? "extra.weight" : name))
      const message = (await Effect.runPromise(Effect.flip(checkModel(folder)))).message
      expect(message).toContain(
        `${query}.weight is missing; config.json expects [32, 32] (${hidden} 32, ${hidden} 32) and ${layers} 2`,
      )
      const title = { roberta: "RoBERTa", electra: "ELECTRA", distilbert: "DistilBERT" }[layout]
      expect(message).toContain(
        `extra.weight is in model.safetensors, but ${title} has no parameter of that name`,
      )
      await rewritten(layout, folder, (name) => name, { [layers]: 1 })
      expect((await Effect.runPromise(Effect.flip(checkModel(folder)))).message).toContain(
        `but config.json has ${layers} 1`,
      )
    }))

  test("has a pooler to train, but not beside its classifier", async () => {
    const model = await load(folderOf(layout), { outputHeads: { pooler: { readOrDraw: head } } })
    expect(model.drawn).toEqual(["pooler"])
    const blocks = ["embeddings", "layer.0", "layer.1", "pooler"]
    expect([...blocksOf(parametersOf(model.config, ["pooler"])).keys()]).toEqual(blocks)
    expect([...blocksOf(parametersOf(model.config, ["pooler", "classifier"])).keys()]).toEqual([
      ...blocks.slice(0, 3),
      "classifier",
    ])
    const pooled = tf.tidy(() => pool(model, tf.ones([2, 32])).shape)
    expect(pooled).toEqual([2, 32])
    model.parameters.dispose()
    const tuned = await load(folderOf(layout), {
      outputHeads: { pooler: { readOrDraw: head }, classifier: { draw: head } },
      labels: ["yes", "no"],
    })
    expect(tuned.drawn).toEqual(["classifier"])
    expect(tuned.parameters.names.some((name) => name.includes("pooler"))).toBe(false)
    tuned.parameters.dispose()
  })
})

test("only RoBERTa's files have the pooler that further training made", () =>
  withFolder(async (folder) => {
    for (const layout of names) {
      const model = await load(folderOf(layout), { outputHeads: { pooler: { draw: head } } })
      const target = join(folder, layout)
      await Effect.runPromise(saveModel(target, model, "BertModel"))
      model.parameters.dispose()
      const { outputHeads } = await Effect.runPromise(checkModel(target))
      expect([layout, outputHeads]).toEqual([layout, layout === "roberta" ? ["pooler"] : []])
    }
  }))

test("ELECTRA's masked language model is refused before its weights are read", async () => {
  const wanted: ModelWanted = { outputHeads: { maskedLanguageModel: { readOrDraw: head } } }
  const message = (await Effect.runPromise(Effect.flip(loadModel(folderOf("electra"), wanted)))).message
  expect(message).toContain(
    "ELECTRA has no masked language model here; expected a checkpoint of BERT, RoBERTa",
  )
  const { config, parameters } = await load(folderOf("electra"), { outputHeads: {} })
  expect(() => parametersOf(config, ["maskedLanguageModel"])).toThrow("ELECTRA has no masked language model")
  parameters.dispose()
})

test("dropout is where each family has it", async () => {
  // 3l + 1: attention probabilities, 3l + 2: attention's output, 3l + 3: the layer's output, 7 and 8: the classifier.
  const sites = {
    roberta: [0, 1, 2, 3, 4, 5, 6, 8, 7],
    electra: [0, 1, 2, 3, 4, 5, 6, 8, 7],
    distilbert: [0, 1, 3, 4, 6, 7],
  }
  const dropout = { rate: 0.3, stream: stream(1, "dropout"), iteration: 5 }
  for (const layout of names) {
    const seen: number[] = []
    const recording =
      <A extends readonly unknown[], B>(body: (...args: A) => B) =>
      (...args: A): B => {
        for (const value of args) if (Object.hasOwn(Object(value), "rate")) seen.push((value as Dropout).site)
        return body(...args)
      }
    await withReference(layout, ({ model, batch }) => {
      tf.engine().startScope()
      registerKernels("cpu", [
        implement(attentionKernel, recording(attentionKernel.definition)),
        implement(dropoutKernel, recording(dropoutKernel.definition)),
        implement(residualNormKernel, (x, residual, gamma, beta, epsilon, dropped, indices) => {
          if (dropped !== undefined) seen.push(dropped.site)
          return residualNormKernel.definition(x, residual, gamma, beta, epsilon, undefined, indices)
        }),
      ])
      try {
        const indices = clsIndices(batch.offsets)
        classify(model, encode(model, batch, { dropout, indices }), dropout)
      } finally {
        registerKernels("cpu", hostKernels)
        tf.engine().endScope()
      }
    })
    expect([layout, seen]).toEqual([layout, sites[layout]])
  }
})
