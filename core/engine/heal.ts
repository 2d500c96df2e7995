/** Damage in a store stops nothing: what is damaged is set aside, told, and made again where it is needed. */
import { Effect } from "effect"
import type { Summary } from "./execute.ts"
import type { Plan } from "./plan.ts"
import { DamagedArtifact, damageLine, type SetAside } from "./store/damage.ts"
import { Store } from "./store/store.ts"
import { recordOf } from "./store/stored.ts"
import type { Unit } from "./unit.ts"

/** The units of a plan that the store has damaged, and what is wrong with them. */
const damagedIn = ({ graph, stored }: Plan): readonly (readonly [unit: Unit, damaged: string])[] =>
  graph.units.flatMap((unit) => {
    const found = stored.get(unit.key)!
    return found.status === "diverged" || found.damaged === undefined ? [] : [[unit, found.damaged] as const]
  })

/** What the plan would set aside, a line each. */
export const damagedLines = (plan: Plan): readonly string[] =>
  damagedIn(plan).map(([{ label }, damaged]) => `damaged: ${label}: ${damaged}; a run sets it aside`)

/** Sets aside what the plan found damaged, and writes anew what is lost of `sources`. The plan stays as it is. */
export const setAsideDamaged = Effect.fnUntraced(function* (plan: Plan) {
  const store = yield* Store
  const aside: SetAside[] = []
  for (const [unit] of damagedIn(plan)) aside.push(...(yield* store.setAside(unit)))
  const codes = new Map<string, Unit>()
  for (const unit of plan.graph.units) {
    const parts = recordOf(plan.stored.get(unit.key)!)?.parts
    if (parts !== undefined) codes.set(`${parts.code} ${parts.backend?.code}`, unit)
  }
  for (const unit of codes.values()) aside.push(...(yield* store.restoreCode(unit)))
  return aside.map(damageLine)
})

/** More often than this, a store that is damaged again and again is not planned again. */
const mostRounds = 5

/**
 * Carries out a plan and publishes what it gives. If damage in the store comes to light only then, when a file is read,
 * it is planned again, and what was damaged and what needed it is made.
 *
 * @param replan makes the next plan
 * @param tell receives what was damaged, a line each
 */
export const carryOutHealing = Effect.fnUntraced(function* <A, E1, R1, E2, R2, E3, R3>(
  first: Plan,
  replan: Effect.Effect<Plan, E1, R1>,
  carryOut: (plan: Plan) => Effect.Effect<Summary, E2, R2>,
  publish: (plan: Plan, summary: Summary) => Effect.Effect<A, E3 | DamagedArtifact, R3>,
  tell: (line: string) => void,
) {
  let plan = first
  let before = 0
  for (let round = 1; ; round++) {
    const last = yield* carryOut(plan)
    const summary = { ...last, made: before + last.made, reused: Math.max(0, last.reused - before) }
    const damaged = new Set(last.failures.flatMap(({ kind, reason }) => (kind === "input" ? [reason] : [])))
    if (damaged.size === 0 || round === mostRounds) {
      const published = yield* Effect.catchIf(
        publish(plan, summary),
        (error): error is DamagedArtifact => error instanceof DamagedArtifact && round < mostRounds,
        (error) =>
          Effect.as(
            Effect.sync(() => damaged.add(error.message)),
            undefined,
          ),
      )
      if (published !== undefined) return { plan, summary, published }
    }
    for (const line of damaged) tell(line)
    before = summary.made
    plan = yield* replan
  }
})
