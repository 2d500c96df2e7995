/** A plan as text: the units by cohort, what is done already, and what the rest will cost. */

import { type Stage, stages } from "../api/stage.ts"
import type { Unit } from "../engine/graph.ts"
import type { Plan } from "../engine/plan.ts"
import { formatBytes, formatFlops, formatSeconds, plural } from "../io/format.ts"

interface Group {
  readonly label: string
  readonly stage: Stage
  units: Unit[]
}

/** The members of a cohort differ only in their seed and share a line. */
const cohortOf = ({ label }: Unit): string => label.replace(/ seed=\d+$/, "")

export const planLines = (name: string, plan: Plan): readonly string[] => {
  const groups = new Map<string, Group>()
  for (const unit of plan.graph.units) {
    const label = cohortOf(unit)
    const group = groups.get(`${unit.plugin.stage} ${label}`) ?? {
      label,
      stage: unit.plugin.stage,
      units: [],
    }
    group.units.push(unit)
    groups.set(`${unit.plugin.stage} ${label}`, group)
  }
  const ordered = [...groups.values()].sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage))
  const todo = new Set(plan.jobs.flatMap((job) => [...(job.wanted ? [job.unit] : []), ...job.observers]))
  const rows = ordered.map(({ label, stage, units }) => {
    const flops = units.reduce((sum, unit) => sum + (todo.has(unit) ? unit.cost.flops : 0), 0)
    return [
      stage,
      label,
      String(units.length),
      stateOf(units, plan, todo),
      flops === 0 ? "" : formatFlops(flops),
    ]
  })
  const table = columns([["stage", "units", "", "state", "arithmetic"], ...rows])
  const { estimate } = plan
  const basis = estimate.measured ? "measured on finished units" : "assumed"
  return [
    `${name}: ${plural(plan.graph.units.length, "unit")}, ${todo.size} to do in ${plural(plan.jobs.length, "job")}`,
    "",
    ...table,
    "",
    `arithmetic  ${formatFlops(estimate.flops)}`,
    `time        about ${formatSeconds(estimate.seconds)} on ${estimate.processes === 1 ? "1 process" : `${estimate.processes} processes`} with backend ${plan.backend} (${formatFlops(estimate.flopsPerSecond)}/s in each, ${basis})`,
    `memory      about ${formatBytes(estimate.memory)}`,
    `disk        ${formatBytes(estimate.disk)} kept, up to ${formatBytes(estimate.scratch)} more while it runs`,
  ]
}

const stateOf = (units: readonly Unit[], plan: Plan, todo: ReadonlySet<Unit>): string => {
  const count = (test: (unit: Unit) => boolean) => units.filter(test).length
  const parts = [
    [count((unit) => plan.stored.get(unit.key)?.status === "done"), "done"],
    [count((unit) => plan.stored.get(unit.key)?.status === "diverged"), "diverged"],
    [count((unit) => todo.has(unit)), "to do"],
    [count((unit) => !todo.has(unit) && plan.stored.get(unit.key)?.status === "absent"), "not needed"],
  ] as const
  const present = parts.filter(([number]) => number > 0)
  return present.map(([number, word]) => (units.length === 1 ? word : `${number} ${word}`)).join(", ")
}

const columns = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => [...row[column]!].length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  )
}
