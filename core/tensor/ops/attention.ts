import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { type Kernels, kernel, type Packing } from "../kernels.ts"
import { type Dropout, dropoutMask } from "./dropout.ts"

interface Run {
  readonly count: number
  readonly length: number
  readonly token: number
  readonly probability: number
}

/** Neighbouring sequences of the same length, which one batched product serves. */
const runsOf = ({ sequences }: Packing): readonly Run[] => {
  const runs: Run[] = []
  for (const sequence of sequences) {
    const last = runs[runs.length - 1]
    if (last !== undefined && last.length === sequence.length) {
      runs[runs.length - 1] = { ...last, count: last.count + 1 }
    } else runs.push({ ...sequence, count: 1 })
  }
  return runs
}

/** The rows of a run, a matrix for each sequence and head: [count · heads, L, d], or [count · heads, d, L]. */
const splitHeads = (x_TH: tf.Tensor2D, run: Run, heads: number, layout: "Ld" | "dL"): tf.Tensor3D => {
  const { count, length, token } = run
  const hidden = x_TH.shape[1]
  const d = hidden / heads
  const split = tf.reshape(tf.slice(x_TH, [token, 0], [count * length, hidden]), [count, length, heads, d])
  return layout === "Ld"
    ? tf.reshape(tf.transpose(split, [0, 2, 1, 3]), [count * heads, length, d])
    : tf.reshape(tf.transpose(split, [0, 2, 3, 1]), [count * heads, d, length])
}

const joinHeads = (x_BLd: tf.Tensor3D, { count, length }: Run, heads: number): tf.Tensor2D => {
  const d = x_BLd.shape[2]
  const split = tf.transpose(tf.reshape(x_BLd, [count, heads, length, d]), [0, 2, 1, 3])
  return tf.reshape(split, [count * length, heads * d])
}

const square = (flat_P: tf.Tensor1D, { count, length, probability }: Run, heads: number): tf.Tensor3D =>
  tf.reshape(tf.slice(flat_P, probability, count * heads * length * length), [count * heads, length, length])

const transposeInner = (x_BLM: tf.Tensor3D): tf.Tensor3D => tf.transpose(x_BLM, [0, 2, 1])

export const referenceAttention: Kernels["attention"] = (q_TH, k_TH, v_TH, packing, mask_P) => {
  const { heads } = packing
  const scale = 1 / Math.sqrt(q_TH.shape[1] / heads)
  const outputs: tf.Tensor2D[] = []
  const probabilities: tf.Tensor1D[] = []
  for (const run of runsOf(packing)) {
    const scores_BLL = tf.matMul<tf.Tensor3D>(
      splitHeads(q_TH, run, heads, "Ld"),
      splitHeads(k_TH, run, heads, "dL"),
    )
    const p_BLL = tf.softmax<tf.Tensor3D>(tf.mul(scores_BLL, scale))
    const dropped_BLL: tf.Tensor3D = mask_P === undefined ? p_BLL : tf.mul(p_BLL, square(mask_P, run, heads))
    const y_BLd = tf.matMul<tf.Tensor3D>(dropped_BLL, splitHeads(v_TH, run, heads, "Ld"))
    outputs.push(joinHeads(y_BLd, run, heads))
    probabilities.push(tf.reshape(p_BLL, [p_BLL.size]))
  }
  return { y_TH: tf.concat(outputs, 0), probabilities_P: tf.concat(probabilities, 0) }
}

export const referenceAttentionGradient: Kernels["attentionGradient"] = (
  dy_TH,
  q_TH,
  k_TH,
  v_TH,
  probabilities_P,
  packing,
  mask_P,
) => {
  const { heads } = packing
  const scale = 1 / Math.sqrt(q_TH.shape[1] / heads)
  const gradients: { q: tf.Tensor2D[]; k: tf.Tensor2D[]; v: tf.Tensor2D[] } = { q: [], k: [], v: [] }
  for (const run of runsOf(packing)) {
    const p_BLL = square(probabilities_P, run, heads)
    const mask_BLL = mask_P === undefined ? undefined : square(mask_P, run, heads)
    const dropped_BLL: tf.Tensor3D = mask_BLL === undefined ? p_BLL : tf.mul(p_BLL, mask_BLL)
    const dy_BLd = splitHeads(dy_TH, run, heads, "Ld")
    const dDropped_BLL = tf.matMul<tf.Tensor3D>(dy_BLd, splitHeads(v_TH, run, heads, "dL"))
    const dp_BLL: tf.Tensor3D = mask_BLL === undefined ? dDropped_BLL : tf.mul(dDropped_BLL, mask_BLL)
    const along_BL1 = tf.sum(tf.mul(dp_BLL, p_BLL), 2, true)
    const dScores_BLL: tf.Tensor3D = tf.mul(tf.mul(p_BLL, tf.sub(dp_BLL, along_BL1)), scale)
    const dq_BLd = tf.matMul<tf.Tensor3D>(dScores_BLL, splitHeads(k_TH, run, heads, "Ld"))
    const dk_BLd = tf.matMul<tf.Tensor3D>(transposeInner(dScores_BLL), splitHeads(q_TH, run, heads, "Ld"))
    const dv_BLd = tf.matMul<tf.Tensor3D>(transposeInner(dropped_BLL), dy_BLd)
    gradients.q.push(joinHeads(dq_BLd, run, heads))
    gradients.k.push(joinHeads(dk_BLd, run, heads))
    gradients.v.push(joinHeads(dv_BLd, run, heads))
  }
  return {
    dq_TH: tf.concat(gradients.q, 0),
    dk_TH: tf.concat(gradients.k, 0),
    dv_TH: tf.concat(gradients.v, 0),
  }
}

/**
 * @param offsets [N + 1], sequence n is the rows offsets[n] … offsets[n + 1] − 1; no sequence is empty
 * @throws RangeError where the offsets do not cover the rows, or the heads do not divide the features
 */
const packingOf = (q_TH: tf.Tensor2D, heads: number, offsets: Int32Array): Packing => {
  const [tokens, hidden] = q_TH.shape
  if (!(heads > 0) || hidden % heads !== 0)
    throw new RangeError(`${heads} heads do not divide ${hidden} features`)
  if (offsets.length < 2 || offsets[0] !== 0 || offsets[offsets.length - 1] !== tokens) {
    throw new RangeError(`offsets from ${offsets[0]} to ${offsets[offsets.length - 1]} for ${tokens} tokens`)
  }
  const sequences: Packing["sequences"][number][] = []
  let probability = 0
  for (let n = 0; n + 1 < offsets.length; n++) {
    const token = offsets[n]!
    const length = offsets[n + 1]! - token
    if (length <= 0) throw new RangeError(`sequence ${n} has ${length} tokens`)
    sequences.push({ length, token, probability })
    probability += heads * length * length
  }
  return { heads, sequences, probabilities: probability }
}

export interface AttentionOptions {
  readonly heads: number
  /** Where the packed sequences begin, and at last the number of tokens: [N + 1]. */
  readonly offsets: Int32Array
  /** Dropout of the probabilities. */
  readonly dropout?: Dropout
}

/**
 * Multi-head scaled dot-product attention (Vaswani et al. 2017), inside each of the packed sequences:
 * softmax(q kᵀ / √d) v for each head of d = H / heads features.
 *
 * Element i of the dropout draw belongs to element i of all probabilities, sequence after sequence, in each
 * [heads, L, L].
 *
 * @throws RangeError where offsets or heads do not fit
 */
export const attention = (
  q_TH: tf.Tensor2D,
  k_TH: tf.Tensor2D,
  v_TH: tf.Tensor2D,
  { heads, offsets, dropout }: AttentionOptions,
): tf.Tensor2D => {
  const packing = packingOf(q_TH, heads, offsets)
  return differentiable(
    [q_TH, k_TH, v_TH],
    () => {
      const mask_P =
        dropout && dropout.rate > 0 ? dropoutMask<tf.Tensor1D>([packing.probabilities], dropout) : undefined
      const { y_TH, probabilities_P } = kernel("attention", referenceAttention)(
        q_TH,
        k_TH,
        v_TH,
        packing,
        mask_P,
      )
      return { y: y_TH, saved: { q_TH, k_TH, v_TH, probabilities_P, mask_P } }
    },
    (dy_TH, { q_TH, k_TH, v_TH, probabilities_P, mask_P }) => {
      const { dq_TH, dk_TH, dv_TH } = kernel("attentionGradient", referenceAttentionGradient)(
        dy_TH,
        q_TH,
        k_TH,
        v_TH,
        probabilities_P,
        packing,
        mask_P,
      )
      return [dq_TH, dk_TH, dv_TH]
    },
  )
}
