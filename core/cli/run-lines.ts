/** What is said when a plan starts to run, and when it has ended. */
import type { Precision } from "../api/precision.ts"
import type { Failure, Summary } from "../engine/execute.ts"
import { keptUnits, type Plan, reasonCounts, unitsGivenBy } from "../engine/plan.ts"
import { neverMade } from "../engine/reason.ts"
import { formatSeconds, plural, printable } from "../io/format.ts"
import { type Endings, endedHow, endingOf, mishaps, unitCounts } from "./counts.ts"

/** How and where a plan is carried out. */
export interface Surroundings {
  readonly backend: string
  /** What it computes with: vector instructions such as `AVX-512`, or a GPU; undefined if it does not tell. */
  readonly instructions: string | undefined
  readonly precision: Precision
  /** Of each job; undefined if the backend has a fixed number. */
  readonly threads: number | undefined
  /** The folder, as it was given. */
  readonly out: string
}

const precisionNames: Readonly<Record<Precision, string>> = {
  fp32: "float32",
  tf32: "TF32",
  bf16: "bfloat16",
}

/** More reasons than this are counted together. */
const mostReasons = 4
/** More units than this that failed are counted, not listed. */
const mostFailures = 50

/**
 * `quickstart: 41 runs and 66 probes to do, about 2 min on native (AVX-512), float32, 2 jobs × 1 thread, out/`. Before
 * any unit was timed, the time is what the backend takes at its best: `1 min or more`.
 */
export const startLines = (name: string, plan: Plan, around: Surroundings): readonly string[] => {
  if (plan.jobs.length === 0) return [`${name}: ${nothingToDo(plan)}`]
  const { seconds, processes, measured } = plan.estimate
  const time = formatSeconds(seconds)
  const { backend, instructions, precision, threads, out } = around
  const parts = [
    `${workCounts(plan)}, ${measured ? `about ${time}` : `${time} or more`} on ${backend}${instructions === undefined ? "" : ` (${instructions})`}`,
    precisionNames[precision],
    `${plural(processes, "job")}${threads === undefined ? "" : ` × ${plural(threads, "thread")}`}`,
    `${printable(out).replace(/\/$/, "")}/`,
  ]
  return [`${name}: ${parts.join(", ")}`, ...reasonLines(plan)]
}

/** What a target was made from may be gone: it is made again only when something needs it. */
export const nothingToDo = ({ graph, stored }: Plan): string => {
  const kept = [...keptUnits(graph)]
  const gone = kept.filter(({ key }) => stored.get(key)?.status === "absent").length
  if (gone > 0) {
    const those =
      gone === 1 ? "1 unit that they were made from is" : `${gone} units that they were made from are`
    return `nothing to do: the targets are done; ${those} not in the store any more`
  }
  return `nothing to do: ${kept.length === 1 ? "its only unit is" : `all ${kept.length} units are`} done`
}

/** `41 runs and 66 probes to do, 35 runs replayed`. */
export const workCounts = ({ jobs }: Plan): string => {
  const replayed = jobs.filter(({ wanted }) => !wanted).map(({ unit }) => unit)
  const again = replayed.length === 0 ? "" : `, ${unitCounts(replayed)} replayed`
  return `${unitCounts(jobs.flatMap(unitsGivenBy))} to do${again}`
}

/** Why units are to be done; nothing for a plan that is all new. */
const reasonLines = (plan: Plan): readonly string[] => {
  const counts = reasonCounts(plan)
  if (counts.length === 1 && counts[0]![0] === neverMade) return []
  const others = counts.slice(mostReasons).reduce((sum, [, units]) => sum + units, 0)
  const shown = [...counts.slice(0, mostReasons), ...(others > 0 ? [["other reasons", others] as const] : [])]
  return [`  why: ${shown.map(([reason, units]) => `${reason} (${units})`).join(", ")}`]
}

/** What a plan came to, and what went wrong. */
export const endLines = ({ reused, made, failures }: Summary, seconds: number): readonly string[] => {
  const endings: Endings = { made, diverged: 0, failed: 0, notMade: 0 }
  for (const failure of failures) endings[endingOf(failure)]++
  const { failed, ...others } = endings
  const counts = [`${plural(made, "unit")} made`, `${reused} reused`, `${failed} failed`]
  const waiting = Map.groupBy(failures, ({ without }) => without)
  const alike = new Map(failures.map(({ unit, status, reason }) => [unit, `${status} ${reason}`]))
  // Probes that ended as the run that they watch did are told with it; and what is to be repaired comes first.
  const told = (waiting.get(undefined) ?? [])
    .filter(({ unit }) => unit.watched === null || alike.get(unit.watched) !== alike.get(unit))
    .sort((a, b) => Number(a.status === "diverged") - Number(b.status === "diverged"))
  const lines = told.slice(0, mostFailures).map((failure) => {
    return `  ${failure.unit.label} ${endedHow(failure)}${othersText(waiting.get(failure.unit) ?? [])}`
  })
  const untold = told.length - lines.length
  return [
    `${[...counts, ...mishaps({ ...others, failed: 0 })].join(", ")} in ${formatSeconds(seconds)}`,
    ...lines,
    ...(untold > 0 ? [`  and ${plural(untold, "unit")} more; summary.json has them all`] : []),
  ]
}

/** What was not made because one unit was not: what needed it, and what only this needed in turn. */
const othersText = (failures: readonly Failure[]): string => {
  const blocked = failures.filter(({ kind }) => kind === "blocked").length
  const unneeded = failures.length - blocked
  const parts = [
    ...(blocked === 0 ? [] : [`${plural(blocked, "dependent unit")} not started`]),
    ...(unneeded === 0 ? [] : [`${plural(unneeded, "unit")} that nothing else needs not started or stopped`]),
  ]
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`
}

/** Whether a plan did what was asked of it: a divergence is a result, but not of a target that needs what diverged. */
export const hasFailed = ({ graph }: Plan, { failures }: Summary): boolean => {
  const missing = new Set(failures.flatMap(({ unit, without }) => (without === undefined ? [] : [unit])))
  return (
    failures.some(({ status, without }: Failure) => status === "failed" && without === undefined) ||
    Object.values(graph.targets).some((units) => units.some((unit) => missing.has(unit)))
  )
}
