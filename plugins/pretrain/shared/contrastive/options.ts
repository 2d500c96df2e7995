import { type } from "arktype"
import { optimiserOption } from "../../../../core/tensor/optimiser.ts"
import { adamw } from "../../../../core/tensor/optimisers/adamw.ts"
import { scheduleOption } from "../../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../../core/tensor/schedules/linear.ts"
import { durationOptions } from "../duration.ts"

/** The options of every plugin that trains on two views of sentences, to be spread among its own. */
export const contrastiveOptions = {
  ...durationOptions,
  /** Sentences per update; each is contrasted with the others, so a batch of one would teach nothing. */
  batchSize: "2 <= number.integer <= 65536 = 64",
  /** Maximum tokens per sentence, special tokens included; longer sentences are truncated. */
  maxLength: "3 <= number.integer <= 65536 = 32",
  /** The peak learning rate. */
  lr: "0 < number < 1 = 0.00001",
  /** Fraction of the updates over which the learning rate rises linearly; then the schedule begins. */
  warmupRatio: "0 <= number <= 1 = 0",
  /** How the learning rate changes after warm-up: `linearSchedule`, `cosineSchedule`, `constantSchedule`. */
  schedule: scheduleOption.default(() => linearSchedule({})),
  /** One of `core/tensor/optimisers`, or one of your own. */
  optimiser: optimiserOption.default(() => adamw({ epsilon: 1e-8 })),
  /** The dropout rate of hidden states and of attention probabilities; it makes two views of a sentence differ. */
  dropout: "0 <= number < 1 = 0.1",
  /** Gradients whose norm exceeds this are scaled down to it. */
  clip: "number > 0 = 1",
  /** Updates between two evaluations on the dev set. */
  evalEvery: "number.integer >= 1 = 125",
  /** With a dev set, which model is kept: the first that has the `best` score, or the `last`; without one, the last. */
  selection: "'best' | 'last' = 'best'",
  /** Drives the order of the sentences, dropout, the head, and the loss's own parameters. */
  seed: "0 <= number.integer <= 4294967295 = 42",
} as const

const ContrastiveOptions = type({ ...contrastiveOptions })
export type ContrastiveOptions = typeof ContrastiveOptions.infer
