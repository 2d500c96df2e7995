import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"
import { type Dropout, fillDropoutMask } from "../stream.ts"

/**
 * Sequences packed into one [T, H] matrix; R of their tokens have a query. Scores are flat, [P]: sequence after
 * sequence, each heads x queries x L, so that an element's index does not depend on how it is computed.
 */
export interface Packing {
  readonly heads: number
  /** The start of each sequence, then T: [N + 1]. */
  readonly offsets: Int32Array
  /** [R], ascending: the tokens that have a query. */
  readonly queryIndices: Int32Array
  readonly sequences: readonly PackedSequence[]
  /** P = heads · Σ queries · L. */
  readonly scores: number
}

export interface PackedSequence {
  readonly length: number
  /** Its first row in [T, H]. */
  readonly token: number
  /** How many of its tokens have a query, at most `length`. */
  readonly queries: number
  /** Its first row in [R, H]. */
  readonly query: number
  /** Its first element in [P]. */
  readonly score: number
  /** Its first element in the numbering of dropout's draws: heads x L x L, sequence after sequence. */
  readonly element: number
}

/**
 * What the gradient kernel of the same backend needs besides the inputs: the probabilities before dropout and their
 * mask, each [P] in the layout of `Packing`; a backend may save less.
 */
export interface AttentionSaved {
  readonly probabilities: tf.Tensor1D
  readonly mask: tf.Tensor1D | undefined
}

interface SequenceGroup extends PackedSequence {
  readonly count: number
}

/** Neighbouring sequences with the same length and number of queries, multiplied in one batched product. */
const groupsOf = ({ sequences }: Packing): readonly SequenceGroup[] => {
  const groups: SequenceGroup[] = []
  for (const sequence of sequences) {
    const last = groups[groups.length - 1]
    if (last !== undefined && last.length === sequence.length && last.queries === sequence.queries) {
      groups[groups.length - 1] = { ...last, count: last.count + 1 }
    } else groups.push({ ...sequence, count: 1 })
  }
  return groups
}

/** The rows of a group, a matrix for each sequence and head: [count · heads, L, d], or [count · heads, d, L]. */
const splitHeads = (
  x_TH: tf.Tensor2D,
  count: number,
  first: number,
  length: number,
  heads: number,
  layout: "Ld" | "dL",
): tf.Tensor3D => {
  const hidden = x_TH.shape[1]
  const d = hidden / heads
  const split = tf.reshape(tf.slice(x_TH, [first, 0], [count * length, hidden]), [count, length, heads, d])
  return layout === "Ld"
    ? tf.reshape(tf.transpose(split, [0, 2, 1, 3]), [count * heads, length, d])
    : tf.reshape(tf.transpose(split, [0, 2, 3, 1]), [count * heads, d, length])
}

/** The heads of a matrix that has a row for each token. */
const tokensOf = (
  x_TH: tf.Tensor2D,
  { count, token, length }: SequenceGroup,
  heads: number,
  layout: "Ld" | "dL",
) => splitHeads(x_TH, count, token, length, heads, layout)

/** The heads of a matrix that has a row for each query. */
const queriesOf = (x_RH: tf.Tensor2D, { count, query, queries }: SequenceGroup, heads: number) =>
  splitHeads(x_RH, count, query, queries, heads, "Ld")

const joinHeads = (x_BLd: tf.Tensor3D, count: number, heads: number): tf.Tensor2D => {
  const [, length, d] = x_BLd.shape
  const split = tf.transpose(tf.reshape(x_BLd, [count, heads, length, d]), [0, 2, 1, 3])
  return tf.reshape(split, [count * length, heads * d])
}

const scoresOf = (
  flat_P: tf.Tensor1D,
  { count, length, queries, score }: SequenceGroup,
  heads: number,
): tf.Tensor3D =>
  tf.reshape(tf.slice(flat_P, score, count * heads * queries * length), [count * heads, queries, length])

const transposeInner = (x_BLM: tf.Tensor3D): tf.Tensor3D => tf.transpose(x_BLM, [0, 2, 1])

/**
 * The dropout mask of the probabilities, [P]. If only some tokens have a query, each uses the elements of its row in
 * the full mask: the same elements are dropped as if all tokens had one.
 */
export const attentionMask = (packing: Packing, dropout: Dropout): tf.Tensor1D => {
  const { heads, queryIndices, sequences } = packing
  const mask_P = new Float32Array(packing.scores)
  if (sequences.every(({ length, queries }) => length === queries)) fillDropoutMask(mask_P, dropout)
  else {
    for (const { length, token, queries, query, score, element } of sequences) {
      for (let row = 0; row < heads * queries; row++) {
        const head = Math.floor(row / queries)
        const index = queryIndices[query + (row % queries)]! - token
        const to = score + row * length
        fillDropoutMask(mask_P.subarray(to, to + length), dropout, element + (head * length + index) * length)
      }
    }
  }
  return tf.tensor1d(mask_P)
}

/** Attention of R queries within their sequences: see `attention`. */
export const attentionKernel = defineKernel(
  "attention",
  (
    q_RH: tf.Tensor2D,
    k_TH: tf.Tensor2D,
    v_TH: tf.Tensor2D,
    packing: Packing,
    dropout?: Dropout,
  ): { readonly y_RH: tf.Tensor2D; readonly saved: AttentionSaved } => {
    const { heads } = packing
    const scale = 1 / Math.sqrt(q_RH.shape[1] / heads)
    const mask = dropout && attentionMask(packing, dropout)
    const outputs: tf.Tensor2D[] = [tf.zeros([0, q_RH.shape[1]])]
    const probabilities: tf.Tensor1D[] = [tf.zeros([0])]
    for (const group of groupsOf(packing)) {
      if (group.queries === 0) continue
      const scores_BRL = tf.matMul<tf.Tensor3D>(
        queriesOf(q_RH, group, heads),
        tokensOf(k_TH, group, heads, "dL"),
      )
      const p_BRL = tf.softmax<tf.Tensor3D>(tf.mul(scores_BRL, scale))
      const dropped_BRL: tf.Tensor3D =
        mask === undefined ? p_BRL : tf.mul(p_BRL, scoresOf(mask, group, heads))
      const y_BRd = tf.matMul<tf.Tensor3D>(dropped_BRL, tokensOf(v_TH, group, heads, "Ld"))
      outputs.push(joinHeads(y_BRd, group.count, heads))
      probabilities.push(tf.reshape(p_BRL, [p_BRL.size]))
    }
    return { y_RH: tf.concat(outputs, 0), saved: { probabilities: tf.concat(probabilities, 0), mask } }
  },
)

/** @param _dropout that of the forward pass, for backends that do not save the mask */
export const attentionGradientKernel = defineKernel(
  "attentionGradient",
  (
    dy_RH: tf.Tensor2D,
    q_RH: tf.Tensor2D,
    k_TH: tf.Tensor2D,
    v_TH: tf.Tensor2D,
    { probabilities, mask }: AttentionSaved,
    packing: Packing,
    _dropout?: Dropout,
  ): { readonly dq_RH: tf.Tensor2D; readonly dk_TH: tf.Tensor2D; readonly dv_TH: tf.Tensor2D } => {
    const { heads } = packing
    const scale = 1 / Math.sqrt(q_RH.shape[1] / heads)
    const none: tf.Tensor2D = tf.zeros([0, q_RH.shape[1]])
    const gradients = { q: [none], k: [none], v: [none] }
    for (const group of groupsOf(packing)) {
      if (group.queries === 0) {
        const zeros: tf.Tensor2D = tf.zeros([group.count * group.length, q_RH.shape[1]])
        gradients.k.push(zeros)
        gradients.v.push(zeros)
        continue
      }
      const p_BRL = scoresOf(probabilities, group, heads)
      const mask_BRL = mask === undefined ? undefined : scoresOf(mask, group, heads)
      const dropped_BRL: tf.Tensor3D = mask_BRL === undefined ? p_BRL : tf.mul(p_BRL, mask_BRL)
      const dy_BRd = queriesOf(dy_RH, group, heads)
      const dDropped_BRL = tf.matMul<tf.Tensor3D>(dy_BRd, tokensOf(v_TH, group, heads, "dL"))
      const dp_BRL: tf.Tensor3D = mask_BRL === undefined ? dDropped_BRL : tf.mul(dDropped_BRL, mask_BRL)
      const along_BR1 = tf.sum(tf.mul(dp_BRL, p_BRL), 2, true)
      const dScores_BRL: tf.Tensor3D = tf.mul(tf.mul(p_BRL, tf.sub(dp_BRL, along_BR1)), scale)
      const dq_BRd = tf.matMul<tf.Tensor3D>(dScores_BRL, tokensOf(k_TH, group, heads, "Ld"))
      const dk_BLd = tf.matMul<tf.Tensor3D>(transposeInner(dScores_BRL), queriesOf(q_RH, group, heads))
      const dv_BLd = tf.matMul<tf.Tensor3D>(transposeInner(dropped_BRL), dy_BRd)
      gradients.q.push(joinHeads(dq_BRd, group.count, heads))
      gradients.k.push(joinHeads(dk_BLd, group.count, heads))
      gradients.v.push(joinHeads(dv_BLd, group.count, heads))
    }
    return {
      dq_RH: tf.concat(gradients.q, 0),
      dk_TH: tf.concat(gradients.k, 0),
      dv_TH: tf.concat(gradients.v, 0),
    }
  },
)

/**
 * @param offsets [N + 1], sequence n has the rows offsets[n] … offsets[n + 1] − 1; no sequence is empty
 * @param queryIndices [R], ascending: the rows that have a query; all by default
 * @throws RangeError if the offsets do not cover the rows, the heads do not divide the features, or the query indices
 *   are not ascending rows
 */
const packingOf = (
  k_TH: tf.Tensor2D,
  heads: number,
  offsets: Int32Array,
  queryIndices: Int32Array = Int32Array.from({ length: k_TH.shape[0] }, (_, t) => t),
): Packing => {
  const [tokens, hidden] = k_TH.shape
  if (!(heads > 0) || hidden % heads !== 0)
    throw new RangeError(`${heads} heads do not divide ${hidden} features`)
  if (offsets.length < 2 || offsets[0] !== 0 || offsets[offsets.length - 1] !== tokens) {
    const found = `found ${offsets[0]} to ${offsets[offsets.length - 1]}`
    throw new RangeError(`expected offsets from 0 to ${tokens}, the number of tokens, ${found}`)
  }
  const sequences: PackedSequence[] = []
  let element = 0
  let score = 0
  let query = 0
  for (let n = 0; n + 1 < offsets.length; n++) {
    const token = offsets[n]!
    const length = offsets[n + 1]! - token
    if (length <= 0)
      throw new RangeError(`expected sequences that are not empty, sequence ${n} has ${length} tokens`)
    let queries = 0
    for (let last = token - 1; queryIndices[query + queries]! < offsets[n + 1]!; queries++) {
      const index = queryIndices[query + queries]!
      if (index <= last)
        throw new RangeError(`expected ascending query indices from 0, found ${index} after ${last}`)
      last = index
    }
    sequences.push({ length, token, queries, query, score, element })
    element += heads * length * length
    score += heads * queries * length
    query += queries
  }
  if (query !== queryIndices.length)
    throw new RangeError(`expected query indices below ${tokens}, found ${queryIndices[query]}`)
  return { heads, offsets, queryIndices, sequences, scores: score }
}

export interface AttentionOptions {
  readonly heads: number
  /** The start of each packed sequence, then the number of tokens: [N + 1]. */
  readonly offsets: Int32Array
  /** The tokens that have a query, ascending, [R]: q has a row for each. All by default. */
  readonly queryIndices?: Int32Array
  /** Dropout of the probabilities. */
  readonly dropout?: Dropout
}

/**
 * Multi-head scaled dot-product attention (Vaswani et al. 2017) within each packed sequence:
 * softmax(q kᵀ / √d) v for each head of d = H / heads features.
 *
 * Element i of the dropout draw belongs to element i of the full probabilities, sequence after sequence, each
 * [heads, L, L], even if only some tokens have a query.
 *
 * @throws RangeError if offsets, queryIndices or heads do not fit the inputs
 */
export const attention = (
  q_RH: tf.Tensor2D,
  k_TH: tf.Tensor2D,
  v_TH: tf.Tensor2D,
  { heads, offsets, queryIndices, dropout }: AttentionOptions,
): tf.Tensor2D => {
  const packing = packingOf(k_TH, heads, offsets, queryIndices)
  if (q_RH.shape[0] !== packing.queryIndices.length) {
    throw new RangeError(
      `expected ${packing.queryIndices.length} queries, one for each query index, found ${q_RH.shape[0]}`,
    )
  }
  const active = dropout !== undefined && dropout.rate > 0 ? dropout : undefined
  return differentiable<tf.Tensor2D, { [name: string]: tf.Tensor | undefined } & Saved>(
    [q_RH, k_TH, v_TH],
    (given) => {
      const inputs = { q_RH: given(q_RH), k_TH: given(k_TH), v_TH: given(v_TH) }
      const { y_RH, saved } = attentionKernel(inputs.q_RH, inputs.k_TH, inputs.v_TH, packing, active)
      return { y: y_RH, saved: { ...inputs, ...saved } }
    },
    (dy_RH, { q_RH, k_TH, v_TH, probabilities, mask }) => {
      const saved = { probabilities, mask }
      const { dq_RH, dk_TH, dv_TH } = attentionGradientKernel(dy_RH, q_RH, k_TH, v_TH, saved, packing, active)
      return [dq_RH, dk_TH, dv_TH]
    },
  )
}

interface Saved extends AttentionSaved {
  readonly q_RH: tf.Tensor2D
  readonly k_TH: tf.Tensor2D
  readonly v_TH: tf.Tensor2D
}
