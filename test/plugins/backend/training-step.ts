// Prints the results of a training step on the wasm backend, random numbers, and a digest of elementary functions and
// of figures that they enter. Runs in Bun and in Deno.

import { createHash } from "node:crypto"
import type * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"

await Effect.runPromise(startBackend(wasm))
const { adamw } = await import("../../../core/tensor/optimisers/adamw.ts")
const { initialState, updateParameters } = await import("../../../core/tensor/optimiser.ts")
const { dropout } = await import("../../../core/tensor/ops/dropout.ts")
const { globalNorm } = await import("../../../core/tensor/ops/global-norm.ts")
const { linearGelu } = await import("../../../core/tensor/ops/linear.ts")
const { softmaxCrossEntropy } = await import("../../../core/tensor/ops/softmax-cross-entropy.ts")
const { disposeGradients, Parameters, valueAndGradients } = await import("../../../core/tensor/parameters.ts")
const { cos, exp, log, sin } = await import("../../../core/tensor/elementary.ts")
const { entropyRank } = await import("../../../plugins/probe/shared/rank.ts")
const { polarOf } = await import("../../../plugins/probe/trajectory/polar.ts")
const { normal, stream } = await import("../../../core/tensor/stream.ts")

const values = (site: number, count: number) =>
  normal({ stream: stream(1, "head"), site, iteration: 0 }, count)
const parameters = Parameters.fromHost([
  ["x", { shape: [3, 8], values: values(0, 24) }],
  ["weight", { shape: [5, 8], values: values(1, 40) }],
  ["bias", { shape: [5], values: values(2, 5) }],
])
const draw = { stream: stream(1, "dropout"), site: 0, iteration: 1 }
const loss = () => {
  const x = dropout(parameters.get<tf.Tensor2D>("x"), { ...draw, rate: 0.1 })
  const logits = linearGelu(x, parameters.get("weight"), parameters.get("bias"))
  return softmaxCrossEntropy(logits, new Int32Array([0, 4, 2]))
}
const first = valueAndGradients(loss, parameters)
const optimiser = adamw({ biasCorrection: false })
const state = initialState(optimiser, parameters, parameters.names)
updateParameters(optimiser, parameters, first.gradients, state, {
  learningRate: () => 0.1,
  clipping: { norm: globalNorm(first.gradients), largestNorm: Number.POSITIVE_INFINITY },
  step: () => 1,
})
disposeGradients(first.gradients)
const { value, gradients } = valueAndGradients(loss, parameters)
const points = Float64Array.from(values(4, 30_000))
const elementary = new Float64Array([
  ...points.map((x) => exp(20 * x)),
  ...points.map((x) => log(Math.abs(x))),
  ...points.map((x) => sin(100 * x)),
  ...points.map((x) => cos(100 * x)),
  ...points.map((x) => polarOf({ own: 2, start: 3, along: x / 3 })?.phi ?? 0),
  ...points.map((_, i) => entropyRank(points.subarray(i, i + 16).map(Math.abs))),
])
console.log(
  JSON.stringify({
    loss: value.dataSync()[0],
    norm: globalNorm(gradients).dataSync()[0],
    numbers: [...values(3, 10_000)].slice(-50),
    elementary: createHash("sha256").update(elementary).digest("hex"),
  }),
)
