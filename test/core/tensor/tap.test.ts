import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { hostKernels } from "../../../core/tensor/host/kernels.ts"
import { registerKernels } from "../../../core/tensor/kernels.ts"
import { embedding } from "../../../core/tensor/ops/embedding.ts"
import { layerNorm } from "../../../core/tensor/ops/layer-norm.ts"
import { linear } from "../../../core/tensor/ops/linear.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { disposeGradients, Parameters, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { backwardThroughTap, currentTap, type Tapped, withTap } from "../../../core/tensor/tap.ts"
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
  test("hears what every parameter gradient follows from, with and without those being computed", () => {
    const before = tf.memory().numTensors
    const { parameters, loss } = model()
    const plain = valueAndGradients(loss, parameters)

    const during = new Map<string, number[]>()
    const names: string[] = []
    const receive = (tapped: Tapped) => {
      names.push(tapped.name)
      follow(tapped, during)
    }
    const tapped = withTap({ receive, parameterGradients: true }, () => valueAndGradients(loss, parameters))
    expect(names).toEqual(["linear", "norm", "embedding"])
    const alone = new Map<string, number[]>()
    const value = backwardThroughTap(loss, (tapped) => follow(tapped, alone))

    expect(value).toBe(plain.value.dataSync()[0]!)
    for (const name of parameters.names) {
      const expected = [...plain.gradients.get(name)!.dataSync()]
      expect([...tapped.gradients.get(name)!.dataSync()]).toEqual(expected)
      for (const found of [during.get(name)!, alone.get(name)!]) {
        expect(found.length).toBe(expected.length)
        for (const [index, number] of found.entries()) expect(number).toBeCloseTo(expected[index]!, 6)
      }
    }
    for (const { value, gradients } of [plain, tapped]) {
      value.dispose()
      disposeGradients(gradients)
    }
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("an op without a name is not heard of", () => {
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

  test("a body that throws leaves no tap and no tensor", () => {
    const before = tf.memory().numTensors
    const tap = { receive: () => {}, parameterGradients: false }
    const fails = () => {
      expect(currentTap()).toBeDefined()
      throw new Error("no")
    }
    expect(() => withTap(tap, fails)).toThrow("no")
    expect(() => backwardThroughTap(fails, () => {})).toThrow("no")
    expect(currentTap()).toBeUndefined()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("gradients with respect to hidden states pass a tap that wants no parameter gradients", () => {
    const { parameters } = model()
    const x = Parameters.fromHost([["x", { shape: [4, 3], values: noise(6, 12) }]])
    const loss = () =>
      softmaxCrossEntropy(
        linear(x.get("x"), parameters.get("weight"), parameters.get("bias"), "head"),
        labels,
      )
    const plain = valueAndGradients(loss, x)
    const tapped = withTap({ receive: () => {}, parameterGradients: false }, () => valueAndGradients(loss, x))
    expect(tapped.gradients.get("x")!.dataSync()).toEqual(plain.gradients.get("x")!.dataSync())
    for (const { value, gradients } of [plain, tapped]) {
      value.dispose()
      disposeGradients(gradients)
    }
    for (const set of [parameters, x]) set.dispose()
  })
})

test("a tap alone has no parameter gradient computed", async () => {
  await Effect.runPromise(startBackend(wasm))
  const { parameters, loss } = model()
  const refuse = () => {
    throw new Error("a parameter gradient was computed")
  }
  const refusing = { sumRows: refuse, layerNormParameterGradients: refuse, scatterAddRows: refuse }
  registerKernels("wasm", { ...hostKernels, ...refusing })
  try {
    expect(() => valueAndGradients(loss, parameters)).toThrow("a parameter gradient was computed")
    expect(backwardThroughTap(loss, () => {})).toBeGreaterThan(0)
  } finally {
    registerKernels("wasm", hostKernels)
    parameters.dispose()
  }
})
