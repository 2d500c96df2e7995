import { describeLabels } from "../../../core/api/pipeline.ts"
import type { CohortTaken, Labels, Outcome } from "../../../core/api/plugin.ts"
import type { Run } from "../../../core/artifacts/run.ts"

/** A run, and what tells it from the others. */
export interface NamedRun {
  readonly name: string
  readonly seed: number
  readonly outcome: Outcome<Run>
}

/** The label of a branch, which the run that it comes from does not have. */
const original = "original"

/** All runs, each named by the labels in which cohorts differ, and by its seed where there are several. */
export const namedRuns = (given: readonly CohortTaken<Run>[]): readonly NamedRun[] => {
  const names = [...new Set(given.flatMap(({ labels }) => Object.keys(labels)))]
  const differing = names.filter((name) => new Set(given.map(({ labels }) => labels[name])).size > 1)
  const seeds = new Set(given.flatMap(({ members }) => members.map(({ seed }) => seed)))
  return given.flatMap(({ labels, members }) =>
    members.map(({ seed, outcome }) => {
      const own: Labels = Object.fromEntries(
        differing.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])),
      )
      const text = describeLabels(own) || original
      return { name: seeds.size > 1 ? `${text} seed=${seed}` : text, seed, outcome }
    }),
  )
}

/** Those that have ended with a result. */
export const doneRuns = (runs: readonly NamedRun[]): readonly (NamedRun & { readonly run: Run })[] =>
  runs.flatMap((each) => (each.outcome.status === "done" ? [{ ...each, run: each.outcome.value }] : []))
