import { type } from "arktype"
import { Effect } from "effect"
import type { InputsEstimate, RunContext } from "../../../../core/api/plugin.ts"
import { Examples } from "../../../../core/artifacts/examples.ts"
import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { Vocabulary } from "../../../../core/artifacts/vocabulary.ts"
import { tokenizerOf } from "../../../model/tokenizer.ts"
import { encodeAll } from "../encode.ts"
import { countOption, seedOption } from "./draw.ts"
import { costOf, diskOf, longest } from "./size.ts"

/** A sentence, or two, with its label: the index of a class, or a score. */
export interface Drawn {
  readonly first: string
  readonly second?: string
  readonly label: number
}

interface ToyTask {
  /** The classes; null if labels are scores. */
  readonly labelNames: readonly string[] | null
  readonly metrics: readonly MetricName[]
  readonly tokensPerExample: number
  /** Draws a split; the same seed gives the same examples. */
  readonly draw: (seed: number, split: "train" | "dev", count: number) => Effect.Effect<readonly Drawn[]>
}

/** The options of every task of the toy language. */
export const ToyOptions = type({
  "+": "reject",
  /** How many examples the train split has. */
  train: `${countOption} = 2490`,
  /** How many examples the dev split has. */
  dev: `${countOption} = 277`,
  /** Determines all that is drawn. */
  seed: seedOption,
})
type ToyOptions = typeof ToyOptions.infer

const takes = { vocabulary: Vocabulary }

/** What the plugins of the toy language's tasks have in common; each adds its identity and {@link ToyOptions}. */
export const toyTask = ({ labelNames, metrics, tokensPerExample, draw }: ToyTask) => ({
  stage: "data" as const,
  takes,
  gives: Examples,
  usesBackend: false,
  estimate: ({ train, dev }: ToyOptions, inputs: InputsEstimate<typeof takes>) => ({
    artifact: {
      train,
      dev,
      tokensPerExample,
      labels: labelNames?.length ?? 1,
      labelKind: labelNames === null ? ("scores" as const) : ("classes" as const),
      metrics,
      vocabularySize: inputs.vocabulary.size,
    },
    cost: costOf(diskOf(train + dev, tokensPerExample)),
  }),
  run: Effect.fn("toyTask")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<ToyOptions, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const split = Effect.fnUntraced(function* (name: "train" | "dev") {
      const drawn = yield* draw(options.seed, name, options[name])
      const sequences = yield* encodeAll(tokenizer, drawn, longest)
      return { sequences, labels: Float64Array.from(drawn, ({ label }) => label) }
    })
    return {
      labelNames,
      metrics,
      train: yield* split("train"),
      dev: yield* split("dev"),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
