import { describe, expect, test } from "bun:test"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Deferred, Effect, Fiber } from "effect"
import type { Cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import type { Replay } from "../../../core/api/watch.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import { isFailure, Run, scoreOf } from "../../../core/artifacts/run.ts"
import { packSequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { classification, crossEntropy } from "../../../plugins/finetune/classification.ts"
import { logitsOf, lossOf, predict } from "../../../plugins/finetune/shared/classifier.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import type { ClassifierView } from "../../../plugins/model/view.ts"
import { tinyConfig } from "../model/tiny-model.ts"
import {
  type Ended,
  examplesOf,
  fineTuning,
  observer,
  type Setting,
  withCheckpoint,
  writeCheckpoint,
} from "./running.ts"

const { root, checkpoint, freshScratch, leftOver } = await withCheckpoint("finetune")

const run = (setting: Partial<Setting> = {}): Promise<Ended> =>
  Effect.runPromise(fineTuning({ checkpoint, scratch: freshScratch(), ...setting }))

const refusal = (setting: Partial<Setting>) =>
  Effect.runPromise(Effect.flip(fineTuning({ checkpoint, scratch: freshScratch(), ...setting })))

/** The row that `observe` gives at step 0, before the first update. */
const atStart = async (observe: (view: ClassifierView) => Row, setting: Partial<Setting> = {}) => {
  const { rows } = await run({ ...setting, wanted: false, observers: [observer("start", [0], observe)] })
  return (rows.get("start") as readonly Row[])[0]!
}

const valuesOf = (view: ClassifierView, name: string): Float64Array =>
  Float64Array.from(view.parameters.get(name).dataSync())

describe("a run", () => {
  test("has metrics of every update and a prediction for every dev example", async () => {
    const { run: done } = await run()
    // 21 examples in batches of 4: 6 updates per epoch, 18 in all, ⌈0.3 · 6⌉ = 2 of them warm-up.
    expect(done).toMatchObject({ seed: 1, steps: 18, warmupSteps: 2 })
    expect([done.loss.length, done.gradientNorm.length]).toEqual([18, 18])
    expect([...done.learningRate.subarray(0, 4)]).toEqual([0, 5e-4, 1e-3, (1e-3 * 15) / 16])
    expect(done.predictions).toHaveLength(12)
    expect(done.predictions.every((label) => label === 0 || label === 1)).toBe(true)
    expect(done.labels).toEqual(examplesOf(21).dev.labels)
    const ones = examplesOf(21).train.labels.reduce((sum, label) => sum + label, 0)
    expect(done.baseline).toBe(ones > 21 - ones ? 1 : 0)
  })

  test("fits data that can be learned", async () => {
    const { run: done } = await run({
      data: examplesOf(64, 40),
      options: { lr: 5e-3, epochs: 10, batchSize: 8, dropout: 0 },
    })
    expect(done.loss.at(-1)!).toBeLessThan(0.1)
    expect(done.predictions).toEqual(done.labels)
    expect(isFailure(scoreOf(done))).toBe(false)
  })

  test("has the same bits with the same seed, and others with another seed", async () => {
    const first = await run()
    expect(await run()).toEqual(first)
    expect((await run({ options: { seed: 2 } })).run.loss).not.toEqual(first.run.loss)
  })

  test("trains on each example once per epoch, with a shorter last batch", async () => {
    // Such a small learning rate leaves the model as it was, so its loss on each batch can be computed directly.
    const data = examplesOf(21)
    const { run: done } = await run({ data, options: { lr: 1e-30, dropout: 0 } })
    const { loss: expected } = await atStart(
      (view) => {
        const losses = Array.from({ length: 18 }, (_, update) => {
          const order = permutation(stream(1, "order"), 21, Math.floor(update / 6))
          const indices = order.subarray((update % 6) * 4, (update % 6) * 4 + 4)
          expect(indices).toHaveLength(update % 6 === 5 ? 1 : 4)
          const loss = lossOf(view, crossEntropy, data.train, indices)
          const value = loss.dataSync()[0]!
          loss.dispose()
          return value
        })
        return { loss: Float64Array.from(losses) }
      },
      { data },
    )
    expect(done.loss).toEqual(expected as Float64Array)
  })

  test("uses the dropout rate of its options, whatever the checkpoint was trained with", async () => {
    const trainedWith = (hiddenDropout: number) =>
      writeCheckpoint(join(root, `dropout-${hiddenDropout}`), {
        hiddenDropout,
        attentionDropout: hiddenDropout,
        classifierDropout: hiddenDropout / 2,
      })
    const none = await run({ checkpoint: await trainedWith(0) })
    const strong = await run({ checkpoint: await trainedWith(0.5) })
    expect(none.run).toEqual(strong.run)
    expect((await run({ options: { dropout: 0.3 } })).run.loss).not.toEqual(none.run.loss)
  })
})

describe("a run that is stopped and resumed", () => {
  test.each([1, 5, 6, 17, 18])("after %p updates has the same bits", async (step) => {
    const observe = (view: ClassifierView): Row => ({ step: view.step, loss: view.loss })
    const observers = [observer("loss", [0, 5, 6, 18], observe)]
    const whole = await run({ observers })
    const scratch = freshScratch()
    const setting: Setting = { checkpoint, scratch, observers }
    await Effect.runPromise(
      Effect.gen(function* () {
        const reached = yield* Deferred.make<void>()
        const report = (done: number) =>
          done === step ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
        const fiber = yield* Effect.forkChild(fineTuning({ ...setting, report }))
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
      }),
    )
    expect(leftOver()).toBe(0)
    expect(await readdir(join(scratch, "unit"))).toEqual([`training-${step}`])
    let computed = 0
    const report = () => Effect.sync(() => computed++)
    expect(await Effect.runPromise(fineTuning({ ...setting, report }))).toEqual(whole)
    expect(computed).toBe(18 - step)
  })
})

describe("random numbers", () => {
  const head = (view: ClassifierView): Row => ({
    weight: valuesOf(view, "classifier.weight"),
    pooler: valuesOf(view, "bert.pooler.dense.weight"),
    probe: view.stream.nameHash,
  })

  test("of head, order, dropout and probe are independent of each other", async () => {
    const first = await atStart(head)
    const other = await atStart(head, { data: examplesOf(9), options: { dropout: 0.4, batchSize: 3 } })
    expect(other).toEqual(first)
    expect((await atStart(head, { options: { seed: 2 } })).weight).not.toEqual(first.weight)
    const hashes = ["head", "order", "dropout", "probe"].map((name) => stream(1, name).nameHash)
    expect(new Set(hashes).size).toBe(4)
    expect(first.probe).toBe(hashes[3]!)
  })

  test("of the classifier are N(0, 0.02²), and the pooler is the checkpoint's", async () => {
    const wide = await writeCheckpoint(join(root, "wide"), { hidden: 96, intermediate: 8, layers: 1 })
    const { weight, bias, pooler } = await atStart(
      (view) => ({ ...head(view), bias: valuesOf(view, "classifier.bias") }),
      { checkpoint: wide },
    )
    const drawn = [...(weight as Float64Array)]
    const deviation = Math.sqrt(drawn.reduce((sum, w) => sum + w * w, 0) / drawn.length)
    expect(drawn).toHaveLength(2 * 96)
    expect(deviation).toBeGreaterThan(0.017)
    expect(deviation).toBeLessThan(0.023)
    expect([...(bias as Float64Array)]).toEqual([0, 0])
    const stored = await Effect.runPromise(loadModel(wide.folder, { outputHeads: { pooler: "read" } }))
    expect(pooler).toEqual(Float64Array.from(stored.parameters.get("bert.pooler.dense.weight").dataSync()))
    stored.parameters.dispose()
  })

  test("of the stream head give the pooler too if the checkpoint has none", async () => {
    const headless = await writeCheckpoint(join(root, "headless"), {}, "BertForMaskedLM")
    const first = await atStart(head, { checkpoint: headless })
    const deviation = Math.hypot(...(first.pooler as Float64Array)) / 8
    expect(deviation).toBeGreaterThan(0.01)
    expect(deviation).toBeLessThan(0.03)
    expect(await atStart(head, { checkpoint: headless })).toEqual(first)
    expect((await atStart(head)).weight).toEqual(first.weight!)
  })
})

describe("an observer", () => {
  test("observes the steps that it requested, with the metrics of the update before each", async () => {
    const rows: Row[] = []
    const observe = (view: ClassifierView): Row => {
      const { step, steps, warmupSteps, loss, learningRate, seed } = view
      const bias = Math.hypot(...valuesOf(view, "classifier.bias"))
      const row = { step, steps, warmupSteps, loss, learningRate, seed, moved: bias > 0 }
      rows.push(row)
      return row
    }
    const { run: done, rows: given } = await run({
      observers: [observer("a", [18, 0, 1, 2, 7], observe), observer("b", [7], observe)],
    })
    const seen = (step: number, moved: boolean) => ({
      ...{ step, steps: 18, warmupSteps: 2, seed: 1, moved },
      loss: step === 0 ? null : done.loss[step - 1]!,
      learningRate: step === 0 ? null : done.learningRate[step - 1]!,
    })
    // The first update has learning rate 0 and moves nothing.
    const expected = [seen(0, false), seen(1, false), seen(2, true), seen(7, true), seen(18, true)]
    expect(given.get("a")).toEqual(expected)
    expect(given.get("b")).toEqual([expected[3]!])
    expect(rows.map(({ step }) => step)).toEqual([0, 1, 2, 7, 7, 18])
  })

  test("sees the classifier's logits, its blocks and the data that it is trained on", async () => {
    const data = examplesOf(21)
    const { logits, direct, blocks, classes } = await atStart(
      (view) => {
        const batch = selectSequences(view.train.sequences, [0, 20])
        const [seen, again] = [view.logits(batch), logitsOf(view, batch)]
        const row = {
          logits: Float64Array.from(seen.dataSync()),
          direct: Float64Array.from(again.dataSync()),
          blocks: [...view.blocks.keys()].join(),
          classes: view.config.labels.join(),
        }
        tf.dispose([seen, again])
        expect(view.train).toEqual(data.train)
        expect([...view.blocks.values()].flat()).toEqual([...view.parameters.names])
        return row
      },
      { data },
    )
    expect(logits).toHaveLength(4)
    expect(logits).toEqual(direct as Float64Array)
    expect(blocks).toBe("embeddings,layer.0,layer.1,pooler,classifier")
    expect(classes).toBe("entailment,not_entailment")
  })

  test("does not change the run", async () => {
    const alone = await run()
    const observe = (view: ClassifierView): Row => ({ sum: valuesOf(view, "classifier.weight")[0]! })
    const watched = await run({ observers: [observer("all", [0, 3, 9, 18], observe)] })
    expect(watched.run).toEqual(alone.run)
  })

  test("has the run stop after its last step if the run itself is not needed", async () => {
    const reported: number[] = []
    const observe = (view: ClassifierView): Row => ({ step: view.step, total: view.steps })
    const { run: part, rows } = await run({
      wanted: false,
      observers: [observer("early", [0, 4], observe)],
      report: (done) => Effect.sync(() => reported.push(done)),
    })
    expect(reported).toEqual([1, 2, 3, 4])
    expect(part.predictions).toHaveLength(0)
    expect(rows.get("early")).toEqual([
      { step: 0, total: 18 },
      { step: 4, total: 18 },
    ])
  })

  test("fails alone", async () => {
    const observe = (): Row => {
      throw new Error("this probe is broken")
    }
    const { run: done, rows } = await run({ observers: [observer("broken", [3], observe)] })
    expect(done.predictions).toHaveLength(12)
    expect(String(rows.get("broken"))).toContain("this probe is broken")
  })
})

describe("a run that fails", () => {
  test("diverges at the step at which the loss is not finite", async () => {
    const failure = await refusal({ options: { lr: 1e30, warmupRatio: 0 } })
    expect(failure).toBeInstanceOf(UnitFailure)
    expect(failure).toMatchObject({ outcome: "diverged", step: 1 })
    expect(failure.message).toStartWith("step 1: the ")
  })

  test("diverges at the end if the last update made the logits not finite", async () => {
    const failure = await refusal({ options: { lr: 1e38, warmupRatio: 0, epochs: 0.1 } })
    expect(failure).toMatchObject({ outcome: "diverged", step: 1 })
    expect(failure.message).toContain("the fine-tuned model's logits are not finite")
  })

  const vocabularySize = tinyConfig.vocabularySize + 1
  const long = Array.from({ length: 17 }, () => 5)
  const splitWith = (ids: readonly number[], tokenTypeIds = ids.map(() => 0)) => ({
    sequences: packSequences([
      { ids: [2, 5, 3], tokenTypeIds: [0, 0, 0] },
      { ids, tokenTypeIds },
    ]),
    labels: Float64Array.of(0, 1),
  })
  const data = examplesOf(4)
  test.each<[string, typeof data, string]>([
    ["another vocabulary", { ...data, vocabularySize }, "a vocabulary of 21 tokens, but the model has 20"],
    [
      "an example that is too long",
      { ...data, dev: splitWith(long) },
      "the dev split has a sequence of 17 tokens, but the model takes at most 16",
    ],
    [
      "a third token type",
      { ...data, train: splitWith([2, 5], [0, 2]) },
      "the train split has the token type id 2; expected ids from 0 to 1; tokenise it with the vocabulary of the model",
    ],
    ["a token outside their own vocabulary", { ...data, train: splitWith([20]) }, "the token id 20"],
    ["an empty example", { ...data, dev: splitWith([]) }, "the dev split has an empty sequence (number 1"],
    [
      "no example",
      { ...data, train: { sequences: packSequences([]), labels: new Float64Array() } },
      "the train split is empty",
    ],
  ])("is refused before it starts: data with %s", async (_, wrong, message) => {
    const started: number[] = []
    const error = await refusal({ data: wrong, report: (done) => Effect.sync(() => started.push(done)) })
    expect(error._tag).toBe("InvalidInput")
    expect(error.message).toContain(message)
    expect(started).toEqual([])
  })

  test("is refused before it starts: data labelled with scores", async () => {
    const { message } = await refusal({ data: { ...data, labelNames: null, metrics: ["pearson"] } })
    expect(message).toContain("data must be labelled with classes, but its labels are scores")
  })

  test("reports all problems at once, and each kind once", async () => {
    const empty = Array.from({ length: 30 }, () => ({ ids: [], tokenTypeIds: [] }))
    const train = { sequences: packSequences(empty), labels: new Float64Array(30) }
    const { message } = await refusal({ data: { ...data, vocabularySize, train } })
    expect(message).toContain("a vocabulary of 21")
    expect(message).toContain("the train split has an empty sequence (number 0")
    expect(message.split("\n").length).toBeLessThan(12)
  })
})

describe("options", () => {
  const check = (options: object): string => {
    const out: unknown = classification.options({ lr: 1e-5, seed: 1, ...options })
    return out instanceof type.errors ? out.summary : JSON.stringify(out)
  }

  test("default to those of the study", () => {
    expect(JSON.parse(check({}))).toEqual({
      ...{ lr: 1e-5, seed: 1, batchSize: 16, epochs: 3, warmupRatio: 0.1, clip: 1, dropout: 0.1 },
      ...{ frozen: [], layerwiseDecay: 1, classifier: "new", keepModel: false, schedule: { linear: {} } },
      optimiser: {
        adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weightDecay: 0, biasCorrection: false },
      },
    })
  })

  test.each<[object, string]>([
    [{ lr: 0 }, "lr must be positive (was 0)"],
    [{ lr: -1e-5 }, "lr must be positive"],
    [{ lr: Number.NaN }, "lr must be a number (was NaN)"],
    [{ lr: Number.POSITIVE_INFINITY }, "lr must be finite (was Infinity)"],
    [{ lr: "1e-5" }, "lr must be a number (was a string)"],
    [{ seed: 1.5 }, "seed must be an integer"],
    [{ seed: 2 ** 32 }, "seed must be at most 4294967295"],
    [{ batchSize: 0 }, "batchSize must be"],
    [{ epochs: 0 }, "epochs must be positive"],
    [{ warmupRatio: 2 }, "warmupRatio must be at most 1 (was 2)"],
    [{ dropout: 1 }, "dropout must be less than 1"],
    [{ optimiser: "adamw" }, "optimiser must be an optimiser"],
    [{ optimiser: linearSchedule({}) }, "optimiser must be an optimiser"],
    [{ layerwiseDecay: 0 }, "layerwiseDecay must be positive"],
    [{ frozen: -1 }, "frozen must be"],
    [{ learningRate: 1e-5 }, "learningRate must be removed"],
  ])("refuse %j", (options, message) => expect(check(options)).toContain(message))

  test("without a learning rate or a seed are refused", () => {
    expect(String(classification.options({}))).toContain("lr must be a number (was missing)")
    expect(String(classification.options({}))).toContain("seed must be a number (was missing)")
  })
})

test("a kept model is written with its tokenizer, and gives the run's predictions", async () => {
  const source = await writeCheckpoint(join(root, "with-vocabulary"))
  await writeFile(join(source.folder, "vocab.txt"), "[PAD]\n")
  const data = examplesOf(21)
  const { run: done } = await run({ checkpoint: source, data, options: { keepModel: true } })
  const folder = join(root, "artifact")
  await mkdir(folder)
  await Effect.runPromise(Run.write(folder, done))
  const taken = await Effect.runPromise(Run.read(folder))
  expect((await readdir(taken.modelFolder!)).sort()).toEqual([
    "config.json",
    "model.safetensors",
    "vocab.txt",
  ])
  const outputHeads = { pooler: "read", classifier: "read" } as const
  const model = await Effect.runPromise(loadModel(taken.modelFolder!, { outputHeads }))
  expect(model.config.labels).toEqual(data.labelNames!)
  const predictions = await Effect.runPromise(predict(model, crossEntropy, data.dev.sequences, 18))
  expect([...predictions]).toEqual([...done.predictions])
  model.parameters.dispose()
})

test("the estimate of BERT-large on RTE", () => {
  const estimate = classification.estimate as unknown as (
    options: unknown,
    inputs: unknown,
  ) => { artifact: object; cost: Cost; replay: Replay }
  const { artifact, cost, replay } = estimate(classification.options({ lr: 1e-5, seed: 1 }), {
    data: {
      train: 2490,
      dev: 277,
      tokensPerExample: 70,
      labels: 2,
      labelKind: "classes",
      vocabularySize: 30522,
    },
    checkpoint: {
      ...{ layers: 24, hidden: 1024, heads: 16, intermediate: 4096, vocabularySize: 30522 },
      positions: 512,
    },
  })
  const parameters = 335_141_888 + 2050
  expect(artifact).toMatchObject({ steps: 468, warmupSteps: 47, batchSize: 16, parameters, layers: 24 })
  // From which a model that is trained further is estimated.
  expect(artifact).toMatchObject({ vocabularySize: 30522, positions: 512, keepsModel: false })
  // Six operations for each of the encoder's 302 million parameters, per token, in three epochs; attention adds
  // little. Of the last layer's 12 h² weights only those of keys and values are applied to every token.
  const products = 6 * (302_309_376 - 10 * 1024 ** 2) * 3 * 2490 * 70
  expect(cost.flops / products).toBeGreaterThan(1)
  expect(cost.flops / products).toBeLessThan(1.1)
  // All updates, and the evaluation at the end that a replay for probes leaves out: a forward pass of 277 examples.
  expect(replay.length).toEqual({ steps: 468, warmupSteps: 47 })
  const evaluation = (products / 3) * (277 / (3 * 2490))
  expect((replay.flopsPerStep * 468 + evaluation) / cost.flops).toBeCloseTo(1, 2)
  // Parameters, gradients and two moments.
  expect(cost.memory).toBeGreaterThan(16 * parameters)
  expect(cost.memory).toBeLessThan(26 * parameters)
  expect(cost.scratch).toBe(24 * parameters)
  expect(cost.disk).toBeLessThan(20_000)
})
