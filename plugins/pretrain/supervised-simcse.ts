import { type } from "arktype"
import { Effect } from "effect"
import { optional, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { encode } from "../model/encoder.ts"
import { clsIndices, pool } from "../model/output-heads.ts"
import { contrastiveOptions } from "./shared/contrastive/options.ts"
import { contrastiveCost, contrastiveEstimate, trainContrastively } from "./shared/contrastive/training.ts"
import { truncate } from "./shared/contrastive/truncation.ts"
import { givenOnce } from "./shared/duration.ts"
import { supervisedLoss } from "./supervised-simcse/loss.ts"
import { rowsOf, triplesOf } from "./supervised-simcse/triples.ts"

const Options = type({
  "+": "reject",
  ...contrastiveOptions,
  /** The temperature. */
  temperature: "0 < number <= 100 = 0.05",
  /** The label of the pairs whose second sentence is to be found by the first. */
  positive: "string > 0 = 'entailment'",
  /** The label of hard negatives: by default the other one of two, and contradiction of more. */
  "negative?": "string > 0",
}).narrow(givenOnce)
type Options = typeof Options.infer

const takes = { data: Examples, checkpoint: Checkpoint, dev: optional(Similarity) }

const refused = (...problems: readonly string[]) =>
  new InvalidInput({ what: "supervised-simcse", problems: [...problems] })

/**
 * The indices of the positive and of the negative label.
 *
 * @throws InvalidInput if the data have scores, or not these labels
 */
const labelsOf = ({ positive, negative }: Options, names: readonly string[] | null) =>
  Effect.gen(function* () {
    if (names === null) return yield* refused("data must have classes (was scores)")
    const others = names.filter((name) => name !== positive)
    const presumed = others.length === 1 ? others[0]! : "contradiction"
    const wanted = { positive, negative: negative ?? presumed }
    const problems = Object.entries(wanted).flatMap(([option, label]) =>
      names.includes(label) ? [] : [`${option} must be one of the labels ${names.join(", ")} (was ${label})`],
    )
    if (wanted.positive === wanted.negative)
      problems.push(`positive and negative must differ (was ${positive})`)
    if (problems.length > 0) return yield* refused(...problems)
    return [names.indexOf(wanted.positive), names.indexOf(wanted.negative)] as const
  })

/**
 * Supervised SimCSE (Gao, Yao and Chen 2021, equation 5) on the train split of a task of sentence pairs, such as `mnli`:
 * the first sentence of a pair of label `positive` is to find the second one among those of the batch and their hard negatives,
 * which come from pairs of label `negative`. How they are grouped, see {@link triplesOf}; without a pair of that label, it
 * trains with the other sentences of the batch alone. `training.json` says how many hard negatives belong to their anchor.
 */
export const supervisedSimcse = plugin({
  name: "supervised-simcse",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "Supervised SimCSE: contrastive further training on labelled pairs of sentences",
  options: Options,
  takes,
  gives: Checkpoint,
  usesBackend: true,
  estimate: (options, { data, checkpoint, dev }) => {
    // The labels are not read for an estimate: each is taken to be as frequent.
    const items = Math.ceil(data.train / data.labels)
    const sequencesPerItem = 3
    return {
      artifact: contrastiveEstimate(options, checkpoint, dev, items, sequencesPerItem, false),
      cost: contrastiveCost({
        options,
        checkpoint,
        dev,
        items,
        sequencesPerItem,
        tokens: (data.tokensPerExample + 1) / 2,
        keptTokens: 2 * data.train * data.tokensPerExample,
        shapes: () => ({}),
      }),
    }
  },
  run: Effect.fn("supervised-simcse")(function* ({
    options,
    inputs: { data, checkpoint, dev },
    scratch,
  }: RunContext<Options, typeof takes, unknown>) {
    const [positive, negative] = yield* labelsOf(options, data.labelNames)
    const triples = triplesOf(data.train, data.special, positive, negative)
    if (triples === undefined)
      return yield* refused("data must have pairs of sentences (was single sentences)")
    if (triples.count === 0)
      return yield* refused(`data must have pairs labelled ${options.positive} (was none)`)
    const sequences = truncate(triples.sequences, options.maxLength)
    return yield* trainContrastively({
      method: "supervised-simcse",
      options,
      checkpoint,
      dev,
      scratch,
      material: {
        input: "data",
        unit: `pairs labelled ${options.positive}`,
        sequences,
        vocabularySize: data.vocabularySize,
        count: triples.count,
      },
      shapes: () => ({}),
      loss: (model, chosen_N, dropout) => {
        const batch = selectSequences(sequences, rowsOf(triples, chosen_N))
        const h_MH = pool(model, encode(model, batch, { dropout, indices: clsIndices(batch.offsets) }))
        return supervisedLoss(h_MH, chosen_N.length, options.temperature)
      },
      record: triples.hardNegatives === undefined ? {} : { hardNegatives: triples.hardNegatives },
    })
  }),
})
