import { capitalised } from "../../shared/claims/words.ts"
import { rounded } from "../../shared/records.ts"
import { differencesSentence, type Setting } from "../../shared/settings.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, learningRate } from "../format.ts"
import { wordsOf } from "../metric.ts"
import type { Paper } from "../paper.ts"
import type { ModelRank } from "../statistics/rank.ts"
import type { CohortStability } from "../statistics/stability.ts"

/** The paper's Table 1 beside ours, where arm and learning rate are the paper's; null if none is. */
export const paperStabilityTable = (
  paper: Paper,
  cohorts: readonly CohortStability[],
  settings: readonly Setting[],
): Table | null => {
  const pairs = paper.stability.flatMap((theirs) => {
    const ours = cohorts.find(({ arm, lr }) => arm === theirs.arm && lr === theirs.lr)
    return ours === undefined ? [] : [{ theirs, ours }]
  })
  if (pairs.length === 0) return null
  const { name, unit } = wordsOf(pairs[0]!.ours.metric)
  const shown = (value: number | null) => (value === null ? "none" : decimal(value, 1))
  return {
    name: "paper-table-1",
    title: `${capitalised(name)} beside the paper's (${unit})`,
    columns: [
      left("arm"),
      right("peak\u00a0lr"),
      right("S"),
      right("paper's"),
      right("mean"),
      right("paper's"),
      right("max"),
      right("paper's"),
      right("failures"),
      right("paper's"),
    ],
    rows: pairs.map(({ theirs, ours }) => [
      theirs.arm,
      learningRate(theirs.lr),
      shown(ours.deviation),
      shown(theirs.deviation),
      shown(ours.mean),
      shown(theirs.mean),
      shown(ours.max),
      shown(theirs.max),
      `${ours.failures} of ${ours.ended}`,
      `${theirs.failures} of ${theirs.runs}`,
    ]),
    notes: notes(settings),
    data: {
      columns: [
        ...["arm", "lr", "s_ddof0", "paper_s_ddof0", "mean", "paper_mean", "max", "paper_max"],
        ...["failures", "runs", "paper_failures", "paper_runs"],
      ],
      rows: pairs.map(({ theirs, ours }) => [
        ...[theirs.arm, theirs.lr],
        ...[rounded(ours.deviation), theirs.deviation, rounded(ours.mean), theirs.mean],
        ...[rounded(ours.max), theirs.max, ours.failures, ours.ended, theirs.failures, theirs.runs],
      ]),
    },
  }
}

/** The paper's Table 2 beside ours, where the arm is the paper's; null if none is. */
export const paperRankTable = (
  paper: Paper,
  models: readonly ModelRank[],
  settings: readonly Setting[],
): Table | null => {
  const pairs = paper.ranks.flatMap((theirs) => {
    const ours = models.find(({ arm }) => arm === theirs.arm)
    return ours === undefined ? [] : [{ theirs, ours }]
  })
  if (pairs.length === 0) return null
  const of = (sum: number | null, layers: number) =>
    sum === null ? "layers missing" : `${decimal(sum, 2)} of ${layers}`
  return {
    name: "paper-table-2",
    title: "Sum of the normalised effective ranks beside the paper's",
    columns: [left("arm"), right("sum"), right("paper's")],
    rows: pairs.map(({ theirs, ours }) => [
      theirs.arm,
      of(ours.rank.mean, ours.layers),
      of(theirs.sum, theirs.layers),
    ]),
    notes: notes(settings),
    data: {
      columns: ["arm", "sum", "layers", "paper_sum", "paper_layers"],
      rows: pairs.map(({ theirs, ours }) => [
        ...[theirs.arm, rounded(ours.rank.mean), ours.layers, theirs.sum, theirs.layers],
      ]),
    },
  }
}

const notes = (settings: readonly Setting[]): readonly string[] => {
  const differences = differencesSentence(settings)
  return differences === null ? [] : [differences]
}
