/** Arithmetic and memory of a pass over packed sequences, for plans. Only matrix products count as arithmetic. */
import type { EncoderConfig } from "./config.ts"
import type { OutputHead } from "./parameters.ts"

type Sizes = Pick<EncoderConfig, "layers" | "hidden" | "intermediate" | "vocabularySize">

export interface Workload {
  readonly sequences: number
  /** ΣT, tokens of all sequences. */
  readonly tokens: number
  /** ΣT², the pairs of tokens in attention. */
  readonly attended: number
  /** Tokens that the masked language model predicts. */
  readonly predictions: number
}

/** Sequences of about the same length. */
export const workloadOf = (sequences: number, tokensPerSequence: number, predictions = 0): Workload => ({
  sequences,
  tokens: sequences * tokensPerSequence,
  attended: sequences * tokensPerSequence ** 2,
  predictions,
})

/** The numbers in one layer's weight matrices, for plans: biases and LayerNorms are few beside them. */
export const layerWeights = ({ hidden, intermediate }: Pick<Sizes, "hidden" | "intermediate">): number =>
  4 * hidden ** 2 + 2 * hidden * intermediate

/**
 * Floating-point operations of a forward pass; a multiplication and an addition count as two. A layer takes four
 * h × h and two h × f products per token, and q·k and p·v, of h multiplications each, per pair of tokens. The last
 * layer computes keys and values for all tokens, and the rest only for the tokens that the output heads read. The
 * classifier's own product is too small to count.
 */
export const forwardFlops = (
  sizes: Sizes,
  outputHeads: readonly OutputHead[],
  workload: Workload,
): number => {
  const { layers, hidden, intermediate, vocabularySize } = sizes
  const { sequences, tokens, attended, predictions } = workload
  const layer = (queries: number, pairs: number) =>
    (tokens + queries) * 4 * hidden * hidden + queries * 4 * hidden * intermediate + pairs * 4 * hidden
  const lastLayer = outputHeads.includes("maskedLanguageModel")
    ? layer(predictions, (predictions * attended) / Math.max(1, tokens))
    : outputHeads.length > 0
      ? layer(sequences, tokens)
      : layer(tokens, attended)
  const ofHead: Record<OutputHead, number> = {
    pooler: sequences * 2 * hidden * hidden,
    maskedLanguageModel: predictions * 2 * hidden * (hidden + vocabularySize),
    classifier: 0,
  }
  return outputHeads.reduce(
    (flops, head) => flops + ofHead[head],
    (layers - 1) * layer(tokens, attended) + lastLayer,
  )
}

/** An update: for each product of the forward pass, the backward pass has two, for the gradients of both factors. */
export const trainingFlops = (sizes: Sizes, outputHeads: readonly OutputHead[], workload: Workload): number =>
  3 * forwardFlops(sizes, outputHeads, workload)

/** The kernels of a forward pass, for plans, as they are counted on a device. */
export const forwardCalls = ({ layers }: Pick<Sizes, "layers">): number => 9 * layers + 5

/** The same of an update. */
export const trainingCalls = ({ layers }: Pick<Sizes, "layers">): number => 27 * layers + 8

/**
 * Bytes that the forward pass of one update keeps for the backward pass, as measured with the wasm backend. Each layer
 * keeps, per token, 14 times the hidden width and 3 times the width of the feed-forward network, and, per pair of
 * tokens and head, the probability and its mask. The embeddings keep 5 hidden widths per token, and the masked language
 * model about 4 copies of its logits.
 */
export const activationBytes = (
  { layers, hidden, intermediate, heads, vocabularySize }: Sizes & Pick<EncoderConfig, "heads">,
  { tokens, attended, predictions }: Workload,
): number =>
  Float32Array.BYTES_PER_ELEMENT *
  (layers * (tokens * (14 * hidden + 3 * intermediate) + 2 * heads * attended) +
    tokens * 5 * hidden +
    4 * predictions * vocabularySize)
