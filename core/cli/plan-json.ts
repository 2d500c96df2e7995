/** `--plan --json`. */
import type { Design } from "../engine/design.ts"
import { type Plan, unitStates } from "../engine/plan.ts"

/** @param report the folder that the report will be in */
export const planJson = (plan: Plan, design: Design, report: string): string => {
  const states = unitStates(plan)
  const replays = new Map(plan.jobs.flatMap((job) => (job.wanted ? [] : [[job.unit, job.own] as const])))
  const units = plan.graph.units.map((unit) => ({
    key: unit.key,
    label: unit.label,
    stage: unit.plugin.stage,
    plugin: unit.plugin.name,
    options: unit.options,
    state: states.get(unit),
    reason: plan.reasons.get(unit.key) ?? null,
    cost: replays.get(unit) ?? unit.cost,
  }))
  return JSON.stringify(
    { backend: plan.backend, estimate: plan.estimate, report, units, design: Object.fromEntries(design) },
    null,
    1,
  )
}
