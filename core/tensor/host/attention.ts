import * as tf from "@tensorflow/tfjs-core"
import { exp } from "../elementary.ts"
import { implement } from "../kernel.ts"
import { attentionGradientKernel, attentionKernel, attentionMask, type Packing } from "../ops/attention.ts"
import { allocate, view } from "./memory.ts"

/** One head of one sequence: its tokens and queries are rows of [T, H] and [R, H], its scores a matrix in [P]. */
interface Block {
  readonly token: number
  readonly query: number
  /** The head's first feature. */
  readonly feature: number
  readonly score: number
}

/** Blocks of the same shape, multiplied in one batched product: [B, queries, d] by [B, d, L]. */
interface Batch {
  readonly length: number
  readonly queries: number
  readonly blocks: readonly Block[]
}

/**
 * From this many multiplications in a product, tfjs's wasm backend is faster with one product at a time: a single one
 * goes to XNNPACK (up to 35 GFLOP/s, after some microseconds of preparation), a batch to plain loops (3 GFLOP/s).
 */
const worthItsOwnProduct = 16_384

const batchesOf = ({ heads, sequences }: Packing, d: number): readonly Batch[] => {
  const byShape = new Map<string, Batch & { readonly blocks: Block[] }>()
  for (const { length, token, queries, query, score } of sequences) {
    if (queries === 0) continue
    const shape = `${length} ${queries}`
    const batch = byShape.get(shape) ?? { length, queries, blocks: [] }
    byShape.set(shape, batch)
    for (let head = 0; head < heads; head++) {
      batch.blocks.push({ token, query, feature: head * d, score: score + head * queries * length })
    }
  }
  const batches: Batch[] = []
  for (const batch of byShape.values()) {
    const { length, queries, blocks } = batch
    if (length * queries * d < worthItsOwnProduct) batches.push(batch)
    else for (const block of blocks) batches.push({ length, queries, blocks: [block] })
  }
  return batches
}

/** Which rows of a matrix belong to a block: those of its tokens or of its queries. */
type Rows = "token" | "query"
const lengthOf = (batch: Batch, rows: Rows): number => (rows === "token" ? batch.length : batch.queries)

/** Copies the batch's matrices from [T, H] or [R, H] to [B, L, d]. */
const take = (x_TH: tf.Tensor2D, batch: Batch, rows: Rows, d: number): tf.Tensor3D => {
  const { blocks } = batch
  const length = lengthOf(batch, rows)
  const hidden = x_TH.shape[1]
  const out_BLd = allocate<tf.Tensor3D>([blocks.length, length, d])
  const x = view(x_TH)
  const out = view(out_BLd)
  let index = 0
  for (const { [rows]: first, feature } of blocks) {
    for (let row = 0; row < length; row++) {
      const start = (first + row) * hidden + feature
      for (let column = 0; column < d; column++) out[index++] = x[start + column]!
    }
  }
  return out_BLd
}

/** The same for the tokens, transposed: [B, d, L]. */
const takeTransposed = (x_TH: tf.Tensor2D, { length, blocks }: Batch, d: number): tf.Tensor3D => {
  const hidden = x_TH.shape[1]
  const out_BdL = allocate<tf.Tensor3D>([blocks.length, d, length])
  const x = view(x_TH)
  const out = view(out_BdL)
  let base = 0
  for (const { token, feature } of blocks) {
    for (let row = 0; row < length; row++) {
      const start = (token + row) * hidden + feature
      for (let column = 0; column < d; column++) out[base + column * length + row] = x[start + column]!
    }
    base += d * length
  }
  return out_BdL
}

/** Copies [B, L, d] to the batch's rows of [T, H] or [R, H]. */
const put = (x_BLd: tf.Tensor3D, batch: Batch, rows: Rows, out_TH: tf.Tensor2D): void => {
  const { blocks } = batch
  const length = lengthOf(batch, rows)
  const hidden = out_TH.shape[1]
  const d = x_BLd.shape[2]
  const x = view(x_BLd)
  const out = view(out_TH)
  let index = 0
  for (const { [rows]: first, feature } of blocks) {
    for (let row = 0; row < length; row++) {
      const start = (first + row) * hidden + feature
      for (let column = 0; column < d; column++) out[start + column] = x[index++]!
    }
  }
}

/** Writes the probabilities to [P], and overwrites the scores with the probabilities after dropout. */
const softmaxAndDrop = (
  scores_BRL: tf.Tensor3D,
  { length, queries, blocks }: Batch,
  scale: number,
  probabilities_P: tf.Tensor1D,
  mask_P: tf.Tensor1D | undefined,
): void => {
  const scores = view(scores_BRL)
  const probabilities = view(probabilities_P)
  const mask = mask_P && view(mask_P)
  let row = 0
  for (const { score } of blocks) {
    for (let flat = score; flat < score + queries * length; flat += length, row += length) {
      let largest = scores[row]!
      for (let j = 1; j < length; j++) largest = Math.max(largest, scores[row + j]!)
      let sum = 0
      for (let j = 0; j < length; j++) {
        const exponential = exp((scores[row + j]! - largest) * scale)
        scores[row + j] = exponential
        sum += exponential
      }
      const inverseSum = 1 / sum
      for (let j = 0; j < length; j++) {
        const p = scores[row + j]! * inverseSum
        probabilities[flat + j] = p
        scores[row + j] = mask === undefined ? p : p * mask[flat + j]!
      }
    }
  }
}

const attention = implement(attentionKernel, (q_RH, k_TH, v_TH, packing, dropout) => {
  const d = q_RH.shape[1] / packing.heads
  const scale = 1 / Math.sqrt(d)
  const mask = dropout && attentionMask(packing, dropout)
  const y_RH = allocate<tf.Tensor2D>([...q_RH.shape])
  const probabilities = allocate<tf.Tensor1D>([packing.scores])
  for (const batch of batchesOf(packing, d)) {
    tf.tidy(() => {
      const scores_BRL = tf.matMul<tf.Tensor3D>(take(q_RH, batch, "query", d), takeTransposed(k_TH, batch, d))
      softmaxAndDrop(scores_BRL, batch, scale, probabilities, mask)
      put(tf.matMul<tf.Tensor3D>(scores_BRL, take(v_TH, batch, "token", d)), batch, "query", y_RH)
    })
  }
  return { y_RH, saved: { probabilities, mask } }
})

/**
 * Overwrites the gradient of the probabilities after dropout with that of the scores,
 * dS = p · (dp − Σⱼ dp · p) · scale, and returns the transposes of dS and of the probabilities after dropout.
 */
const scoreGradients = (
  dDropped_BRL: tf.Tensor3D,
  { length, queries, blocks }: Batch,
  scale: number,
  probabilities_P: tf.Tensor1D,
  mask_P: tf.Tensor1D | undefined,
): { readonly dScoresT_BLR: tf.Tensor3D; readonly droppedT_BLR: tf.Tensor3D } => {
  const shape = [blocks.length, length, queries]
  const result = {
    dScoresT_BLR: allocate<tf.Tensor3D>(shape),
    droppedT_BLR: allocate<tf.Tensor3D>(shape),
  }
  const gradient = view(dDropped_BRL)
  const probabilities = view(probabilities_P)
  const mask = mask_P && view(mask_P)
  const dScoresT = view(result.dScoresT_BLR)
  const droppedT = view(result.droppedT_BLR)
  let base = 0
  for (const { score } of blocks) {
    for (let i = 0; i < queries; i++) {
      const row = base + i * length
      const flat = score + i * length
      let along = 0
      for (let j = 0; j < length; j++) {
        const p = probabilities[flat + j]!
        const kept = mask === undefined ? 1 : mask[flat + j]!
        const dp = gradient[row + j]! * kept
        gradient[row + j] = dp
        droppedT[base + j * queries + i] = p * kept
        along += dp * p
      }
      for (let j = 0; j < length; j++) {
        const dScore = probabilities[flat + j]! * (gradient[row + j]! - along) * scale
        gradient[row + j] = dScore
        dScoresT[base + j * queries + i] = dScore
      }
    }
    base += queries * length
  }
  return result
}

const attentionGradient = implement(
  attentionGradientKernel,
  (dy_RH, q_RH, k_TH, v_TH, { probabilities, mask }, packing) => {
    const d = q_RH.shape[1] / packing.heads
    const scale = 1 / Math.sqrt(d)
    const gradients = {
      dq_RH: allocate<tf.Tensor2D>([...q_RH.shape]),
      dk_TH: allocate<tf.Tensor2D>([...k_TH.shape]),
      dv_TH: allocate<tf.Tensor2D>([...k_TH.shape]),
    }
    if (packing.sequences.some(({ queries }) => queries === 0)) {
      // The keys and values of a sequence without queries have a zero gradient.
      view(gradients.dk_TH).fill(0)
      view(gradients.dv_TH).fill(0)
    }
    for (const batch of batchesOf(packing, d)) {
      tf.tidy(() => {
        const dy_BRd = take(dy_RH, batch, "query", d)
        const dScores_BRL = tf.matMul<tf.Tensor3D>(dy_BRd, takeTransposed(v_TH, batch, d))
        const { dScoresT_BLR, droppedT_BLR } = scoreGradients(dScores_BRL, batch, scale, probabilities, mask)
        const dq_BRd = tf.matMul<tf.Tensor3D>(dScores_BRL, take(k_TH, batch, "token", d))
        put(dq_BRd, batch, "query", gradients.dq_RH)
        const dk_BLd = tf.matMul<tf.Tensor3D>(dScoresT_BLR, take(q_RH, batch, "query", d))
        put(dk_BLd, batch, "token", gradients.dk_TH)
        put(tf.matMul<tf.Tensor3D>(droppedT_BLR, dy_BRd), batch, "token", gradients.dv_TH)
      })
    }
    return gradients
  },
)

export const attentionImplementations = [attention, attentionGradient]
