/**
 * bun run pipeline other-tasks.ts
 *
 * The study over tasks and models: vanilla and SimCSE, fine-tuned on pairs of sentences, on single sentences and on
 * scores, from encoders of several sizes. On which of them does SimCSE raise the ranks of the Fisher before fine-tuning,
 * raise the mean, lower the failures, and has its effect on the ranks the same sign on all? Gives verdicts and charts in
 * out/other-tasks/latest/report/index.html.
 *
 * Takes about 5 minutes on the toy language on 2 cores with the backend native. On real text and tasks of GLUE:
 * `--set glue=DIR --set corpus=FILE --set vocabulary=FILE`, with `--set tasks=cola,sst2` and `--set models=tiny,mini` for
 * others than the default ones. With `--set model=DIR --set models=base`, a released model of that size and any family.
 */
import { type } from "arktype"
import { grid, mapCohort, pipeline } from "../core/api/pipeline.ts"
import { InvalidInput } from "../core/io/decode.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { fewerFailures } from "../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { sameSign } from "../plugins/report/shared/claims/same-sign.ts"
import { vanillaAndSimcse } from "./shared/arms.ts"
import { inputOf, inputParameters, modelSize } from "./shared/input.ts"
import { learningRates, runSeeds, taskName } from "./shared/parameters.ts"
import { rankBefore } from "./shared/quantities.ts"
import { cohortsOf } from "./shared/study.ts"
import { toyTaskNames, toyTaskOf } from "./shared/tasks.ts"

const toyTask = type.enumerated(...toyTaskNames)
const toySize = type(/^[1-9]\d*x[1-9]\d*$/).describe("layers x hidden size, such as 2x64")

/** @throws InvalidInput for a value of the other input: a task of GLUE on the toy language, or one of this on real text */
const chosen = <T>(parameter: "tasks" | "models", expected: type<T>, value: string): T => {
  const found: unknown = expected(value)
  if (found instanceof type.errors) {
    throw new InvalidInput({ what: "other-tasks", problems: [`${parameter}: each ${found.summary}`] })
  }
  return found as T
}

export default pipeline({
  name: "other-tasks",
  summary: "SimCSE over tasks and models: failures, means and ranks",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Tasks of GLUE, by default rte, cola, sst2, stsb and wnli, or of the toy language, by default all of them. */
    "tasks?": taskName.array().or(toyTask.array()),
    /** Sizes of encoders: by default tiny and mini or, for the toy language, layers and hidden sizes: 2x32 and 2x64. */
    "models?": type(modelSize).array().or(toySize.array()),
    /** Seeds of SimCSE, each of which gives a checkpoint of every model. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** Peak learning rates of fine-tuning, by default one at which some runs fail. */
    "lr?": learningRates,
    /** Seeds of fine-tuning, each of which gives a run for every checkpoint, task and learning rate. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5, 6, 7, 8]),
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 2",
    /** How many training examples the empirical Fisher is computed from: its largest possible rank. */
    samples: "1 <= number.integer <= 256 = 32",
  }),
  build: ({ tasks, models, simcseSeeds, lr, seeds, epochs, samples, ...p }) => {
    const toy = p.glue === undefined
    const inputFor = (task: string, model: string) => {
      if (!toy) {
        const size = chosen("models", type(modelSize), model)
        return inputOf({ ...p, task: chosen("tasks", taskName, task), size })
      }
      const [layers, hidden] = chosen("models", toySize, model).split("x").map(Number) as [number, number]
      const input = inputOf({ ...p, layers, hidden })
      const { data, fineTune } = toyTaskOf(chosen("tasks", toyTask, task))
      const sizes = { train: p.train ?? 4980, dev: p.dev ?? 554 }
      return { ...input, data: data({ ...sizes, vocabulary: input.vocabulary }), fineTune }
    }
    const axes = {
      task: tasks ?? (toy ? toyTaskNames : ["rte", "cola", "sst2", "stsb", "wnli"]),
      model: models ?? (toy ? ["2x32", "2x64"] : ["tiny", "mini"]),
    }
    const runs = grid(axes, ({ task, model }) => {
      const input = inputFor(task, model)
      const { data, fineTune } = input
      return vanillaAndSimcse(simcseSeeds, input).flatMap((arm) =>
        (lr ?? input.lr.slice(1)).flatMap((lr) =>
          cohortsOf(arm, { task, model, lr }, seeds, (checkpoint, seed) =>
            fineTune({ data, checkpoint, lr, seed, epochs }),
          ),
        ),
      )
    }).flat()
    const ranks = runs.map((of) => mapCohort(of, (run) => fisher({ run, samples, steps: { at: [0] } })))

    const sides = { arm: "SimCSE(0.1)", than: "vanilla", differs: ["further training"] }
    const each = axes.task.flatMap((task) => axes.model.map((model) => ({ task, model })))
    const title = "SimCSE over tasks and models"
    return {
      report: claimsPage({
        ...{ title, runs, observations: ranks },
        claims: [
          sameSign({ ...rankBefore, ...sides, across: "task" }),
          sameSign({ ...rankBefore, ...sides, across: "model" }),
          ...each.map((where) =>
            observed({
              ...{ ...rankBefore, ...sides, direction: "higher", where },
              called: `${rankBefore.called} on ${where.task} with ${where.model}`,
            }),
          ),
          ...each.map((where) => higherMean({ ...sides, where })),
          ...each.map((where) => fewerFailures({ ...sides, where })),
        ],
        charts: [
          {
            title: "Normalised effective ranks by layer, before fine-tuning",
            ...{
              x: "layer",
              y: "normalised",
              colour: "arm",
              facet: "task",
              where: { model: axes.model[0]! },
            },
          },
        ],
      }),
    }
  },
})
