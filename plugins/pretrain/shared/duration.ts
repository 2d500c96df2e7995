import type { Traversal } from "arktype"
import { batchesPerEpoch } from "../../../core/tensor/epochs.ts"

/** Options for the length of training: whole epochs over the corpus, or a number of updates. */
export const durationOptions = {
  /** Whole epochs over the corpus, 1 by default; not together with steps. */
  "epochs?": "1 <= number.integer <= 10000",
  /** The number of updates; not together with epochs. */
  "steps?": "1 <= number.integer <= 100000000",
} as const

interface Duration {
  readonly epochs?: number
  readonly steps?: number
}

/** Narrows options to those that give at most one of the two. */
export const givenOnce = ({ epochs, steps }: Duration, context: Traversal): boolean =>
  epochs === undefined || steps === undefined || context.mustBe("given epochs or steps, not both")

/** The number of updates; one epoch by default. */
export const stepsOf = ({ epochs, steps }: Duration, sentences: number, batchSize: number): number =>
  steps ?? (epochs ?? 1) * batchesPerEpoch(sentences, batchSize)
