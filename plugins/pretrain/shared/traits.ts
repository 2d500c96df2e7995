/** Traits of checkpoints, in the same words for all methods: what differs between them, a plan names. */
import type { Traits } from "../../../core/artifacts/traits.ts"

/** The trait `pooler`: how it came to be what it is. To be trained on does not change that. */
export const poolers = {
  released: "as released",
  drawn: "drawn, never trained",
  nextSentences: "trained on next sentences",
  fineTuned: "trained by fine-tuning",
  contrastive: "drawn anew, trained by a contrastive loss",
} as const

/** The trait `token types`: whether the second one, that of a pair's second sentence, was ever trained. */
export const tokenTypes = {
  released: "as released",
  both: "both trained",
  first: "the second never trained",
} as const

/** The trait `dropout`: whether training has ever had any, so that a model is used to it. */
export const dropoutSeen = { yes: "seen in training", no: "never seen in training" } as const

/** The traits of a model whose weights were just drawn. */
export const newModel: Traits = {
  pooler: poolers.drawn,
  "token types": tokenTypes.first,
  dropout: dropoutSeen.no,
}

interface Trained {
  /** The dropout rate; undefined if it is not known. */
  readonly dropout: number | undefined
  /** Whether it was on pairs of sentences; undefined if that is not known. */
  readonly pairs: boolean | undefined
  /** What the pooler is once it has been trained for the first time; undefined if this training leaves it alone. */
  readonly pooler: string | undefined
}

/** The traits of a model after more training: what was trained stays so, and what is not known any more is left out. */
export const traitsAfter = (before: Traits = {}, { dropout, pairs, pooler }: Trained): Traits => {
  const after: Record<string, string> = { ...before }
  const train = (name: string, untrained: string, trained: string, trains: boolean | undefined) => {
    if (after[name] !== untrained || trains === false) return
    if (trains === undefined) delete after[name]
    else after[name] = trained
  }
  if (pooler !== undefined) train("pooler", poolers.drawn, pooler, true)
  train("token types", tokenTypes.first, tokenTypes.both, pairs)
  if (dropout === undefined) train("dropout", dropoutSeen.no, dropoutSeen.yes, undefined)
  else if (dropout > 0) after["dropout"] = dropoutSeen.yes
  return after
}
