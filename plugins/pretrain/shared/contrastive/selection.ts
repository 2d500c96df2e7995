/**
 * Keeps the best model of training: the score of every evaluation on the dev set and the model of the best one, in
 * files that survive a stop.
 *
 * ```
 * FOLDER/evaluations.json   every evaluation so far; written after the model, so that the best model exists
 * FOLDER/best-<step>/       the best model so far
 * ```
 */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import {
  exists,
  type FileError,
  readJson,
  remove,
  writeFolder,
  writeJson,
} from "../../../../core/io/files.ts"
import type { Evaluation } from "../export.ts"

const Evaluations = type({ "+": "reject", step: "number.integer >= 0", score: "number | null" }).array()

/** The first of the evaluations with the highest score: a later one wins only if it is strictly better. */
export const bestOf = (evaluations: readonly Evaluation[]): Evaluation | undefined => {
  let best: Evaluation | undefined
  for (const evaluation of evaluations) {
    if (evaluation.score === null) continue
    if (best === undefined || best.score === null || evaluation.score > best.score) best = evaluation
  }
  return best
}

/** The evaluations and the best model in `folder`, including those from before training was stopped. */
export const selection = Effect.fnUntraced(function* (folder: string) {
  const path = join(folder, "evaluations.json")
  const modelOf = (evaluation: Evaluation) => join(folder, `best-${evaluation.step}`)
  let evaluations: readonly Evaluation[] = (yield* exists(path)) ? yield* readJson(path, Evaluations) : []

  return {
    evaluations: () => evaluations,
    /** Whether this step has been evaluated, before training resumed from an earlier step. */
    knows: (step: number) => evaluations.some((evaluation) => evaluation.step === step),
    /** The best evaluation so far, with the folder of its model; undefined if no score was a number. */
    best: () => {
      const best = bestOf(evaluations)
      return best && { ...best, model: modelOf(best) }
    },
    /**
     * Records an evaluation and, if it is strictly better than all before it, keeps its model instead of theirs.
     *
     * @param save writes the model into a folder
     */
    record: Effect.fnUntraced(function* (
      step: number,
      score: number,
      save: (folder: string) => Effect.Effect<void, FileError>,
    ) {
      const evaluation = { step, score: Number.isNaN(score) ? null : score }
      const before = bestOf(evaluations)
      const after = [...evaluations, evaluation]
      const better = bestOf(after) === evaluation
      if (better) yield* writeFolder(modelOf(evaluation), save)
      yield* writeJson(path, after)
      evaluations = after
      if (better && before !== undefined) yield* remove(modelOf(before))
    }),
  }
})
