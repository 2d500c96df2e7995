import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import type { AnyPlugin, Node } from "../../core/api/plugin.ts"
import type { Examples } from "../../core/artifacts/examples.ts"
import type { Run } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { startBackend } from "../../core/tensor/backend.ts"
import type { HostTensor, Parameters } from "../../core/tensor/parameters.ts"
import { wasm } from "../backend/wasm.ts"
import { table } from "../data/table.ts"
import { type Objective, type Outputs, predictionOf } from "../finetune/shared/objective.ts"
import type { ClassifierView } from "../model/view.ts"
import { drawn, expectDifferentiable } from "./differences.ts"
import { lossOfTrain } from "./loss-of-train.ts"
import { toyStudy } from "./toy-study.ts"
import { withArtifacts } from "./with-artifacts.ts"

/** A plugin that fine-tunes, as `fineTuning` makes it. */
export type FineTuningPlugin<S> = AnyPlugin &
  ((settings: S) => Node<typeof Run, ClassifierView>) & {
    readonly objective: (options: never) => Objective
  }

/** How an objective is tested. */
export interface ObjectiveTest<S> {
  /** The plugin's options as a pipeline gives them, without those of training. */
  readonly options?: Partial<S>
  /** A learning rate at which it learns; by default 0.003. */
  readonly learningRate?: number
}

/** Examples, hidden width, and classes, for the loss by itself. */
const count = 6
const hidden = 4
const classes = 2
/** The longest that a test may take, in milliseconds. */
const longest = 120_000

/**
 * Registers tests that the objective of every fine-tuning plugin must pass, to be called at the top of a test file beside
 * `testPlugin`. They run on the backend `wasm`:
 *
 * - the gradient of its loss is that by differences, and right outputs cost less than wrong ones;
 * - its loss is a mean over the examples, from as many forward passes as it declares, and leaves no tensor over;
 * - its predictions are classes that there are, or finite scores;
 * - data with labels of the other kind are refused;
 * - in a toy fine-tuning its loss falls, the same to the bit with a probe, which sees that loss and its gradient.
 *
 * ```ts
 * testObjective(focal, { options: { gamma: 2 } })
 * ```
 */
export const testObjective = <S extends object>(
  plugin: FineTuningPlugin<S>,
  { options = {}, learningRate = 0.003 }: ObjectiveTest<S> = {},
): void => {
  const settings = { lr: learningRate, seed: 1, ...options }
  const filled: unknown = plugin.options(settings)
  if (filled instanceof type.errors)
    throw new InvalidInput({ what: `the options of ${plugin.name}`, problems: [filled.summary] })
  const objective = plugin.objective(filled as never)
  const ofClasses = objective.labels === "classes"
  const outputs = ofClasses ? classes : 1
  const passes = objective.passes ?? 1

  describe(`the objective of ${plugin.name} keeps what objectives promise:`, () => {
    let root: string
    let scores: Node<typeof Examples>
    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), `kasosei-${plugin.name}-`))
      await Effect.runPromise(startBackend(wasm))
      scores = scoredExamples(root)
    })
    afterAll(() => rmSync(root, { recursive: true, force: true }))

    const labels = Array.from({ length: count }, (_, n) => (ofClasses ? n % classes : (n % 4) / 2))
    /** What the passes of the model give, by name. */
    const inputs: Record<string, HostTensor> = {}
    for (let pass = 0; pass < passes; pass++) {
      inputs[`logits of pass ${pass}`] = drawn([count, outputs], 2 * pass)
      inputs[`cls of pass ${pass}`] = drawn([count, hidden], 2 * pass + 1)
    }
    const lossOf = (labels: readonly number[], forward: (pass?: number) => Outputs): tf.Scalar =>
      objective.labels === "classes"
        ? objective.loss({ labels_N: Int32Array.from(labels), forward })
        : objective.loss({ labels_N: Float32Array.from(labels), forward })
    /** Outputs that predict these labels. */
    const logitsFor = (predicted: readonly number[]): tf.Tensor2D =>
      ofClasses
        ? tf.mul(tf.oneHot(tf.tensor1d([...predicted], "int32"), classes), 3)
        : tf.tensor2d([...predicted], [count, 1])
    const forwardOf =
      (given: Parameters) =>
      (pass = 0): Outputs => ({
        cls_NH: given.get(`cls of pass ${pass}`),
        logits_NC: given.get(`logits of pass ${pass}`),
      })
    /** The value of the loss, of these examples over and over. */
    const lossValue = (
      labels: readonly number[],
      times = 1,
      onPass: (pass: number) => void = () => {},
    ): number =>
      tf.tidy(() => {
        const repeated = (name: string): tf.Tensor2D => {
          const { shape, values } = inputs[name]!
          return tf.tile(tf.tensor2d(values, shape as [number, number]), [times, 1])
        }
        const forward = (pass = 0): Outputs => {
          onPass(pass)
          return { cls_NH: repeated(`cls of pass ${pass}`), logits_NC: repeated(`logits of pass ${pass}`) }
        }
        const loss = lossOf(Array.from({ length: times }, () => labels).flat(), forward)
        expect([loss.rank, loss.dtype]).toEqual([0, "float32"])
        return loss.dataSync()[0]!
      })

    test("the gradient of its loss is that by differences, and right outputs cost less than wrong ones", () => {
      expectDifferentiable((given) => lossOf(labels, forwardOf(given)), inputs)
      const [right, wrong] = [0, 1].map((shift) =>
        tf.tidy(() => {
          const logits_NC = logitsFor(
            labels.map((label) => (ofClasses ? (label + shift) % classes : label + shift)),
          )
          const cls_NH = tf.zeros<tf.Rank.R2>([count, hidden])
          return lossOf(labels, () => ({ cls_NH, logits_NC })).dataSync()[0]!
        }),
      )
      // Outputs that only a method of its own turns into predictions are not known here.
      if (objective.predict === undefined) expect(right!).toBeLessThan(wrong!)
    })

    test("its loss is a mean over the examples, from as many passes as it declares, and leaves no tensor over", () => {
      const before = tf.memory().numTensors
      const used = new Set<number>()
      const loss = lossValue(labels, 1, (pass) => used.add(pass))
      const repeated = lossValue(labels, 3)
      expect(Number.isFinite(loss)).toBe(true)
      expect(Math.abs(repeated - loss)).toBeLessThan(1e-5 * (1 + Math.abs(loss)))
      expect([...used].sort()).toEqual(Array.from({ length: passes }, (_, pass) => pass))
      expect(tf.memory().numTensors - before).toBe(0)
    })

    test("its predictions are classes that there are, or finite scores", () => {
      const { values } = drawn([200, outputs], 99)
      const predicted = Array.from({ length: 200 }, (_, n) =>
        predictionOf(objective)(values.slice(n * outputs, (n + 1) * outputs)),
      )
      const allowed = (value: number) =>
        ofClasses ? Number.isInteger(value) && value >= 0 && value < classes : Number.isFinite(value)
      expect(predicted.filter((value) => !allowed(value))).toEqual([])
    })

    /** A run on all examples in every update and without dropout, so that the losses are of the same function. */
    const run = (data: Node<typeof Examples>) => {
      const { checkpoint } = toyStudy
      const whole = { data, checkpoint, ...settings, batchSize: 24, epochs: 20, dropout: 0 }
      return plugin(whole as unknown as S)
    }

    test(
      "data with labels of the other kind are refused",
      () =>
        withArtifacts(async (artifactOf) => {
          const other = artifactOf(run(ofClasses ? scores : toyStudy.examples))
          await expect(other).rejects.toThrow(/must be labelled with (classes|scores)/)
        }),
      longest,
    )

    test(
      "in a toy fine-tuning its loss falls, the same to the bit with a probe, which sees that loss and its gradient",
      async () => {
        const node = run(ofClasses ? toyStudy.examples : scores)
        const alone = await withArtifacts((artifactOf) => artifactOf(node))
        expect(alone.loss.at(-1)!).toBeLessThan(alone.loss[0]!)
        await withArtifacts(async (artifactOf) => {
          const [before, after] = await artifactOf(lossOfTrain({ run: node }))
          const watched = await artifactOf(node)
          expect([...watched.loss]).toEqual([...alone.loss])
          expect([...watched.predictions]).toEqual([...alone.predictions])
          expect(Math.abs(before!.loss / alone.loss[0]! - 1)).toBeLessThan(1e-4)
          expect(Math.abs(before!.gradientNorm / alone.gradientNorm[0]! - 1)).toBeLessThan(1e-3)
          expect(after!.loss).toBeLessThan(before!.loss)
        })
      },
      longest,
    )
  })
}

/** Pairs of sentences, whose score is the length of the first. */
const scoredExamples = (folder: string): Node<typeof Examples> => {
  const lines = Array.from({ length: 24 }, (_, i) => `${"dog ".repeat(1 + (i % 4))},cat ran,${i % 4}`)
  const train = join(folder, "scored.csv")
  writeFileSync(train, `first,second,score\n${lines.join("\n")}\n`)
  return table({
    vocabulary: toyStudy.vocabulary,
    train,
    dev: train,
    sentences: ["first", "second"],
    label: "score",
    labels: "scores",
  })
}
