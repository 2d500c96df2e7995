/**
 * The backward pass of Σᵢ log p(yᵢ | xᵢ), or of another sum over samples, through the model, for a tap only, in pieces:
 * a piece has a tape only while the pass is in it, and nothing below the lowest block of interest has one. Levels of the
 * model, from the bottom: −1 is the embeddings, l is layer l (from 0), and above the last layer are the output heads.
 */
import * as tf from "@tensorflow/tfjs-core"
import { backwardThroughTap, type Receive } from "../../../../core/tensor/tap.ts"
import { type EncoderModel, embed, encoderLayer } from "../../../model/encoder.ts"
import { classify, clsIndices } from "../../../model/output-heads.ts"
import { type Columns, sumOf } from "./columns.ts"

/** The level of the embeddings, below layer 0. */
export const embeddingsLevel = -1

export interface Extent {
  /** The lowest level that the tap receives. */
  readonly lowest: number
  /** Levels in a piece. More than one piece costs a second forward pass, and changes no bit. */
  readonly levelsAtATime: number
}

/** @param receive called as by a tap, for every op from the lowest level up */
export const backwardInPieces = (
  model: EncoderModel,
  batch: Columns,
  { lowest, levelsAtATime }: Extent,
  receive: Receive,
): void => {
  const top = model.config.layers
  const firstOf: number[] = [lowest]
  for (let first = lowest + levelsAtATime; first < top; first += levelsAtATime) firstOf.push(first)

  const inputs: (tf.Tensor2D | undefined)[] = []
  let below: tf.Tensor2D | undefined
  let gradient: tf.Tensor | undefined
  try {
    // Forward without a tape, keeping the input of each piece.
    for (const [piece, first] of firstOf.entries()) {
      const from = firstOf[piece - 1] ?? embeddingsLevel
      const input = below
      below =
        first === embeddingsLevel ? undefined : tf.tidy(() => hiddenAfter(model, batch, from, first, input))
      inputs.push(below)
    }

    for (let piece = firstOf.length - 1; piece >= 0; piece--) {
      const input = inputs[piece]
      const end = firstOf[piece + 1]
      const output = (): tf.Tensor => {
        const hidden_TH = hiddenAfter(model, batch, firstOf[piece]!, end ?? top, input)
        if (end !== undefined) return hidden_TH
        return sumOf(batch, classify(model, hidden_TH))
      }
      const next = backwardThroughTap(output, receive, {
        input: piece === 0 ? undefined : input,
        outputGradient: gradient,
      })
      tf.dispose([input, gradient].filter((tensor) => tensor !== undefined))
      gradient = next
    }
  } finally {
    // Of a pass that fails, as one that runs out of memory, some are left.
    tf.dispose([...inputs, gradient].filter((tensor) => tensor !== undefined))
  }
}

/**
 * The hidden states after the levels `from` … `end` − 1, given those before them: none before the embeddings. After the
 * last layer, only those that the output heads read.
 */
const hiddenAfter = (
  model: EncoderModel,
  { sequences }: Columns,
  from: number,
  end: number,
  input: tf.Tensor2D | undefined,
): tf.Tensor2D => {
  let hidden_TH = input ?? embed(model, sequences)
  for (let layer = Math.max(0, from); layer < end; layer++) {
    const indices = layer === model.config.layers - 1 ? clsIndices(sequences.offsets) : undefined
    hidden_TH = encoderLayer(model, layer, hidden_TH, sequences.offsets, { indices })
  }
  return hidden_TH
}
