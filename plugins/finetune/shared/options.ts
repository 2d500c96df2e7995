import { type } from "arktype"
import { optimiserOption } from "../../../core/tensor/optimiser.ts"
import { adamw } from "../../../core/tensor/optimisers/adamw.ts"
import { parametrisationOption } from "../../../core/tensor/parametrisation.ts"
import { regulariserOption } from "../../../core/tensor/regulariser.ts"
import { scheduleOption } from "../../../core/tensor/schedule.ts"
import { linearSchedule } from "../../../core/tensor/schedules/linear.ts"

const positive = type("number > 0").narrow(
  (value, context) => Number.isFinite(value) || context.mustBe("finite"),
)

/** The options that a branch can change during a run, and what each of them means from the branch's step on. */
export const Changes = type({
  "+": "reject",
  /** The peak learning rate. The schedule goes on from where it is, with this peak. */
  "lr?": positive,
  /** Drives the streams order, dropout and parametrisation from here on. The epoch at this step is drawn anew, whole. */
  "seed?": "0 <= number.integer <= 4294967295",
  /** The length of the run, counted from its start. The schedule goes on as that of a run of this length. */
  "epochs?": "0 < number <= 10000",
  /** Linear warm-up as a fraction of all updates, counted from the start of the run. */
  "warmupRatio?": "0 <= number <= 1",
  /** How the learning rate changes after warm-up; it goes on as that of a run that always had this schedule. */
  "schedule?": scheduleOption,
  /** The same optimiser with other options goes on with its state; another one starts anew. */
  "optimiser?": optimiserOption,
  /** Gradients whose norm exceeds this are scaled down to it. */
  "clip?": positive,
  /** The dropout rate throughout the model. */
  "dropout?": "0 <= number < 1",
  /** What is not trained. A block that was frozen until now starts with a new state of the optimiser. */
  "frozen?": type("number.integer >= 0 | string[]"),
  /** What the learning rate is multiplied by from each layer to the one below. */
  "layerwiseDecay?": "0 < number <= 1",
  /** A penalty that is added to the loss; null for none. */
  "regulariser?": regulariserOption.or("null"),
  /** What linear layers compute with instead of their weights; null for the weights themselves. */
  "parametrisation?": parametrisationOption.or("null"),
})

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
  /** How the learning rate changes after warm-up: `linearSchedule`, `cosineSchedule`, `constantSchedule`. */
  schedule: scheduleOption.default(() => linearSchedule({})),
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
  /** What changes during the run, as `branch(run, { at, set })` gives it. */
  "branch?": type({ "+": "reject", at: "number.integer >= 0", set: Changes }).array(),
} as const

const FineTuningOptions = type({ ...fineTuningOptions })
export type FineTuningOptions = typeof FineTuningOptions.infer
