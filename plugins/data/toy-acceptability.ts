import { Effect } from "effect"
import { plugin } from "../../core/api/plugin.ts"
import { drawAll } from "./shared/toy/draw.ts"
import { sentenceLength } from "./shared/toy/size.ts"
import { ToyOptions, toyTask } from "./shared/toy/task.ts"
import { drawKnot } from "./toy-acceptability/knots.ts"

const sentencesPerKnot = 4

/** Which sentences say of something what can be said of it, by the kinds that each verb takes. */
export const toyAcceptability = plugin({
  name: "toy-acceptability",
  version: 1,
  module: import.meta.url,
  summary: "Single sentences of the embedded toy language, labelled like those of CoLA",
  options: ToyOptions,
  ...toyTask({
    labelNames: ["unacceptable", "acceptable"],
    metrics: ["accuracy", "matthews"],
    tokensPerExample: sentenceLength,
    draw: (seed, split, count) =>
      Effect.map(
        drawAll(seed, `toy acceptability ${split}`, Math.ceil(count / sentencesPerKnot), drawKnot),
        (knots) =>
          knots
            .flat()
            .slice(0, count)
            .map(({ sentence, acceptable }) => ({ first: sentence, label: acceptable ? 1 : 0 })),
      ),
  }),
})
