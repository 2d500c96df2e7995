import * as tf from "@tensorflow/tfjs-core"
import type { Kernels, Packing } from "../kernels.ts"
import { allocate, view } from "./memory.ts"

/** One head of one sequence: an L x d matrix in [T, H], and an L x L matrix in [P]. */
interface Block {
  readonly token: number
  /** The head's first feature. */
  readonly feature: number
  readonly probability: number
}

/** Blocks of the same length that one product serves: [B, L, d] by [B, d, L]. */
interface Batch {
  readonly length: number
  readonly blocks: readonly Block[]
}

/**
 * Multiplications in a product from which tfjs's wasm backend is faster with one product at a time: a single one goes
 * to XNNPACK (up to 35 GFLOP/s, after some microseconds of preparation), a batch to plain loops (3 GFLOP/s).
 */
const worthItsOwnProduct = 16_384

const batchesOf = ({ heads, sequences }: Packing, d: number): readonly Batch[] => {
  const byLength = new Map<number, Block[]>()
  for (const { length, token, probability } of sequences) {
    const blocks = byLength.get(length) ?? []
    byLength.set(length, blocks)
    for (let head = 0; head < heads; head++) {
      blocks.push({ token, feature: head * d, probability: probability + head * length * length })
    }
  }
  const batches: Batch[] = []
  for (const [length, blocks] of byLength) {
    if (length * length * d < worthItsOwnProduct) batches.push({ length, blocks })
    else for (const block of blocks) batches.push({ length, blocks: [block] })
  }
  return batches
}

/** The batch's matrices out of [T, H], as [B, L, d]. */
const take = (x_TH: tf.Tensor2D, { length, blocks }: Batch, d: number): tf.Tensor3D => {
  const hidden = x_TH.shape[1]
  const out_BLd = allocate<tf.Tensor3D>([blocks.length, length, d])
  const x = view(x_TH)
  const out = view(out_BLd)
  let index = 0
  for (const { token, feature } of blocks) {
    for (let row = 0; row < length; row++) {
      const start = (token + row) * hidden + feature
      for (let column = 0; column < d; column++) out[index++] = x[start + column]!
    }
  }
  return out_BLd
}

/** The same, transposed: [B, d, L]. */
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

/** Puts [B, L, d] to its places in [T, H]. */
const put = (x_BLd: tf.Tensor3D, { length, blocks }: Batch, out_TH: tf.Tensor2D): void => {
  const hidden = out_TH.shape[1]
  const d = x_BLd.shape[2]
  const x = view(x_BLd)
  const out = view(out_TH)
  let index = 0
  for (const { token, feature } of blocks) {
    for (let row = 0; row < length; row++) {
      const start = (token + row) * hidden + feature
      for (let column = 0; column < d; column++) out[start + column] = x[index++]!
    }
  }
}

/** Turns scores into probabilities, which go to [P]; the scores' own memory gets them after dropout. */
const softmaxAndDrop = (
  scores_BLL: tf.Tensor3D,
  { length, blocks }: Batch,
  scale: number,
  probabilities_P: tf.Tensor1D,
  mask_P: tf.Tensor1D | undefined,
): void => {
  const scores = view(scores_BLL)
  const probabilities = view(probabilities_P)
  const mask = mask_P && view(mask_P)
  let row = 0
  for (const { probability } of blocks) {
    for (let flat = probability; flat < probability + length * length; flat += length, row += length) {
      let largest = scores[row]!
      for (let j = 1; j < length; j++) largest = Math.max(largest, scores[row + j]!)
      let sum = 0
      for (let j = 0; j < length; j++) {
        const exponential = Math.exp((scores[row + j]! - largest) * scale)
        scores[row + j] = exponential
        sum += exponential
      }
      const inverse = 1 / sum
      for (let j = 0; j < length; j++) {
        const p = scores[row + j]! * inverse
        probabilities[flat + j] = p
        scores[row + j] = mask === undefined ? p : p * mask[flat + j]!
      }
    }
  }
}

export const attention: Kernels["attention"] = (q_TH, k_TH, v_TH, packing, mask_P) => {
  const d = q_TH.shape[1] / packing.heads
  const scale = 1 / Math.sqrt(d)
  const y_TH = allocate<tf.Tensor2D>([...q_TH.shape])
  const probabilities_P = allocate<tf.Tensor1D>([packing.probabilities])
  for (const batch of batchesOf(packing, d)) {
    tf.tidy(() => {
      const scores_BLL = tf.matMul<tf.Tensor3D>(take(q_TH, batch, d), takeTransposed(k_TH, batch, d))
      softmaxAndDrop(scores_BLL, batch, scale, probabilities_P, mask_P)
      put(tf.matMul<tf.Tensor3D>(scores_BLL, take(v_TH, batch, d)), batch, y_TH)
    })
  }
  return { y_TH, probabilities_P }
}

/**
 * From the gradient of the dropped probabilities, which is overwritten by that of the scores:
 * dS = p · (dp − Σⱼ dp · p) · scale. Also the transposes of dS and of the dropped probabilities.
 */
const scoreGradients = (
  dDropped_BLL: tf.Tensor3D,
  { length, blocks }: Batch,
  scale: number,
  probabilities_P: tf.Tensor1D,
  mask_P: tf.Tensor1D | undefined,
): { readonly dScoresT_BLL: tf.Tensor3D; readonly droppedT_BLL: tf.Tensor3D } => {
  const result = {
    dScoresT_BLL: allocate<tf.Tensor3D>(dDropped_BLL.shape),
    droppedT_BLL: allocate<tf.Tensor3D>(dDropped_BLL.shape),
  }
  const gradient = view(dDropped_BLL)
  const probabilities = view(probabilities_P)
  const mask = mask_P && view(mask_P)
  const dScoresT = view(result.dScoresT_BLL)
  const droppedT = view(result.droppedT_BLL)
  let base = 0
  for (const { probability } of blocks) {
    for (let i = 0; i < length; i++) {
      const row = base + i * length
      const flat = probability + i * length
      let along = 0
      for (let j = 0; j < length; j++) {
        const p = probabilities[flat + j]!
        const kept = mask === undefined ? 1 : mask[flat + j]!
        const dp = gradient[row + j]! * kept
        gradient[row + j] = dp
        droppedT[base + j * length + i] = p * kept
        along += dp * p
      }
      for (let j = 0; j < length; j++) {
        const dScore = probabilities[flat + j]! * (gradient[row + j]! - along) * scale
        gradient[row + j] = dScore
        dScoresT[base + j * length + i] = dScore
      }
    }
    base += length * length
  }
  return result
}

export const attentionGradient: Kernels["attentionGradient"] = (
  dy_TH,
  q_TH,
  k_TH,
  v_TH,
  probabilities_P,
  packing,
  mask_P,
) => {
  const d = q_TH.shape[1] / packing.heads
  const scale = 1 / Math.sqrt(d)
  const gradients = {
    dq_TH: allocate<tf.Tensor2D>([...q_TH.shape]),
    dk_TH: allocate<tf.Tensor2D>([...q_TH.shape]),
    dv_TH: allocate<tf.Tensor2D>([...q_TH.shape]),
  }
  for (const batch of batchesOf(packing, d)) {
    tf.tidy(() => {
      const dy_BLd = take(dy_TH, batch, d)
      const dScores_BLL = tf.matMul<tf.Tensor3D>(dy_BLd, takeTransposed(v_TH, batch, d))
      const transposed = scoreGradients(dScores_BLL, batch, scale, probabilities_P, mask_P)
      put(tf.matMul<tf.Tensor3D>(dScores_BLL, take(k_TH, batch, d)), batch, gradients.dq_TH)
      put(tf.matMul<tf.Tensor3D>(transposed.dScoresT_BLL, take(q_TH, batch, d)), batch, gradients.dk_TH)
      put(tf.matMul<tf.Tensor3D>(transposed.droppedT_BLL, dy_BLd), batch, gradients.dv_TH)
    })
  }
  return gradients
}
