import { type } from "arktype"
import { optimiserOption } from "../../../core/tensor/optimiser.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { parametrisationOption } from "../../../core/tensor/parametrisation.ts"
import { regulariserOption } from "../../../core/tensor/regulariser.ts"
import { scheduleOption } from "../../../core/tensor/schedule.ts"
import { linear } from "../../../core/tensor/schedules/linear.ts"

const positive = type("number > 0").narrow(
  (value, context) => Number.isFinite(value) || context.mustBe("finite"),
)

/** The options of every plugin that fine-tunes, to be spread among its own. */
export const fineTuningOptions = {
  /** The peak learning rate. */
  lr: positive,
  /** Drives the streams head, order, dropout, parametrisation and probe. */
  seed: "0 <= number.integer <= 4294967295",
  /** Examples per update; the last batch of an epoch may be smaller. */
  batchSize: "1 <= number.integer <= 65536 = 16",
  /** Epochs over the train split; fractions are allowed. */
  epochs: "0 < number <= 10000 = 3",
  /** Linear warm-up as a fraction of all updates; then the schedule begins. */
  warmupRatio: "0 <= number <= 1 = 0.1",
  /** How the learning rate changes after warm-up: `linear`, `cosine`, `constant` of `core/tensor/schedules`. */
  schedule: scheduleOption.default(() => linear({})),
  /** One of `core/tensor/optimisers`, or one of your own. */
  optimiser: optimiserOption.default(() => adamw({ biasCorrection: false })),
  /** Gradients whose norm exceeds this are scaled down to it. */
  clip: positive.default(1),
  /** The dropout rate throughout the model, whatever its checkpoint was trained with. */
  dropout: "0 <= number < 1 = 0.1",
  /** What is not trained: a number k for the embeddings and the k lowest layers, or a list of blocks. */
  frozen: type("number.integer >= 0 | string[]").default(() => []),
  /** What the learning rate is multiplied by from each layer to the one below. */
  layerwiseDecay: "0 < number <= 1 = 1",
  /**
   * Where the classifier comes from: a `new` one is drawn by the seed, or that of the `checkpoint`, which must have the
   * same labels, is trained on.
   */
  classifier: "'new' | 'checkpoint' = 'new'",
  /** Draws the pooler and this many top layers anew. */
  "reinitialise?": "number.integer >= 0",
  /** A penalty that is added to the loss, such as `l2SP` of `core/tensor/regularisers`. */
  "regulariser?": regulariserOption,
  /**
   * What the encoder's and the pooler's linear layers compute with instead of their weights, such as `mixout` of
   * `core/tensor/parametrisations`. Layers that are drawn anew are left out.
   */
  "parametrisation?": parametrisationOption,
  /** Whether the fine-tuned model is kept with the run. */
  keepModel: "boolean = false",
} as const

const FineTuningOptions = type({ ...fineTuningOptions })
export type FineTuningOptions = typeof FineTuningOptions.infer
