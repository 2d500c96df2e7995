/** How much arithmetic a pass over packed sequences takes, for plans: products of matrices, everything else left out. */
import type { BertConfig } from "./config.ts"
import type { Head } from "./parameters.ts"

type Sizes = Pick<BertConfig, "layers" | "hidden" | "intermediate" | "vocabularySize">

export interface Workload {
  readonly sequences: number
  /** ΣT, tokens of all sequences. */
  readonly tokens: number
  /** ΣT², the pairs that attention looks at. */
  readonly attended: number
  /** Positions at which the masked language model predicts. */
  readonly predictions: number
}

/**
 * Floating-point operations (a multiplication and an addition count as two) of a forward pass. A layer: four h × h
 * and two h × f products a token, and q·k and p·v, h multiplications each a pair of tokens. A classifier's own product
 * is too small to count.
 */
export const forwardFlops = (sizes: Sizes, heads: readonly Head[], workload: Workload): number => {
  const { layers, hidden, intermediate, vocabularySize } = sizes
  const { sequences, tokens, attended, predictions } = workload
  const layer = tokens * (8 * hidden * hidden + 4 * hidden * intermediate) + attended * 4 * hidden
  const ofHead: Record<Head, number> = {
    pooler: sequences * 2 * hidden * hidden,
    maskedLanguageModel: predictions * 2 * hidden * (hidden + vocabularySize),
    classifier: 0,
  }
  return heads.reduce((flops, head) => flops + ofHead[head], layers * layer)
}

/** A training step: the backward pass multiplies by each weight twice more, for its input's gradient and its own. */
export const trainingFlops = (sizes: Sizes, heads: readonly Head[], workload: Workload): number =>
  3 * forwardFlops(sizes, heads, workload)
