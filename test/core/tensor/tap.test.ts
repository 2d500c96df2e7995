import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { hostKernels } from "../../../core/tensor/host/kernels.ts"
import { implement, registerKernels } from "../../../core/tensor/kernel.ts"
import { embedding } from "../../../core/tensor/ops/embedding.ts"
import { layerNorm, layerNormParameterGradientsKernel } from "../../../core/tensor/ops/layer-norm.ts"
import { linear } from "../../../core/tensor/ops/linear.ts"
import { scatterAddRowsKernel } from "../../../core/tensor/ops/rows.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { sumRowsKernel } from "../../../core/tensor/ops/sum-rows.ts"
import { disposeGradients, Parameters, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { backwardThroughTap, currentTap, type Tapped } from "../../../core/tensor/tap.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { noise } from "./against-float64.ts"
import { onEveryDefinition } from "./every-definition.ts"

const ids = new Int32Array([2, 0, 2, 4])
const labels = new Int32Array([0, 1, 1, 0])

const model = () => {
  const parameters = Parameters.fromHost([
    ["table", { shape: [5, 3], values: noise(1, 15) }],
    ["gamma", { shape: [3], values: noise(2, 3) }],
    ["beta", { shape: [3], values: noise(3, 3) }],
    ["weight", { shape: [2, 3], values: noise(4, 6) }],
    ["bias", { shape: [2], values: noise(5, 2) }],
  ])
  const loss = () => {
    const x = embedding(parameters.get("table"), ids, "embedding")
    const y = layerNorm(x, parameters.get("gamma"), parameters.get("beta"), 1e-3, "norm")
    return softmaxCrossEntropy(linear(y, parameters.get("weight"), parameters.get("bias"), "linear"), labels)
  }
  return { parameters, loss }
}

/** The gradients of the model's parameters that follow from what a tap receives. */
const follow = (tapped: Tapped, into: Map<string, number[]>) =>
  tf.tidy(() => {
    const read = (tensor: tf.Tensor) => [...tensor.dataSync()]
    switch (tapped.op) {
      case "linear":
        into.set("weight", read(tf.matMul(tapped.outputGradient_TO, tapped.input_TI, true)))
        into.set("bias", read(tf.sum(tapped.outputGradient_TO, 0)))
        break
      case "layerNorm":
        into.set("gamma", read(tf.sum(tf.mul(tapped.outputGradient_TH, tapped.normalised_TH), 0)))
        into.set("beta", read(tf.sum(tapped.outputGradient_TH, 0)))
        break
      case "embedding": {
        const dense = new Array<number>(15).fill(0)
        const dy = tapped.outputGradient_TH.dataSync()
        for (const [t, id] of tapped.ids_T.entries()) {
          for (let h = 0; h < 3; h++) dense[id * 3 + h]! += dy[t * 3 + h]!
        }
        into.set("table", dense)
      }
    }
  })

onEveryDefinition("tap", () => {
  test("receives what every parameter gradient follows from, last op first", () => {
    const before = tf.memory().numTensors
    const { parameters, loss } = model()
    const { value, gradients } = valueAndGradients(loss, parameters)

    const names: string[] = []
    const followed = new Map<string, number[]>()
    const nothing = backwardThroughTap(loss, (tapped) => {
      names.push(tapped.name)
      follow(tapped, followed)
    })
    expect(nothing).toBeUndefined()
    expect(names).toEqual(["linear", "norm", "embedding"])
    for (const name of parameters.names) {
      const expected = [...gradients.get(name)!.dataSync()]
      const found = followed.get(name)!
      expect(found.length).toBe(expected.length)
      for (const [index, number] of found.entries()) expect(number).toBeCloseTo(expected[index]!, 6)
    }
    value.dispose()
    disposeGradients(gradients)
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("does not receive an op without a name", () => {
    const { parameters } = model()
    const names: string[] = []
    backwardThroughTap(
      () => {
        const x = embedding(parameters.get("table"), ids)
        return softmaxCrossEntropy(
          linear(x, parameters.get("weight"), parameters.get("bias"), "head"),
          labels,
        )
      },
      ({ name }) => names.push(name),
    )
    expect(names).toEqual(["head"])
    parameters.dispose()
  })

  test("leaves no tap and no tensor if the output throws", () => {
    const before = tf.memory().numTensors
    const fails = () => {
      expect(currentTap()).toBeDefined()
      throw new Error("no")
    }
    expect(() => backwardThroughTap(fails, () => {})).toThrow("no")
    expect(currentTap()).toBeUndefined()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("gives the gradient with respect to an input, scaled by the output gradient", () => {
    const { parameters } = model()
    const x = Parameters.fromHost([["x", { shape: [4, 3], values: noise(6, 12) }]])
    const loss = () =>
      softmaxCrossEntropy(
        linear(x.get("x"), parameters.get("weight"), parameters.get("bias"), "head"),
        labels,
      )
    const { value, gradients } = valueAndGradients(loss, x)
    const before = tf.memory().numTensors
    const alone = backwardThroughTap(loss, () => {}, { input: x.get("x") })!
    const outputGradient = tf.scalar(2)
    const doubled = backwardThroughTap(loss, () => {}, { input: x.get("x"), outputGradient })!
    const expected = gradients.get("x")!.dataSync()
    expect(alone.dataSync()).toEqual(expected)
    expect(doubled.dataSync()).toEqual(expected.map((number) => 2 * number))
    tf.dispose([alone, doubled, outputGradient])
    expect(tf.memory().numTensors).toBe(before)
    value.dispose()
    disposeGradients(gradients)
    for (const set of [parameters, x]) set.dispose()
  })
})

test("under a tap no parameter gradient is computed", async () => {
  await Effect.runPromise(startBackend(wasm))
  const { parameters, loss } = model()
  const refuse = () => {
    throw new Error("a parameter gradient was computed")
  }
  const refusing = [
    implement(sumRowsKernel, refuse),
    implement(layerNormParameterGradientsKernel, refuse),
    implement(scatterAddRowsKernel, refuse),
  ]
  const others = hostKernels.filter(({ kernel }) => refusing.every((refused) => refused.kernel !== kernel))
  registerKernels("wasm", [...others, ...refusing])
  try {
    expect(() => valueAndGradients(loss, parameters)).toThrow("a parameter gradient was computed")
    const names: string[] = []
    backwardThroughTap(loss, ({ name }) => names.push(name))
    expect(names).toHaveLength(3)
  } finally {
    registerKernels("wasm", hostKernels)
    parameters.dispose()
  }
})
