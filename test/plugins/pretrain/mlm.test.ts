import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Exit } from "effect"
import type { Corpus } from "../../../core/artifacts/corpus.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { initialise } from "../../../plugins/model/initialise.ts"
import { parametersOf } from "../../../plugins/model/parameters.ts"
import { mlm } from "../../../plugins/pretrain/mlm.ts"
import {
  checkpointBy,
  corpusOf,
  give,
  onWasm,
  refusal,
  sentence,
  special,
  trainingOf,
  vocabulary,
  withFolder,
} from "./running.ts"

beforeAll(onWasm)
let before: number
beforeEach(() => {
  before = tf.memory().numTensors
})
afterEach(() => expect(tf.memory().numTensors).toBe(before))

const corpus = corpusOf(200)
const size = { layers: 1, hidden: 32, heads: 2, intermediate: 64 }
const small = { size, positions: 16, batchSize: 16, lr: 0.01, warmupRatio: 0.1 }
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length

describe("training from scratch", () => {
  test("learns to predict words from their neighbours, and trains its own checkpoint further", () =>
    withFolder(async (folder) => {
      const inputs = { corpus, vocabulary }
      const options = { ...small, steps: 300, dropout: 0.05 }
      const checkpoint = await Effect.runPromise(
        checkpointBy(mlm, join(folder, "first"), { options, inputs, scratch: join(folder, "a") }),
      )
      const first = trainingOf(checkpoint)
      expect(first.loss.length).toBe(300)
      expect(first.loss[0]).toBeCloseTo(Math.log(25), 0)
      // All 20 words are equally frequent: a model that had only learned that would stay at this entropy.
      const unigramEntropy = Math.log(20)
      expect(mean(first.loss.slice(-30))).toBeLessThan(0.75 * unigramEntropy)

      const again = await Effect.runPromise(
        checkpointBy(mlm, join(folder, "second"), {
          options: { steps: 10, batchSize: 16, lr: 0.001 },
          inputs: { ...inputs, checkpoint },
          scratch: join(folder, "b"),
        }),
      )
      expect(mean(trainingOf(again).loss)).toBeLessThan(0.75 * unigramEntropy)
      expect(again.config).toEqual(checkpoint.config)
      const poolers = await Effect.runPromise(
        Effect.forEach([checkpoint.folder, again.folder], (from) =>
          Effect.map(loadModel(from, { outputHeads: { pooler: "read" } }), ({ parameters }) => {
            const values = [...parameters.get("bert.pooler.dense.weight").dataSync()]
            parameters.dispose()
            return values
          }),
        ),
      )
      expect(poolers[1]).toEqual(poolers[0]!)
    }))

  test("exports the head, the vocabulary, BERT's own dropout rates and the pooler drawn from its seed", () =>
    withFolder(async (folder) => {
      const options = { ...small, steps: 2, dropout: 0.3, seed: 7 }
      const setting = { options, inputs: { corpus, vocabulary }, scratch: join(folder, "scratch") }
      const checkpoint = await Effect.runPromise(checkpointBy(mlm, join(folder, "out"), setting))
      expect(checkpoint.config).toMatchObject({
        architectures: ["BertForMaskedLM"],
        hidden_dropout_prob: 0.1,
        attention_probs_dropout_prob: 0.1,
        vocab_size: 25,
        max_position_embeddings: 16,
      })
      expect(trainingOf(checkpoint).options).toMatchObject({
        dropout: 0.3,
        optimiser: { adamw: { weightDecay: 0.01 } },
        clip: 1,
      })
      expect(readFileSync(join(checkpoint.folder, "vocab.txt"), "utf8").split("\n").slice(0, -1)).toEqual([
        ...vocabulary.tokens,
      ])
      const { config, parameters, ignored } = await Effect.runPromise(
        loadModel(checkpoint.folder, { outputHeads: { pooler: "read", maskedLanguageModel: "read" } }),
      )
      expect(ignored).toEqual([])
      const pooler = parametersOf(config, ["pooler"]).filter(({ block }) => block === "pooler")
      for (const [name, { values }] of initialise(config, pooler, stream(7, "head"))) {
        expect([...parameters.get(name).dataSync()]).toEqual([...values])
      }
      parameters.dispose()
    }))

  test("gives the same bits when it is stopped and resumed", () =>
    withFolder(async (folder) => {
      const options = { ...small, steps: 12, nextSentence: true }
      const inputs = { corpus, vocabulary }
      const whole = await Effect.runPromise(
        checkpointBy(mlm, join(folder, "whole"), { options, inputs, scratch: join(folder, "a") }),
      )
      const scratch = join(folder, "b")
      for (const stop of [3, 10]) {
        const report = (done: number) => (done === stop ? Effect.interrupt : Effect.void)
        const exit = await Effect.runPromiseExit(give(mlm, { options, inputs, scratch, report }))
        expect(Exit.hasInterrupts(exit)).toBe(true)
        expect(tf.memory().numTensors).toBe(before)
      }
      const steps: number[] = []
      const report = (done: number) => Effect.sync(() => steps.push(done))
      const resumed = await Effect.runPromise(
        checkpointBy(mlm, join(folder, "resumed"), { options, inputs, scratch, report }),
      )
      expect(steps).toEqual([11, 12])
      for (const file of ["model.safetensors", "config.json", "training.json"]) {
        expect(readFileSync(join(resumed.folder, file)).equals(readFileSync(join(whole.folder, file)))).toBe(
          true,
        )
      }
    }))

  test("with next-sentence prediction trains the pooler, and leaves its classifier behind", () =>
    withFolder(async (folder) => {
      const setting = (nextSentence: boolean) => ({
        options: { ...small, steps: 5, nextSentence },
        inputs: { corpus, vocabulary },
        scratch: join(folder, `scratch-${nextSentence}`),
      })
      const models = await Effect.runPromise(
        Effect.forEach([false, true], (nextSentence) =>
          Effect.flatMap(
            checkpointBy(mlm, join(folder, `${nextSentence}`), setting(nextSentence)),
            (checkpoint) =>
              loadModel(checkpoint.folder, { outputHeads: { pooler: "read", maskedLanguageModel: "read" } }),
          ),
        ),
      )
      const [without, withIt] = models.map(({ parameters, ignored }) => {
        const values = [...parameters.get("bert.pooler.dense.weight").dataSync()]
        parameters.dispose()
        return { values, ignored }
      })
      const drawn = initialise(
        models[0]!.config,
        parametersOf(models[0]!.config, ["pooler"]).filter(({ block }) => block === "pooler"),
        stream(42, "head"),
      )
      expect(without!.values).toEqual([...new Map(drawn).get("bert.pooler.dense.weight")!.values])
      expect(withIt!.values).not.toEqual(without!.values)
      expect(withIt!.ignored).toEqual([])
    }))

  test("leaves out sentences with nothing to predict", () =>
    withFolder(async (folder) => {
      const nothing = { ids: [special.cls, special.unknown, special.separator], tokenTypeIds: [0, 0, 0] }
      const sequences = packSequences([nothing, sentence(0, 4), nothing, sentence(3, 5), sentence(9, 6)])
      const options = { ...small, batchSize: 2, epochs: 3 }
      const inputs = { corpus: { ...corpus, sequences }, vocabulary }
      const setting = { options, inputs, scratch: join(folder, "scratch") }
      const checkpoint = await Effect.runPromise(checkpointBy(mlm, join(folder, "out"), setting))
      expect(trainingOf(checkpoint)).toMatchObject({ sentences: 3, exportedStep: 6 })
    }))
})

describe("refused before training", () => {
  const refused = (options: object, inputs: object = {}) =>
    withFolder((scratch) =>
      refusal(mlm, { options: { ...options }, inputs: { corpus, vocabulary, ...inputs }, scratch }),
    )

  test("batches larger than the corpus, and an empty corpus", async () => {
    expect(await refused({ ...small, batchSize: 201 })).toContain("batchSize must be at most 200")
    const empty: Corpus = { ...corpus, sequences: packSequences([]) }
    expect(await refused(small, { corpus: empty })).toContain("corpus is empty")
  })

  test("sequences longer than the positions, and ids outside the vocabulary, all reported at once", async () => {
    const sequences = packSequences([sentence(0, 9), { ids: [2, 99, 3], tokenTypeIds: [0, 4, 0] }])
    const message = await refused(
      { ...small, batchSize: 2, positions: 8 },
      { corpus: { ...corpus, sequences } },
    )
    expect(message).toContain("a sequence of 11 tokens, but the model takes at most 8 (the option positions)")
    expect(message).toContain("token id 99")
    expect(message).toContain("token type id 4")
  })

  test("halves that are longer than the model takes", async () => {
    const options = { ...small, positions: 10, nextSentence: true }
    expect(await refused(options)).toContain(
      "nextSentence makes pairs of up to 11 tokens, but the model takes at most 10",
    )
  })

  test("a corpus of another vocabulary", async () => {
    const other = { ...corpus, vocabularySize: 30, special: { ...special, mask: 5 } }
    const message = await refused(small, { corpus: other })
    expect(message).toContain("a vocabulary of 30 tokens, but the model has 25")
    expect(message).toContain("corpus has 5 as its mask token, but vocabulary has 4")
  })

  test("neither a size nor a checkpoint, or both; a checkpoint with other tokens", () =>
    withFolder(async (folder) => {
      expect(await refused({ batchSize: 16 })).toContain("expected a size for a new model")
      const setting = { options: { ...small, steps: 1 }, inputs: { corpus, vocabulary }, scratch: folder }
      const checkpoint = await Effect.runPromise(checkpointBy(mlm, join(folder, "out"), setting))
      const tokens = vocabulary.tokens.map((token, id) => (id === 9 ? "else" : token))
      const message = await refused({ ...small, steps: 1 }, { checkpoint, vocabulary: { tokens, special } })
      expect(message).toContain("size is for a new model only")
      expect(message).toContain("positions is for a new model only")
      expect(message).toContain(
        `token 9 is "else", but "word4" on line 10 of ${join(folder, "out", "vocab.txt")}`,
      )
    }))

  test("options that contradict each other", () => {
    expect(mlm.options({ ...small, epochs: 1, steps: 2 }).toString()).toContain("epochs or steps, not both")
    expect(mlm.options({ size: { ...size, heads: 3 } }).toString()).toBe(
      "size.hidden must be a multiple of size.heads (3) (was 32)",
    )
    expect(mlm.options({ ...small, learningRate: 1 }).toString()).toContain("learningRate")
  })
})

describe("the estimate", () => {
  test("gives the checkpoint's sizes, its bytes and the arithmetic", () =>
    withFolder(async (folder) => {
      const options = {
        ...small,
        batchSize: 256,
        epochs: 2,
        optimiser: adamw({}),
        clip: 1,
        dropout: 0,
        seed: 1,
      }
      const estimateOf = mlm.estimate as (options: object, inputs: object) => ReturnType<typeof mlm.estimate>
      const estimate = estimateOf(options, {
        corpus: { sentences: 1000, tokensPerSentence: 20, vocabularySize: 25 },
        vocabulary: { size: 25 },
      })
      expect(estimate.artifact).toMatchObject({ ...size, vocabularySize: 25, positions: 16 })
      const setting = {
        options: { ...small, steps: 1 },
        inputs: { corpus, vocabulary },
        scratch: join(folder, "scratch"),
      }
      await Effect.runPromise(checkpointBy(mlm, join(folder, "out"), setting))
      const { size: bytes } = statSync(join(folder, "out", "model.safetensors"))
      expect(Math.abs(estimate.cost.disk / bytes - 1)).toBeLessThan(0.1)
      // Two epochs of four updates, each of 5,120 tokens in sentences of 20, with 768 predictions. The only layer is the
      // last: it computes keys and values for all tokens, and the rest for those that are predicted.
      const layer = 5120 * 4 * 32 * 32 + 768 * (4 * 32 * 32 + 4 * 32 * 64) + 768 * 20 * 4 * 32
      const heads = 768 * 2 * 32 * (32 + 25) + 256 * 2 * 32 * 32
      expect(estimate.cost.flops).toBe(8 * 3 * (layer + heads))
    }))
})
