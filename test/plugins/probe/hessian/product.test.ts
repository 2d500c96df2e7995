import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { wasm } from "../../../../plugins/backend/wasm.ts"
import { encode, type TrainableModel } from "../../../../plugins/model/encoder.ts"
import { classify, clsIndices } from "../../../../plugins/model/output-heads.ts"
import { hessianOf } from "../../../../plugins/probe/hessian/product.ts"
import { logLikelihood } from "../../../../plugins/probe/shared/likelihood.ts"
import { eigenvalues } from "../../../../plugins/probe/shared/spectrum.ts"
import { onEveryDefinition } from "../../../core/tensor/every-definition.ts"
import { expectedCurvature, fixtureBatch, fixtureModel, layersOf } from "../fixture-curvature.ts"
import { matrixOf } from "../matrices.ts"

const { sequences, labels } = fixtureBatch

const operatorOf = (model: TrainableModel, block: string) => {
  const layers = layersOf(model)
  const names = block === "encoder" ? [...layers.values()].flat() : layers.get(block)!
  const loss = (): tf.Scalar => {
    const cls_NH = encode(model, sequences, { indices: clsIndices(sequences.offsets) })
    return tf.mul(logLikelihood(classify(model, cls_NH), labels), -1 / labels.length)
  }
  return hessianOf(loss, model.parameters, names)
}

onEveryDefinition("products with the Hessian", () => {
  test.each(["layer.0", "layer.1", "encoder"])("of %s are those of PyTorch in float64", async (block) => {
    const before = tf.memory().numTensors
    const model = await fixtureModel()
    const { parameters: size, product } = expectedCurvature[block]!
    const found = operatorOf(model, block)(Float64Array.from({ length: size }, (_, i) => Math.cos(i)))
    const scale = Math.max(...product.map(Math.abs))
    for (const [i, expected] of product.entries()) {
      expect(Math.abs(found[i]! - expected) / scale).toBeLessThan(1e-5)
    }
    model.parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe("the eigenvalues of the Hessian from its products", () => {
  beforeAll(() => Effect.runPromise(startBackend(wasm)))
  test("are those of PyTorch in float64", async () => {
    const model = await fixtureModel()
    const { parameters: size, hessian } = expectedCurvature["layer.1"]!
    const operator = operatorOf(model, "layer.1")
    const columns = Array.from({ length: size }, (_, j) =>
      operator(Float64Array.from({ length: size }, (_, i) => (i === j ? 1 : 0))),
    )
    model.parameters.dispose()
    // Jacobi's method gives no negative ones: shifted, none is.
    const shift = 1
    const shifted = matrixOf(size, (i, j) => (columns[i]![j]! + columns[j]![i]!) / 2 + (i === j ? shift : 0))
    const found = eigenvalues(shifted, size)
    const scale = Math.max(...hessian.map(Math.abs))
    for (const [at, expected] of hessian.entries()) {
      expect(Math.abs(found[at]! - shift - expected) / scale).toBeLessThan(1e-5)
    }
  })
})
