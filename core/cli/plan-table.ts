/** A plan as text: the units by cohort, what is done already, and what the rest will cost. */
import { CliOutput } from "effect/cli"
import { type Stage, stages } from "../api/stage.ts"
import type { Design } from "../engine/design.ts"
import { cohortLabel } from "../engine/label.ts"
import { type Plan, type UnitState, unitStates } from "../engine/plan.ts"
import type { Unit } from "../engine/unit.ts"
import { formatBytes, formatFlops, formatSeconds, plural, printable } from "../io/format.ts"
import { nothingToDo, workCounts } from "./run-lines.ts"
import { withoutMiddle, wrapped } from "./text-width.ts"

interface Group {
  readonly label: string
  readonly stage: Stage
  units: Unit[]
}

/**
 * @param design what the targets' plugins say about it
 * @param width of the terminal; if the table is wider, the labels are shortened
 */
export const planLines = (name: string, plan: Plan, design: Design, width: number): readonly string[] => {
  const groups = new Map<string, Group>()
  for (const unit of plan.graph.units) {
    // The members of a cohort differ only in their seed and share a line.
    const label = cohortLabel(unit.label)
    const group = groups.get(`${unit.plugin.stage} ${label}`) ?? {
      label,
      stage: unit.plugin.stage,
      units: [],
    }
    group.units.push(unit)
    groups.set(`${unit.plugin.stage} ${label}`, group)
  }
  const ordered = [...groups.values()].sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage))
  const states = unitStates(plan)
  const replays = new Map(plan.jobs.flatMap((job) => (job.wanted ? [] : [[job.unit, job.own] as const])))
  const are = (units: readonly Unit[], state: UnitState) => units.filter((unit) => states.get(unit) === state)
  const rows = ordered.map(({ label, stage, units }) => {
    const run = [...are(units, "to do"), ...are(units, "replayed")]
    const flops = run.reduce((sum, unit) => sum + (replays.get(unit) ?? unit.cost).flops, 0)
    const arithmetic = flops === 0 ? "" : formatFlops(flops)
    return [
      stage,
      label,
      String(units.length),
      stateOf(units, states),
      arithmetic,
      whyOf(units, plan.reasons),
    ]
  })
  const header = ["stage", "units", "", "state", "arithmetic", "why"]
  const table = columns([header, ...rows], 1, width) ?? stacked(rows, width)
  const { estimate } = plan
  const basis = estimate.measured ? "measured on finished units" : "assumed"
  const costs = [
    ["arithmetic", formatFlops(estimate.flops)],
    [
      "time",
      `about ${formatSeconds(estimate.seconds)} on ${plural(estimate.processes, "process")} with backend ${plan.backend} (${formatFlops(estimate.flopsPerSecond)}/s in each, ${basis})`,
    ],
    ["memory", `about ${formatBytes(estimate.memory)}`],
    ["disk", `${formatBytes(estimate.disk)} kept, up to ${formatBytes(estimate.scratch)} more while it runs`],
  ] as const
  return [
    ...wrapped(headOf(name, plan, states), width),
    "",
    ...table,
    "",
    ...costs.flatMap(([what, text]) => hanging(what.padEnd(costsIndent), text, width)),
    ...[...design].flatMap(([target, sentences]) => [
      "",
      ...wrapped(`${target}: what this design can show`, width),
      ...sentences.flatMap((sentence) => hanging("  - ", printable(sentence), width)),
    ]),
  ]
}

/** `sample: 4 runs, 4 probes and 2 other units to do`, `sample: 3 runs to do, 7 units done`. */
const headOf = (name: string, plan: Plan, states: ReadonlyMap<Unit, UnitState>): string => {
  if (plan.jobs.length === 0) return `${name}: ${nothingToDo(plan)}`
  const done = plan.graph.units.filter((unit) => ["done", "diverged"].includes(states.get(unit)!)).length
  return `${name}: ${workCounts(plan)}${done === 0 ? "" : `, ${plural(done, "unit")} done`}`
}

/** The column at which costs start. */
const costsIndent = 12

/** `text` after `begin`, its further lines below its start. */
const hanging = (begin: string, text: string, width: number): readonly string[] =>
  wrapped(text, width - begin.length).map((line, i) => `${i === 0 ? begin : " ".repeat(begin.length)}${line}`)

const words: Readonly<Record<UnitState, string>> = {
  done: "done",
  diverged: "diverged",
  "to do": "to do",
  replayed: "replayed",
  absent: "not needed",
}

const stateOf = (units: readonly Unit[], states: ReadonlyMap<Unit, UnitState>): string =>
  Object.entries(words)
    .map(([state, word]) => [units.filter((unit) => states.get(unit) === state).length, word] as const)
    .filter(([count]) => count > 0)
    .map(([count, word]) => (units.length === 1 ? word : `${count} ${word}`))
    .join(", ")

/** The reasons of the units of a line; with counts unless all have the same. */
const whyOf = (units: readonly Unit[], reasons: Plan["reasons"]): string => {
  const given = units.flatMap(({ key }) => reasons.get(key) ?? [])
  const kinds = [...Map.groupBy(given, (reason) => reason)]
  return kinds.length === 1 && given.length === units.length
    ? given[0]!
    : kinds.map(([reason, { length }]) => `${reason} (${length})`).join(", ")
}

const { displayWidth } = CliOutput

/** The narrowest that the elastic column becomes. */
const narrowestColumn = 16
const gap = "  "

/**
 * Rows as columns; if they are wider than `width`, the cells of the column `elastic` lose their middle. undefined if
 * that is not enough.
 */
const columns = (
  rows: readonly (readonly string[])[],
  elastic: number,
  width: number,
): readonly string[] | undefined => {
  const widths = rows[0]!.map((_, column) =>
    rows.reduce((most, row) => Math.max(most, displayWidth(row[column]!)), 0),
  )
  const excess = widths.reduce((sum, each) => sum + each, gap.length * (widths.length - 1)) - width
  const room = widths[elastic]! - Math.max(0, excess)
  if (room < Math.min(narrowestColumn, widths[elastic]!)) return undefined
  widths[elastic] = room
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const text = column === elastic ? withoutMiddle(cell, room) : cell
        return text + " ".repeat(widths[column]! - displayWidth(text))
      })
      .join(gap)
      .trimEnd(),
  )
}

/** The same for a narrow terminal: each row on lines of its own, its label first. */
const stacked = (rows: readonly (readonly string[])[], width: number): readonly string[] =>
  rows.flatMap(([stage, label, _, state, arithmetic, why], index) => [
    ...(rows[index - 1]?.[0] === stage ? [] : [stage!]),
    ...hanging("  ", label!, width),
    ...hanging("    ", [state!, arithmetic!, why!].filter((cell) => cell !== "").join("; "), width),
  ])
