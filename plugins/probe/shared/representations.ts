/** The representations of sequences: what comes out of each block of a model, one vector for each sequence. */
import type * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import type { RunEstimate } from "../../../core/artifacts/run.ts"
import { countOf, type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { rows } from "../../../core/tensor/ops/rows.ts"
import { forwardCalls, forwardFlops, workloadOf } from "../../model/cost.ts"
import type { EncoderModel, ModelDropout } from "../../model/encoder.ts"
import { readHiddenStates } from "../../model/inspect.ts"
import { classifierFeatures, clsIndices } from "../../model/output-heads.ts"
import { predictionBatch } from "../../model/predict.ts"

/** What of a block's hidden states stands for a sequence: that of its first token, `[CLS]`, or the mean of all. */
export const Pooling = type("'cls' | 'mean'")
export type Pooling = typeof Pooling.infer

/** Each way of pooling once, `cls` by default. */
export const Poolings = Pooling.array()
  .atLeastLength(1)
  .narrow((values, context) => new Set(values).size === values.length || context.mustBe("different values"))
  .default(() => ["cls"])

/** The columns that say whose representation a row is about. */
export const representationColumns = {
  /** The block that gives it: embeddings, layer.0 and so on; or pooler, the input of the classifier. */
  block: "string",
  layer: "number.integer >= 0 | null",
  pooling: Pooling,
} as const

export interface Representation {
  readonly block: string
  /** From 0; null if the block is not a layer. */
  readonly layer: number | null
  readonly pooling: Pooling
  /** [N, H], row-major */
  readonly values: Float32Array
}

/** The vectors of a representation, [H] each. */
export const vectorsOf = (values: Float32Array, count: number): readonly Float32Array[] => {
  const hidden = values.length / count
  return Array.from({ length: count }, (_, n) => values.subarray(n * hidden, (n + 1) * hidden))
}

/** The names of the blocks whose outputs are read, by depth, from the embeddings up. */
const blockAt = (depth: number): string => (depth === 0 ? "embeddings" : `layer.${depth - 1}`)

/** In families whose classifier does not stand on the pooler, it is that classifier's own dense layer. */
export const pooler = "pooler"

/**
 * The representations of sequences, in order of depth. With `cls` among the poolings also what the classifier reads, as
 * the block `pooler`, if the model has its parameters.
 *
 * @param step the number of updates done, for the failure
 * @param dropout none if omitted; each row of each batch then has masks of its own, and batch b those of the iteration
 *   `dropout.iteration` + b
 * @throws UnitFailure `diverged` if one is not finite
 */
export const representationsOf = Effect.fnUntraced(function* (
  { model, step }: { readonly model: EncoderModel; readonly step: number },
  sequences: Sequences,
  poolings: readonly Pooling[],
  dropout?: ModelDropout,
) {
  const count = countOf(sequences)
  const { hidden, layers, layout } = model.config
  const hasFeatures = model.parameters.has(`${layout.classifier.dense}.weight`)
  const found = new Map<string, Representation>()
  const into = (block: string, layer: number | null, pooling: Pooling): Float32Array => {
    const key = `${block} ${pooling}`
    const known = found.get(key)
    if (known !== undefined) return known.values
    const values = new Float32Array(count * hidden)
    found.set(key, { block, layer, pooling, values })
    return values
  }
  for (let start = 0; start < count; start += predictionBatch) {
    const length = Math.min(predictionBatch, count - start)
    const batch = selectSequences(
      sequences,
      Int32Array.from({ length }, (_, n) => start + n),
    )
    const masks =
      dropout === undefined
        ? undefined
        : { ...dropout, iteration: dropout.iteration + start / predictionBatch }
    const read = (hidden_TH: tf.Tensor2D, depth: number) => {
      const layer = depth === 0 ? null : depth - 1
      for (const pooling of poolings) {
        const values = into(blockAt(depth), layer, pooling)
        if (pooling === "mean") {
          const states = hidden_TH.dataSync<"float32">()
          values.set(meansOf(states, batch.offsets, hidden), start * hidden)
          continue
        }
        const cls_NH = rows(hidden_TH, clsIndices(batch.offsets))
        values.set(cls_NH.dataSync<"float32">(), start * hidden)
        if (depth < layers || !hasFeatures) continue
        const features_NH = classifierFeatures(model, cls_NH, masks)
        into(pooler, null, pooling).set(features_NH.dataSync<"float32">(), start * hidden)
      }
    }
    readHiddenStates(model, batch, read, masks)
    yield* Effect.yieldNow
  }
  const unsound = [...found.values()].filter(({ values }) => !values.every(Number.isFinite))
  if (unsound.length > 0) {
    const blocks = [...new Set(unsound.map(({ block }) => block))].join(", ")
    const reason = `the representations of ${blocks} are not finite`
    return yield* new UnitFailure({ outcome: "diverged", reason, step })
  }
  return [...found.values()]
})

/** Each sequence's mean over its tokens, [N · H], summed in float64. */
const meansOf = (states_TH: Float32Array, offsets: Int32Array, hidden: number): Float64Array => {
  const means = new Float64Array((offsets.length - 1) * hidden)
  for (let n = 0; n + 1 < offsets.length; n++) {
    for (let t = offsets[n]!; t < offsets[n + 1]!; t++) {
      for (let h = 0; h < hidden; h++) means[n * hidden + h]! += states_TH[t * hidden + h]!
    }
    for (let h = 0; h < hidden; h++) means[n * hidden + h]! /= offsets[n + 1]! - offsets[n]!
  }
  return means
}

/** How many representations a sequence has. */
export const representationCount = ({ layers }: Pick<RunEstimate, "layers">, poolings: readonly Pooling[]) =>
  poolings.length * (layers + 1) + (poolings.includes("cls") ? 1 : 0)

/** The arithmetic and the calls of a pass, and the bytes that it holds beside the run's own. */
export const representationCost = (run: RunEstimate, sequences: number, poolings: readonly Pooling[]) => {
  const { hidden, intermediate, heads, tokensPerExample } = run
  const pooled = poolings.includes("cls") ? 2 * sequences * hidden ** 2 : 0
  const batch = workloadOf(Math.min(sequences, predictionBatch), tokensPerExample)
  return {
    flops: forwardFlops(run, [], workloadOf(sequences, tokensPerExample)) + pooled,
    calls: Math.ceil(sequences / predictionBatch) * forwardCalls(run),
    memory:
      Float32Array.BYTES_PER_ELEMENT *
      // Of one layer at a time; the representations of all blocks.
      (batch.tokens * (14 * hidden + 3 * intermediate) +
        2 * heads * batch.attended +
        representationCount(run, poolings) * sequences * hidden),
  }
}

/**
 * What a probe takes that has a row for each representation at each of its steps.
 *
 * @param sequences how many sequences it represents at a step
 */
export const representationEstimate = (
  run: RunEstimate,
  {
    steps,
    sequences,
    poolings,
    rowBytes,
  }: {
    readonly steps: number
    readonly sequences: number
    readonly poolings: readonly Pooling[]
    readonly rowBytes: number
  },
) => {
  const rows = steps * representationCount(run, poolings)
  const { flops, calls, memory } = representationCost(run, sequences, poolings)
  return {
    rows,
    cost: cost({
      flops: steps * flops,
      calls: steps * calls,
      memory,
      disk: rowBytes * rows,
      scratch: rowBytes * rows,
    }),
  }
}
