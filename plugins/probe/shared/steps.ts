import { type } from "arktype"
import type { RunLength } from "../../../core/api/watch.ts"
import { InvalidInput } from "../../../core/io/decode.ts"

/**
 * The steps that a probe observes. Step t is the model after t updates; step 0 is the model before the first one.
 *
 * | what                              | options                                         |
 * |-----------------------------------|-------------------------------------------------|
 * | before fine-tuning                | `{ at: [0] }`                                   |
 * | 1, 47, 94, …, 423, 468 of 468     | `{ at: [1], every: "warmup", last: true }`     |
 * | the same with 2, 3 and 4          | `{ at: [1, 2, 3, 4], every: "warmup", last: true }` |
 */
export const Steps = type({
  "+": "reject",
  /** These steps; none may be beyond the end of the run. */
  at: type("number.integer >= 0")
    .array()
    .default(() => []),
  /** Multiples of this number, or of the number of warm-up steps, without 0. */
  "every?": "number.integer > 0 | 'warmup'",
  /** Whether the end of the run is observed too. */
  last: "boolean = false",
})
export type Steps = typeof Steps.infer

/**
 * The chosen steps of a run, each once, in ascending order.
 *
 * @throws InvalidInput for a step beyond the end, or for multiples of the warm-up if the run has none
 */
export const chooseSteps = ({ at, every, last }: Steps, run: RunLength): readonly number[] => {
  const refuse = (problem: string) =>
    new InvalidInput({ what: "the steps that a probe observes", problems: [problem] })
  const beyond = at.filter((step) => step > run.steps)
  if (beyond.length > 0) {
    throw refuse(`at: must be from 0 to ${run.steps}, the end of the run (was ${beyond.join(", ")})`)
  }
  const steps = new Set(at)
  if (every !== undefined) {
    const period = every === "warmup" ? run.warmupSteps : every
    if (period === 0) throw refuse('every: must be a number, since the run has no warm-up (was "warmup")')
    for (let step = period; step <= run.steps; step += period) steps.add(step)
  }
  if (last) steps.add(run.steps)
  return [...steps].sort((a, b) => a - b)
}
