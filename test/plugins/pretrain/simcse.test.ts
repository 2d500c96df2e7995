import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Exit } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import type { Similarity } from "../../../core/artifacts/similarity.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { initialise } from "../../../plugins/model/initialise.ts"
import { parametersOf } from "../../../plugins/model/parameters.ts"
import { mlm } from "../../../plugins/pretrain/mlm.ts"
import { bestOf } from "../../../plugins/pretrain/shared/contrastive/selection.ts"
import { similarityScore } from "../../../plugins/pretrain/shared/contrastive/sentence-similarity.ts"
import { sentenceEmbeddings } from "../../../plugins/pretrain/shared/contrastive/views.ts"
import { simcse } from "../../../plugins/pretrain/simcse.ts"
import {
  checkpointBy,
  corpusOf,
  give,
  onWasm,
  refusal,
  sentence,
  trainingOf,
  vocabulary,
  withFolder,
} from "./running.ts"

const corpus = corpusOf(120, 1)
/** Sentences that start further apart in the cyclic order of words are less similar. */
const pairs = Array.from({ length: 30 }, (_, i) => ({ start: i * 3, apart: (i * 7) % 10 }))
const dev: Similarity = {
  vocabularySize: 25,
  sets: [
    {
      name: "circle",
      first: packSequences(pairs.map(({ start }) => sentence(start, 6))),
      second: packSequences(pairs.map(({ start, apart }) => sentence(start + apart, 6))),
      scores: Float64Array.from(pairs, ({ apart }) => 10 - apart),
    },
  ],
}
const small = { batchSize: 16, lr: 0.001 }

const root = mkdtempSync(join(tmpdir(), "simcse-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let checkpoint: CheckpointTaken
beforeAll(async () => {
  await onWasm()
  const size = { layers: 1, hidden: 32, heads: 2, intermediate: 64 }
  checkpoint = await Effect.runPromise(
    checkpointBy(mlm, join(root, "vanilla"), {
      options: { size, positions: 16, batchSize: 16, lr: 0.01, steps: 20 },
      inputs: { corpus, vocabulary },
      scratch: join(root, "scratch"),
    }),
  )
})

let before: number
beforeEach(() => {
  before = tf.memory().numTensors
})
afterEach(() => expect(tf.memory().numTensors).toBe(before))

const trainedIn = (folder: string, options: object, inputs: object = {}) =>
  Effect.runPromise(
    checkpointBy(simcse, join(folder, "out"), {
      options: { ...small, ...options },
      inputs: { corpus, checkpoint, ...inputs },
      scratch: join(folder, "scratch"),
    }),
  )
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length
const poolerOf = (of: CheckpointTaken) =>
  Effect.runPromise(
    Effect.map(loadModel(of.folder, { outputHeads: { pooler: "read" } }), ({ config, parameters }) => {
      const values = [...parameters.get("bert.pooler.dense.weight").dataSync()]
      parameters.dispose()
      return { config, values }
    }),
  )

describe("training", () => {
  test("lowers its loss, and exports the last model if there is no dev set", () =>
    withFolder(async (folder) => {
      const trained = await trainedIn(folder, { steps: 60, lr: 0.01 })
      const { loss, learningRate, exportedStep, evaluations, sentences } = trainingOf(trained)
      expect(mean(loss.slice(-10))).toBeLessThan(mean(loss.slice(0, 10)) - 0.5)
      // Linear decay from the first update on, without warm-up.
      expect(learningRate).toEqual(Array.from({ length: 60 }, (_, s) => 0.01 * ((60 - s) / 60)))
      expect({ exportedStep, evaluations, sentences }).toEqual({
        exportedStep: 60,
        evaluations: undefined,
        sentences: 120,
      })
      expect(readdirSync(trained.folder).sort()).toEqual([
        "config.json",
        "model.safetensors",
        "training.json",
        "vocab.txt",
      ])
    }))

  test("is one epoch over the whole corpus by default", () =>
    withFolder(async (folder) => {
      const trained = await trainedIn(folder, { batchSize: 50 })
      expect(trainingOf(trained).loss.length).toBe(3)
    }))

  test("starts its head from the pooler that mlm draws, and exports it trained", () =>
    withFolder(async (folder) => {
      const { config, values: vanilla } = await poolerOf(checkpoint)
      const weight = parametersOf(config, ["pooler"]).filter(({ name }) =>
        name.endsWith("pooler.dense.weight"),
      )
      for (const [, { values }] of initialise(config, weight, stream(42, "head"))) {
        expect(vanilla).toEqual([...values])
      }
      const one = await poolerOf(await trainedIn(folder, { steps: 1, lr: 1e-9 }))
      const moved = Math.max(...one.values.map((value, i) => Math.abs(value - vanilla[i]!)))
      expect(moved).toBeGreaterThan(0)
      expect(moved).toBeLessThan(1e-7)
    }))

  test("records the arm's dropout, which does not leak into the configuration", () =>
    withFolder(async (folder) => {
      const trained = await trainedIn(folder, { steps: 1, dropout: 0.4 })
      expect(trained.config).toMatchObject({
        architectures: ["BertModel"],
        hidden_dropout_prob: 0.1,
        attention_probs_dropout_prob: 0.1,
      })
      expect(trainingOf(trained).options).toMatchObject({ dropout: 0.4, temperature: 0.05, seed: 42 })
    }))

  test("has a lower loss the less dropout makes the views differ", () =>
    withFolder(async (folder) => {
      const distinct = packSequences(Array.from({ length: 16 }, (_, i) => sentence(i, 6)))
      const firstLoss = async (dropout: number) => {
        const inputs = { corpus: { ...corpus, sequences: distinct } }
        const trained = await trainedIn(join(folder, `${dropout}`), { steps: 1, dropout }, inputs)
        return trainingOf(trained).loss[0]!
      }
      const losses = [await firstLoss(0), await firstLoss(0.1), await firstLoss(0.5)]
      expect(losses).toEqual(losses.toSorted((a, b) => a - b))
      expect(losses[2]! - losses[0]!).toBeGreaterThan(0.1)
    }))
})

describe("selection on the dev set", () => {
  test("exports the model with the best score, evaluated every evalEvery updates and at the end", () =>
    withFolder(async (folder) => {
      const trained = await trainedIn(folder, { steps: 25, evalEvery: 10, lr: 0.01 }, { dev })
      const { evaluations = [], exportedStep } = trainingOf(trained)
      expect(evaluations.map(({ step }) => step)).toEqual([10, 20, 25])
      const best = bestOf(evaluations)!
      expect(exportedStep).toBe(best.step)
      expect(new Set(evaluations.map(({ score }) => score)).size).toBe(3)
      const model = await Effect.runPromise(loadModel(trained.folder, { outputHeads: {} }))
      const score = await Effect.runPromise(
        similarityScore(dev, (sequences) => sentenceEmbeddings(model, sequences)),
      )
      model.parameters.dispose()
      expect(score).toBe(best.score!)
    }))

  test("exports the last model if asked to, with the same scores", () =>
    withFolder(async (folder) => {
      const options = { steps: 16, evalEvery: 2, lr: 0.1 }
      const best = await trainedIn(join(folder, "best"), options, { dev })
      const last = await trainedIn(join(folder, "last"), { ...options, selection: "last" }, { dev })
      const without = await trainedIn(join(folder, "without"), options)
      expect(trainingOf(best).exportedStep).toBe(2)
      expect(trainingOf(last).exportedStep).toBe(16)
      expect(trainingOf(last).evaluations).toEqual(trainingOf(best).evaluations!)
      const weights = (checkpoint: { readonly folder: string }) =>
        readFileSync(join(checkpoint.folder, "model.safetensors"))
      expect(weights(last).equals(weights(without))).toBe(true)
    }))

  test("gives the same bits, scores and choice when it is stopped and resumed", () =>
    withFolder(async (folder) => {
      const options = { ...small, lr: 0.01, steps: 14, evalEvery: 4 }
      const whole = await trainedIn(join(folder, "whole"), options, { dev })
      const scratch = join(folder, "stopped", "scratch")
      for (const stop of [4, 9]) {
        const report = (done: number) => (done === stop ? Effect.interrupt : Effect.void)
        const inputs = { corpus, checkpoint, dev }
        const exit = await Effect.runPromiseExit(give(simcse, { options, inputs, scratch, report }))
        expect(Exit.hasInterrupts(exit)).toBe(true)
        expect(tf.memory().numTensors).toBe(before)
      }
      const resumed = await trainedIn(join(folder, "stopped"), options, { dev })
      for (const file of ["model.safetensors", "config.json", "training.json"]) {
        expect(readFileSync(join(resumed.folder, file)).equals(readFileSync(join(whole.folder, file)))).toBe(
          true,
        )
      }
    }))

  test("keeps the scores that it has when it resumes from an earlier step, and does not score twice", () =>
    withFolder(async (folder) => {
      const options = { ...small, lr: 0.01, steps: 14, evalEvery: 4 }
      const whole = await trainedIn(join(folder, "whole"), options, { dev })
      const scratch = join(folder, "stopped", "scratch")
      const report = (done: number) => (done === 10 ? Effect.interrupt : Effect.void)
      await Effect.runPromiseExit(
        give(simcse, { options, inputs: { corpus, checkpoint, dev }, scratch, report }),
      )
      // As after a power cut: the evaluations at steps 4 and 8 are there, but the state of training is not.
      rmSync(join(scratch, "training-10"), { recursive: true })
      const resumed = await trainedIn(join(folder, "stopped"), options, { dev })
      expect(trainingOf(resumed)).toEqual(trainingOf(whole))
    }))
})

describe("refused before training", () => {
  const refused = (options: object, inputs: object = {}) =>
    withFolder((scratch) =>
      refusal(simcse, {
        options: { ...small, steps: 2, ...options },
        inputs: { corpus, checkpoint, ...inputs },
        scratch,
      }),
    )

  test("batches larger than the corpus, and an empty corpus", async () => {
    expect(await refused({ batchSize: 121 })).toContain("batchSize must be at most 120")
    expect(await refused({}, { corpus: { ...corpus, sequences: packSequences([]) } })).toContain(
      "corpus is empty",
    )
  })

  test("sentences longer than the positions, unless they are truncated", async () => {
    const sequences = packSequences([sentence(0, 18), sentence(3, 18)])
    const message = await refused({ batchSize: 2 }, { corpus: { ...corpus, sequences } })
    expect(message).toContain("corpus has a sequence of 20 tokens, but the model takes at most 16")
    expect(message).toContain(join(checkpoint.folder, "config.json"))
    await withFolder(async (folder) => {
      const options = { batchSize: 2, steps: 1, maxLength: 16 }
      await trainedIn(folder, options, { corpus: { ...corpus, sequences } })
    })
  })

  test("data of another vocabulary and a dev set with equal scores, reported at once", async () => {
    const flat = { ...dev.sets[0]!, scores: new Float64Array(30).fill(2.5) }
    const message = await refused(
      {},
      { corpus: { ...corpus, vocabularySize: 30 }, dev: { sets: [flat], vocabularySize: 24 } },
    )
    expect(message).toContain("corpus was tokenised with a vocabulary of 30 tokens, but the model has 25")
    expect(message).toContain("dev (circle) was tokenised with a vocabulary of 24 tokens")
    expect(message).toContain("all scores in dev are equal")
  })

  test("a checkpoint that is not a BERT", async () => {
    const other = { ...checkpoint, config: { ...checkpoint.config, model_type: "gpt2" } }
    expect(await refused({}, { checkpoint: other })).toContain("model_type")
  })

  test("options out of range, each by name", () => {
    const message = simcse.options({ batchSize: 1, dropout: 1, temperature: 0, maxLength: 2 }).toString()
    for (const name of ["batchSize", "dropout", "temperature", "maxLength"]) expect(message).toContain(name)
  })
})

test("a dev set on which all cosines are equal fails the unit with the reason, and exports no arbitrary model", () =>
  withFolder(async (scratch) => {
    const same = packSequences(Array.from({ length: 4 }, () => sentence(0, 6)))
    const flat = { name: "same", first: same, second: same, scores: Float64Array.from([1, 2, 3, 4]) }
    const message = await refusal(simcse, {
      options: { ...small, steps: 2 },
      inputs: { corpus, checkpoint, dev: { sets: [flat], vocabularySize: 25 } },
      scratch,
    })
    expect(message).toContain("the score on dev was undefined at every evaluation (1 in all)")
  }))

test("the estimate for the study's own setting", () => {
  const estimate = simcse.estimate as (options: object, inputs: object) => ReturnType<typeof simcse.estimate>
  const large = {
    layers: 24,
    hidden: 1024,
    heads: 16,
    intermediate: 4096,
    vocabularySize: 30522,
    positions: 512,
  }
  const inputs = {
    corpus: { sentences: 1_000_000, tokensPerSentence: 28, vocabularySize: 30522 },
    checkpoint: large,
    dev: { pairs: 1500, tokensPerSentence: 14, vocabularySize: 30522 },
  }
  const { artifact, cost } = estimate(simcse.options({}) as object, inputs)
  expect(artifact).toEqual({
    ...large,
    training: { sentences: "at most 1000000", updates: "at most 15625, the best on a dev set" },
    traits: { dropout: "seen in training", pooler: "drawn anew, trained by a contrastive loss" },
  })
  // Encoder with pooler: study §2.
  expect(cost.disk).toBe(4 * 335_141_888)
  // 15,625 updates of 128 sequences, forward and backward at 2 operations per weight; 125 evaluations of 3,000
  // sentences. Of the last layer's 12 h² weights only those of keys and values are applied to every token.
  const encoder = 2 * (23 * 12 + 2) * 1024 ** 2
  const products = 15_625 * 3 * 128 * 28 * encoder + 125 * 3000 * 14 * encoder
  expect(cost.flops / products).toBeGreaterThan(1)
  expect(cost.flops / products).toBeLessThan(1.02)
  // Weights, gradients and two moments take 5.4e9 bytes.
  expect(cost.memory).toBeGreaterThan(5.4e9)
  expect(cost.memory).toBeLessThan(5e10)
})
