import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import type { AnyPlugin } from "../../../core/api/plugin.ts"
import {
  Checkpoint,
  type CheckpointEstimate,
  type CheckpointTaken,
} from "../../../core/artifacts/checkpoint.ts"
import type { Examples, ExamplesEstimate } from "../../../core/artifacts/examples.ts"
import { quotient } from "../../../core/artifacts/metrics/ratio.ts"
import { spearman } from "../../../core/artifacts/metrics/spearman.ts"
import { type Run, scoreOf } from "../../../core/artifacts/run.ts"
import { packSequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { classification, crossEntropy } from "../../../plugins/finetune/classification.ts"
import { regression } from "../../../plugins/finetune/regression.ts"
import { fineTuning as method } from "../../../plugins/finetune/shared/fine-tuning.ts"
import { fineTuningOptions } from "../../../plugins/finetune/shared/options.ts"
import { distilbert } from "../../../plugins/model/layouts/distilbert.ts"
import { modelOf } from "../../../plugins/pretrain/model-of.ts"
import { type EvaluateRow, evaluate } from "../../../plugins/probe/evaluate.ts"
import { testPlugin, toyStudy } from "../../../plugins/testing/testing.ts"
import {
  completed,
  examplesOf,
  fineTuning,
  observer,
  type Setting,
  withCheckpoint,
  writeCheckpoint,
} from "../finetune/running.ts"

const { checkpoint, freshScratch } = await withCheckpoint("evaluate")

const lr = 5e-3

interface Asked {
  readonly options?: Readonly<Record<string, unknown>>
  readonly data: Examples
  readonly head?: CheckpointTaken
}

/** A run, and what the probe gives of it. */
const asking = async ({ options = {}, ...inputs }: Asked, setting: Partial<Setting> = {}) => {
  const watcher = {
    key: "evaluate",
    options: completed(evaluate, options),
    inputs,
    probe: evaluate.probe!,
    gives: evaluate.gives,
  }
  const { observers = [], ...rest } = setting
  const given = { checkpoint, scratch: freshScratch(), observers: [watcher, ...observers], ...rest }
  const { run, rows } = await Effect.runPromise(fineTuning(given))
  return { run, rows, found: rows.get("evaluate")! }
}
const rowsOf = async (asked: Asked, setting?: Partial<Setting>) => {
  const { run, found } = await asking(asked, setting)
  if (!Array.isArray(found)) throw new Error(String(found))
  return { run, rows: found as readonly EvaluateRow[] }
}

/** A run's model as a checkpoint. */
const keep = async (setting: Partial<Setting>) => {
  const options = { lr, epochs: 6, dropout: 0, keepModel: true, ...setting.options }
  const { run } = await Effect.runPromise(
    fineTuning({ checkpoint, scratch: freshScratch(), ...setting, options }),
  )
  const folder = freshScratch()
  await Effect.runPromise(run.saveModel!(folder))
  return { run, model: await Effect.runPromise(Checkpoint.read(folder)) }
}

const scores = (run: Run) => scoreOf(run).map(({ value, baseline }) => [quotient(value), quotient(baseline)])
const valuesOf = (rows: readonly EvaluateRow[]) => rows.map(({ value, baseline }) => [value, baseline])

/** The task with its two labels exchanged. */
const reversed = (data: Examples): Examples => {
  const exchange = (split: Examples["train"]) => ({
    ...split,
    labels: split.labels.map((label) => 1 - label),
  })
  return { ...data, train: exchange(data.train), dev: exchange(data.dev) }
}
const withScores = (data: Examples): Examples => {
  const scored = ({ sequences }: Examples["train"]) => ({
    sequences,
    labels: Float64Array.from(
      sequences.offsets.slice(1),
      (end, n) => (end - sequences.offsets[n]!) / 2 + n / 100,
    ),
  })
  return {
    ...data,
    labelNames: null,
    metrics: ["pearson", "spearman"],
    train: scored(data.train),
    dev: scored(data.dev),
  }
}

describe("a run asked by its own classifier", () => {
  test("scores on its own dev split at the end as the run itself", async () => {
    const data = examplesOf(21, 70)
    const { run, rows } = await rowsOf({ data }, { data, options: { lr, epochs: 4 } })
    expect(valuesOf(rows)).toEqual(scores(run))
    expect(rows).toEqual([{ ...rows[0]!, step: 24, split: "dev", metric: "accuracy", examples: 70 }])
  })

  test("scores on other data at every step as its logits say, one example at a time", async () => {
    const other = examplesOf(45, 9)
    const steps = [0, 5, 18]
    const accuracies: number[] = []
    const single = observer("single", steps, ({ step, logits }) => {
      const { sequences, labels } = other.train
      const right = [...labels].filter((label, n) => {
        const [a, b] = tf.tidy(() => logits(selectSequences(sequences, [n])).dataSync())
        return (b! > a! ? 1 : 0) === label
      })
      accuracies.push(right.length / 45)
      return { step }
    })
    const asked = { data: other, options: { steps: { at: steps }, split: "train" } }
    const { rows } = await rowsOf(asked, { options: { lr }, observers: [single] })
    expect(rows.map(({ step, value }) => [step, value])).toEqual(
      steps.map((step, i) => [step, accuracies[i]!]),
    )
    expect(new Set(accuracies).size).toBeGreaterThan(1)
    const second = other.train.labels.reduce((sum, label) => sum + label, 0) / 45
    for (const { baseline } of rows) expect(baseline).toBe(Math.max(second, 1 - second))
  })

  test("gives a row for each of the data's metrics", async () => {
    const data: Examples = { ...examplesOf(21, 40), metrics: ["matthews", "f1", "accuracy"] }
    const { run, rows } = await rowsOf({ data }, { data, options: { lr, epochs: 6 } })
    expect(rows.map(({ metric }) => metric)).toEqual(["matthews", "f1", "accuracy"])
    expect(valuesOf(rows)).toEqual(scores(run))
  })

  test("of scores, by the data's correlations", async () => {
    const data = withScores(examplesOf(32, 40))
    const setting = { plugin: regression, data, options: { lr, epochs: 4 } }
    const { run, rows } = await rowsOf({ data }, setting)
    expect(valuesOf(rows)).toEqual(scores(run))
    expect(rows[1]!.value).toBe(spearman(run.predictions, data.dev.labels))
    expect(rows[0]!.baseline).toBe(0)
  })

  test("predicts as its objective does", async () => {
    const contrary = method({
      name: "contrary",
      module: import.meta.url,
      summary: "Predicts the class of the smaller logit",
      options: type({ "+": "reject", ...fineTuningOptions }),
      objective: () => ({ ...crossEntropy, predict: ([a, b]) => (b! > a! ? 0 : 1) }),
    }) as AnyPlugin
    const data = examplesOf(21, 40)
    const usual = await rowsOf({ data }, { options: { lr } })
    const { run, rows } = await rowsOf({ data }, { plugin: contrary, data, options: { lr } })
    expect(rows[0]!.value).toBeCloseTo(1 - usual.rows[0]!.value, 12)
    expect(valuesOf(rows)).toEqual(scores(run))
  })
})

describe("A, then B, then A again with A's classifier", () => {
  const a = examplesOf(84, 40)
  /** With which it learns A by heart. */
  const learning = { lr: 0.01, epochs: 10, dropout: 0 }

  /** For the start of a run. */
  const steps = { at: [0] }
  const brief = { epochs: 0.1 }
  let first: Awaited<ReturnType<typeof keep>>
  beforeAll(async () => {
    first = await keep({ data: a, options: learning })
  }, 20_000)

  test("begins at A's own score, to the bit", async () => {
    const expected = scores(first.run)
    expect(expected[0]![0]).toBeGreaterThan(0.9)
    const second = { checkpoint: first.model, data: reversed(a), options: brief }
    const { rows } = await rowsOf({ data: a, head: first.model, options: { steps } }, second)
    expect(valuesOf(rows)).toEqual(expected)
    // Another seed draws another classifier for B, to whose question A's model has no answer yet.
    const another = { ...second, options: { ...brief, seed: 3 } }
    const own = await rowsOf({ data: a, options: { steps } }, another)
    expect(valuesOf(own.rows)).not.toEqual(expected)
  })

  test("has nothing of A left once A's classifier has learned the opposite", async () => {
    const options = { ...learning, lr: 2e-3, seed: 3, classifier: "checkpoint" }
    const second = { checkpoint: first.model, data: reversed(a), options }
    const { run, rows } = await rowsOf({ data: a, options: { steps: { at: [0], last: true } } }, second)
    const [[before], [after]] = [scores(first.run)[0]!, scores(run)[0]!]
    expect(rows.map(({ value }) => value)).toEqual([before!, 1 - after!])
    expect(after).toBeGreaterThan(0.9)
  }, 20_000)

  test("also if A has classes and B scores, or the other way round", async () => {
    const second = { plugin: regression, checkpoint: first.model, data: withScores(a), options: brief }
    const { rows } = await rowsOf({ data: a, head: first.model, options: { steps } }, second)
    expect(valuesOf(rows)).toEqual(scores(first.run))
    const scored = await keep({ plugin: regression, data: withScores(a), options: { epochs: 2 } })
    const asked = { data: withScores(a), head: scored.model, options: { steps } }
    const classes = await rowsOf(asked, { checkpoint: scored.model, data: a, options: brief })
    expect(valuesOf(classes.rows)).toEqual(scores(scored.run))
    expect(classes.rows.map(({ metric }) => metric)).toEqual(["pearson", "spearman"])
    // And a score's own classifier is trained on.
    const options = { ...brief, classifier: "checkpoint" }
    const again = { plugin: regression, checkpoint: scored.model, data: withScores(a), options }
    const own = await rowsOf({ data: withScores(a), options: { steps } }, again)
    expect(valuesOf(own.rows)).toEqual(scores(scored.run))
  })
})

describe("is refused, and the run continues,", () => {
  const refusal = async (asked: Asked, setting?: Partial<Setting>) => {
    const { run, found } = await asking(asked, setting)
    expect(run.predictions).toHaveLength((setting?.data ?? examplesOf(21)).dev.labels.length)
    return String((found as { message?: string }).message)
  }
  const data = examplesOf(21)

  test("for data of other labels", async () => {
    const other: Examples = { ...data, labelNames: ["yes", "no"] }
    expect(await refusal({ data: other })).toBe(
      "evaluate: the run's classifier must have the outputs yes, no, as data are labelled (was entailment, not_entailment); give a head that was fine-tuned for these labels: evaluate({ …, head: modelOf(run) })",
    )
    const { model } = await keep({ data })
    expect(await refusal({ data: withScores(data), head: model })).toContain(
      "the classifier of head must have the outputs LABEL_0, as data are labelled (was entailment, not_entailment)",
    )
  })

  test("for data of another vocabulary, or longer than the model's positions", async () => {
    const ids = Array.from({ length: 20 }, () => 2)
    const long = {
      sequences: packSequences([{ ids, tokenTypeIds: ids.map(() => 0) }]),
      labels: new Float64Array(1),
    }
    const message = await refusal({ data: { ...data, dev: long, vocabularySize: 7 } })
    expect(message).toContain(
      "the dev split of data was tokenised with a vocabulary of 7 tokens, but the model has",
    )
    expect(message).toContain(
      "the dev split of data has a sequence of 20 tokens, but the model takes at most 16",
    )
  })

  test("for a head without a classifier, or of another model", async () => {
    expect(await refusal({ data, head: checkpoint })).toContain(
      "it has no classifier; expected a fine-tuned model, such as that of modelOf(run) for a run with keepModel: true",
    )
    for (const [config, found] of [
      [{ hidden: 12 }, "BERT with 12"],
      [{ layout: distilbert }, "DistilBERT with 8"],
    ] as const) {
      const head = await writeCheckpoint(freshScratch(), config, "BertForSequenceClassification")
      expect(await refusal({ data, head })).toContain(
        `head: expected a model of BERT with the hidden size 8, as the run's is, found ${found}`,
      )
    }
  })
})

test("a plan knows its rows and arithmetic, and refuses a head of another width", () => {
  const estimate = evaluate.estimate as unknown as (
    options: unknown,
    inputs: object,
  ) => { readonly artifact: unknown; readonly cost: { readonly flops: number; readonly disk: number } }
  const sizes = {
    layers: 24,
    hidden: 1024,
    heads: 16,
    intermediate: 4096,
    vocabularySize: 30522,
    positions: 512,
  }
  const run = { ...sizes, steps: 468, warmupSteps: 47, batchSize: 16, tokensPerExample: 70, parameters: 3e8 }
  const data: ExamplesEstimate = {
    ...{
      train: 2490,
      dev: 277,
      tokensPerExample: 70,
      labels: 2,
      labelKind: "classes",
      vocabularySize: 30522,
    },
    metrics: ["accuracy", "f1"],
  }
  const of = (options: object, head?: CheckpointEstimate) =>
    estimate(completed(evaluate, { ...options }), { run, data, head })
  const { artifact, cost } = of({ steps: { at: [0, 1], every: "warmup", last: true } })
  // Steps 0, 1, 47, 94, …, 423 and 468.
  expect(artifact).toEqual({
    rows: 2 * 12,
    columns: ["baseline", "examples", "metric", "split", "step", "value"],
    steps: [0, 1, ...Array.from({ length: 9 }, (_, i) => 47 * (i + 1)), 468],
  })
  expect(cost.flops / 12).toBe(of({}).cost.flops)
  expect(of({ split: "train" }).cost.flops / of({}).cost.flops).toBeCloseTo(2490 / 277, 6)
  // Two operations for each of the encoder's 302 million parameters, per token.
  expect(of({}).cost.flops / (2 * 302e6 * 277 * 70)).toBeCloseTo(1, 1)
  expect(() => of({}, { ...sizes, hidden: 768 })).toThrow(
    "head must have the hidden size of the run's model, 1024 (was 768)",
  )
  expect(() => of({ steps: { at: [469] } })).toThrow("must be from 0 to 468")
})

/** With the head of a fine-tuned checkpoint. */
const { examples, checkpoint: pretrained } = toyStudy
const other = { data: examples, checkpoint: pretrained, lr: 1e-3, batchSize: 8, epochs: 1 }
const kept = classification({ ...other, seed: 5, keepModel: true })

testPlugin(evaluate, {
  options: { steps: { at: [0], every: 4, last: true } },
  inputs: { head: modelOf(kept) },
})
