/**
 * Gradients of a loss that is a mean over examples, for a whole batch or for each example. Shapes: N samples, T tokens
 * of all samples, I inputs, O outputs, H features, V rows of a table.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Split } from "../../core/artifacts/examples.ts"
import { gatherRows, scatterAddRowsKernel } from "../../core/tensor/ops/rows.ts"
import { sumRowsKernel } from "../../core/tensor/ops/sum-rows.ts"
import { transposeKernel } from "../../core/tensor/ops/transpose.ts"
import {
  disposeGradients,
  type Gradients,
  type ReadonlyParameters,
  valueAndGradients,
} from "../../core/tensor/parameters.ts"
import { backwardThroughTap, type Tapped } from "../../core/tensor/tap.ts"
import type { GradientsWanted } from "./view.ts"

export interface Differentiated {
  readonly parameters: ReadonlyParameters
  /** The mean loss of the examples, under the tape. */
  readonly lossOf: (examples: Split) => tf.Scalar
}

/** The gradient of what an op gives, with a row for each token or for each sample. */
const outputGradientOf = (tapped: Tapped): tf.Tensor2D =>
  tapped.op === "linear" ? tapped.outputGradient_TO : tapped.outputGradient_TH

/**
 * Where each sample's rows start in the tensors of a tapped op: [N + 1]. The output heads, and a last layer of which
 * only some tokens are read, have one row for each sample; everything below has one for each token.
 *
 * @param offsets [N + 1], where each sample's tokens start
 */
export const rowOffsetsOf = (tapped: Tapped, offsets: Int32Array): Int32Array =>
  outputGradientOf(tapped).shape[0] === offsets.at(-1) ? offsets : Int32Array.from(offsets, (_, n) => n)

/**
 * The gradients that are wanted, which the caller disposes of. A parameter that the loss does not depend on has none.
 *
 * @throws RangeError if there is no parameter of a wanted name, or no example
 * @throws Error if no named op has a parameter whose gradients are wanted per sample
 */
export const gradientsOf = (
  differentiated: Differentiated,
  { examples, per, parameters: names = differentiated.parameters.names }: GradientsWanted,
): Gradients => {
  for (const name of names) differentiated.parameters.get(name)
  const gradients =
    per === "sample" ? bySample(differentiated, examples, names) : ofBatch(differentiated, examples, names)
  // These are kept from every tidy. Their clones, which share the memory, belong to the caller's.
  const given = new Map([...gradients].map(([name, gradient]) => [name, gradient.clone()] as const))
  disposeGradients(gradients)
  return given
}

const ofBatch = (
  { parameters, lossOf }: Differentiated,
  examples: Split,
  names: readonly string[],
): Gradients => {
  const { value, gradients } = valueAndGradients(() => lossOf(examples), parameters, names)
  value.dispose()
  return gradients
}

/**
 * Without dropout no example affects another, so the gradient of the summed loss flows back through each example's rows
 * as that of its own loss.
 */
const bySample = (
  { parameters, lossOf }: Differentiated,
  examples: Split,
  names: readonly string[],
): Gradients => {
  const wanted = new Set(names)
  const gradients = new Map<string, tf.Tensor>()
  backwardThroughTap(
    () => tf.mul(lossOf(examples), examples.labels.length),
    (tapped) => {
      const offsets = rowOffsetsOf(tapped, examples.sequences.offsets)
      for (const [part, gradientFrom] of Object.entries(partsOf(tapped, parameters))) {
        const name = `${tapped.name}.${part}`
        if (!wanted.has(name)) continue
        const before = gradients.get(name)
        const stacked = tf.tidy(() => {
          const samples = Array.from({ length: offsets.length - 1 }, (_, n) => {
            const first = offsets[n]!
            const rows = Int32Array.from({ length: offsets[n + 1]! - first }, (_, row) => first + row)
            return tf.tidy(() => gradientFrom(rows))
          })
          const all = tf.stack(samples)
          // Two ops may share a parameter.
          return before === undefined ? all : tf.add(before, all)
        })
        before?.dispose()
        gradients.set(name, tf.keep(stacked))
      }
    },
  )
  const missing = names.filter((name) => !gradients.has(name))
  if (missing.length > 0) {
    disposeGradients(gradients)
    throw new Error(`no op reports the parameters ${missing.join(", ")} to a tap`)
  }
  return gradients
}

/** For each parameter of an op, its gradient from some rows of the tapped tensors. */
const partsOf = (
  tapped: Tapped,
  parameters: ReadonlyParameters,
): Readonly<Record<string, (rows: Int32Array) => tf.Tensor>> => {
  const gradient = outputGradientOf(tapped)
  const bias = (rows: Int32Array) => sumRowsKernel(gatherRows(gradient, rows))
  switch (tapped.op) {
    case "linear":
      return {
        weight: (rows) =>
          tf.matMul(transposeKernel(gatherRows(gradient, rows)), gatherRows(tapped.input_TI, rows)),
        bias,
      }
    case "layerNorm":
      return {
        weight: (rows) =>
          sumRowsKernel(tf.mul(gatherRows(gradient, rows), gatherRows(tapped.normalised_TH, rows))),
        bias,
      }
    case "embedding": {
      const [tableRows = 0] = parameters.get(`${tapped.name}.weight`).shape
      return {
        weight: (rows) =>
          scatterAddRowsKernel(
            gatherRows(gradient, rows),
            Int32Array.from(rows, (row) => tapped.ids_T[row]!),
            tableRows,
          ),
      }
    }
  }
}
