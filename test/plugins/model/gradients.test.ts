import { afterEach, beforeEach, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { type Split, selectExamples } from "../../../core/artifacts/examples.ts"
import { linear } from "../../../core/tensor/ops/linear.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { disposeGradients, Parameters } from "../../../core/tensor/parameters.ts"
import { openReference } from "../../../plugins/check/reference/passes.ts"
import { logitsOf } from "../../../plugins/finetune/shared/classifier.ts"
import type { TrainableModel } from "../../../plugins/model/encoder.ts"
import { gradientsOf } from "../../../plugins/model/gradients.ts"
import { blocksOf, parametersOf } from "../../../plugins/model/parameters.ts"
import type { GradientsWanted } from "../../../plugins/model/view.ts"
import { onEveryDefinition } from "../../core/tensor/every-definition.ts"

const folder = join(import.meta.dir, "../../fixtures/bert-2x32")
const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"))

const lossOf =
  (model: TrainableModel) =>
  ({ sequences, labels }: Split) =>
    tf.tidy(() => softmaxCrossEntropy(logitsOf(model, sequences), Int32Array.from(labels)))

onEveryDefinition("gradients", () => {
  let before: number
  beforeEach(() => {
    before = tf.memory().numTensors
  })
  afterEach(() => expect(tf.memory().numTensors).toBe(before))

  /** Calls `body` with the fixture's model and batch. */
  const onFixture = (body: (model: TrainableModel, examples: Split) => void) =>
    Effect.runPromise(
      Effect.scoped(
        Effect.map(openReference(folder), ({ model, batch, labels }) =>
          body(model, { sequences: batch, labels: Float64Array.from(labels) }),
        ),
      ),
    )
  const valuesOf = (model: TrainableModel, wanted: GradientsWanted) => {
    const gradients = gradientsOf({ parameters: model.parameters, lossOf: lossOf(model) }, wanted)
    const values = new Map([...gradients].map(([name, { shape }]) => [name, shape] as const))
    const numbers = new Map([...gradients].map(([name, tensor]) => [name, [...tensor.dataSync()]] as const))
    disposeGradients(gradients)
    return { shapes: values, numbers }
  }

  test("of a batch have the norms that PyTorch gives", () =>
    onFixture((model, examples) => {
      const { shapes, numbers } = valuesOf(model, { examples, per: "batch" })
      expect([...shapes.keys()]).toEqual([...model.parameters.names])
      const whole = Math.hypot(...(Object.values(expected.grad_norm) as number[]))
      for (const [name, values] of numbers) {
        expect(shapes.get(name)).toEqual(model.parameters.get(name).shape)
        const norm = Math.hypot(...values)
        expect(Math.abs(norm - expected.grad_norm[name])).toBeLessThan(1e-4 * whole)
      }
    }))

  test("per sample have the Gram matrices that PyTorch gives, block by block", () =>
    onFixture((model, examples) => {
      const n = examples.labels.length
      for (const [block, names] of blocksOf(parametersOf(model.config, ["pooler", "classifier"]))) {
        const { shapes, numbers } = valuesOf(model, { examples, per: "sample", parameters: names })
        for (const name of names) expect(shapes.get(name)).toEqual([n, ...model.parameters.get(name).shape])
        const vectors = Array.from({ length: n }, (_, i) =>
          names.flatMap((name) => {
            const values = numbers.get(name)!
            return values.slice((i * values.length) / n, ((i + 1) * values.length) / n)
          }),
        )
        const gram: number[][] = expected.fisher[block].gram
        const largest = Math.max(...gram.flat().map(Math.abs))
        for (const [i, left] of vectors.entries()) {
          for (const [j, right] of vectors.entries()) {
            const product = left.reduce((sum, x, k) => sum + x * right[k]!, 0)
            expect(Math.abs(product - gram[i]![j]!)).toBeLessThan(1e-4 * largest)
          }
        }
      }
    }))

  test("per sample are those of each example's own loss, and their mean is that of the batch", () =>
    onFixture((model, examples) => {
      const parameters = ["classifier.weight", "bert.encoder.layer.0.output.LayerNorm.bias"]
      const few = selectExamples(examples, Int32Array.of(2, 0, 3))
      const all = valuesOf(model, { examples: few, per: "sample", parameters }).numbers
      const whole = valuesOf(model, { examples: few, per: "batch", parameters }).numbers
      for (const name of parameters) {
        const size = model.parameters.get(name).size
        for (let n = 0; n < 3; n++) {
          const one = selectExamples(few, Int32Array.of(n))
          const alone = valuesOf(model, { examples: one, per: "batch", parameters }).numbers.get(name)!
          for (const [k, x] of alone.entries()) expect(all.get(name)![n * size + k]!).toBeCloseTo(x, 5)
        }
        for (const [k, x] of whole.get(name)!.entries()) {
          const mean = [0, 1, 2].reduce((sum, n) => sum + all.get(name)![n * size + k]! / 3, 0)
          expect(x).toBeCloseTo(mean, 5)
        }
      }
    }))

  test("belong to the caller's tidy, of which none is left", () =>
    onFixture((model, examples) => {
      const { numTensors } = tf.memory()
      for (const per of ["batch", "sample"] as const) {
        tf.tidy(() => {
          gradientsOf(
            { parameters: model.parameters, lossOf: lossOf(model) },
            { examples, per, parameters: ["classifier.bias"] },
          )
        })
        expect(tf.memory().numTensors).toBe(numTensors)
      }
    }))

  const oneLayer = () => {
    const parameters = new Parameters()
    parameters.set("layer.weight", tf.tensor2d([1, 2, 3, 4], [2, 2]))
    parameters.set("layer.bias", tf.tensor1d([0.5, -0.5]))
    const x = tf.tensor2d([1, 0, 2, 1], [2, 2])
    const apply = (y: tf.Tensor2D, name?: string) =>
      linear(y, parameters.get("layer.weight"), parameters.get("layer.bias"), name)
    const sequences = {
      ids: Int32Array.of(0, 1),
      tokenTypeIds: Int32Array.of(0, 0),
      offsets: Int32Array.of(0, 1, 2),
    }
    const examples: Split = { sequences, labels: Float64Array.of(0, 0) }
    const dispose = () => {
      x.dispose()
      parameters.dispose()
    }
    return { parameters, x, apply, examples, dispose }
  }

  test("of a parameter of two ops are the sum of both", () => {
    const { parameters, x, apply, examples, dispose } = oneLayer()
    const twice = () => tf.mean<tf.Scalar>(tf.sum(apply(apply(x, "layer"), "layer"), 1))
    const names = { examples, parameters: ["layer.weight", "layer.bias"] }
    const batch = gradientsOf({ parameters, lossOf: twice }, { ...names, per: "batch" })
    const samples = gradientsOf({ parameters, lossOf: twice }, { ...names, per: "sample" })
    for (const [name, gradient] of batch) {
      const mean = tf.tidy(() => [...tf.mean(samples.get(name)!, 0).dataSync()])
      for (const [k, value] of gradient.dataSync().entries()) expect(mean[k]!).toBeCloseTo(value, 5)
    }
    disposeGradients(batch)
    disposeGradients(samples)
    dispose()
  })

  test("of a parameter that does not exist, or whose op has no name, are refused", () => {
    const { parameters, x, apply, examples, dispose } = oneLayer()
    const unnamed = { parameters, lossOf: () => tf.mean<tf.Scalar>(apply(x)) }
    expect(() => gradientsOf(unnamed, { examples, per: "batch", parameters: ["absent"] })).toThrow(
      "there is no parameter absent",
    )
    expect(() => gradientsOf(unnamed, { examples, per: "sample" })).toThrow(
      "no op reports the parameters layer.weight, layer.bias to a tap",
    )
    dispose()
  })
})
