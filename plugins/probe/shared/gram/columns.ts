/**
 * The columns of a Fisher's factor: F = (1/N) Σ cc ᵀ over M gradients c, one or several from each of N samples. Shapes:
 * N samples, M columns, C outputs of the model.
 */
import * as tf from "@tensorflow/tfjs-core"
import { type Sequences, selectSequences } from "../../../../core/artifacts/sequences.ts"
import { normal, type Stream, uniform } from "../../../../core/tensor/stream.ts"
import { type Labelled, logLikelihood } from "../likelihood.ts"

/** Where the labels come from. */
export const labelSources = ["true", "sampled", "expected"] as const
export type LabelSource = (typeof labelSources)[number]

/** Gradients of linear functions of the outputs: column m is the gradient of directions[m] · logits of sequence m. */
export interface Directed {
  readonly sequences: Sequences
  /** [M, C], row-major */
  readonly directions: Float32Array
}

/** What the columns are the gradients of: of each sequence's log-likelihood, or of a linear function of its outputs. */
export type Columns = Labelled | Directed

/** M, the number of columns. */
export const countOf = ({ sequences }: Columns): number => sequences.offsets.length - 1

/** The sum over the columns of what they are the gradients of: a differentiable scalar. */
export const sumOf = (columns: Columns, logits_MC: tf.Tensor2D): tf.Scalar =>
  "labels" in columns
    ? logLikelihood(logits_MC, columns.labels)
    : tf.sum(tf.mul(logits_MC, tf.tensor2d(columns.directions, logits_MC.shape)))

/** Column m alone. */
export const columnOf = (columns: Columns, m: number): Columns => {
  const sequences = selectSequences(columns.sequences, [m])
  if ("labels" in columns) return { sequences, labels: columns.labels.subarray(m, m + 1) }
  const outputs = columns.directions.length / countOf(columns)
  return { sequences, directions: columns.directions.subarray(m * outputs, (m + 1) * outputs) }
}

/** The site in a probe's stream that labels are sampled from; the batch is drawn from site 0. */
const labelSite = 1

/**
 * The columns for labels of a source.
 *
 * - `true`: the empirical Fisher.
 * - `sampled`: the true Fisher, by one label for each sample, drawn from the model. The same random number decides a
 *   sample's label at every step and in every arm.
 * - `expected`: the true Fisher itself, whose expectation over labels has a closed form. It equals the Gauss–Newton
 *   matrix (Martens 2020, section 9.2), since for a softmax and a normal distribution the Hessian A of −log p in the
 *   outputs does not depend on the label: with A = B Bᵀ, a sample's columns are Jᵀ B. So M = N (C − 1) columns do for
 *   the N C weighted gradients √p_c ∇ log p(c | x).
 *
 * @param logits without dropout
 */
export const columnsFor = (
  source: LabelSource,
  batch: Labelled,
  logits: (sequences: Sequences) => tf.Tensor2D,
  stream: Stream,
): Columns => {
  if (source === "true") return batch
  const isScore = batch.labels instanceof Float32Array
  const outputs = tf.tidy(() => {
    const logits_NC = logits(batch.sequences)
    return (isScore ? logits_NC : tf.softmax(logits_NC)).dataSync<"float32">().slice()
  })
  return source === "sampled" ? sampled(batch, outputs, stream) : expected(batch, outputs)
}

/** @param outputs [N, C], probabilities, or scores */
const sampled = ({ sequences, labels }: Labelled, outputs: Float32Array, stream: Stream): Labelled => {
  const draw = { stream, site: labelSite, iteration: 0 }
  if (labels instanceof Float32Array) {
    const noise = normal(draw, labels.length)
    return { sequences, labels: outputs.map((score, n) => score + noise[n]!) }
  }
  const classes = outputs.length / labels.length
  const chances = uniform(draw, labels.length)
  const drawn = Int32Array.from(labels, (_, n) => {
    let below = 0
    const chance = chances[n]!
    const label = outputs.subarray(n * classes, (n + 1) * classes).findIndex((p) => {
      below += p
      return chance < below
    })
    // Rounded probabilities may add up to less than the chance.
    return label === -1 ? classes - 1 : label
  })
  return { sequences, labels: drawn }
}

const expected = ({ sequences, labels }: Labelled, outputs: Float32Array): Directed => {
  // −log p of a normal distribution of variance 1 has the second derivative 1.
  if (labels instanceof Float32Array)
    return { sequences, directions: new Float32Array(labels.length).fill(1) }
  const samples = labels.length
  const classes = outputs.length / samples
  const indices = Array.from({ length: samples * (classes - 1) }, (_, m) => Math.floor(m / (classes - 1)))
  const directions = Array.from({ length: samples }, (_, n) =>
    multinomialFactor(outputs.subarray(n * classes, (n + 1) * classes)),
  )
  return {
    sequences: selectSequences(sequences, indices),
    directions: Float32Array.from(directions.flatMap((columns) => columns.flat())),
  }
}

/**
 * The C − 1 columns of B with B Bᵀ = diag(p) − p pᵀ: its Cholesky factor in closed form (Tanabe and Sagae 1992).
 *
 * @param p [C], probabilities
 */
export const multinomialFactor = (p: Float32Array): readonly (readonly number[])[] => {
  // remaining[k] = p[k] + … + p[C − 1]
  const remaining = new Float64Array(p.length + 1)
  for (let k = p.length - 1; k >= 0; k--) remaining[k] = remaining[k + 1]! + p[k]!
  const total = remaining[0]!
  return Array.from({ length: p.length - 1 }, (_, k) => {
    const [here, after] = [remaining[k]! / total, remaining[k + 1]! / total]
    const chance = p[k]! / total
    // Where nothing remains there is no variance left.
    if (chance === 0 || after === 0) return Array.from(p, () => 0)
    const scale = Math.sqrt(chance / (here * after))
    return Array.from(p, (other, j) => (j < k ? 0 : j === k ? after * scale : (-other / total) * scale))
  })
}
