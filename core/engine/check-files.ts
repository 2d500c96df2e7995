/** Whether the files that a plan reads hold what their plugins expect: asked before anything runs. */
import { Effect } from "effect"
import type { PluginError } from "../api/plugin.ts"
import { Progress } from "../api/progress.ts"
import { InvalidInput } from "../io/decode.ts"
import { checkPassed, passCheck } from "./check-cache.ts"
import { keyOf } from "./key.ts"
import { type Plan, unitStates } from "./plan.ts"
import type { Unit } from "./unit.ts"

type CheckFiles = (options: unknown) => Effect.Effect<void, PluginError, Progress>

/** A check takes no longer than planning does, of which no progress is shown. */
const silent = Progress.of({ report: () => Effect.void })

/**
 * Has the plugins of a plan check the files that they read, for every unit that is to be made. What passed is not
 * checked again until the files, the options or the plugin's code change.
 *
 * @throws InvalidInput with the problems of all units
 */
export const checkFiles = Effect.fn("checkFiles")(function* (plan: Plan) {
  const states = unitStates(plan)
  const problems: string[] = []
  const passed: string[] = []
  for (const unit of plan.graph.units) {
    const check = unit.plugin.checkFiles as CheckFiles | undefined
    if (check === undefined || states.get(unit) !== "to do") continue
    const key = checkKey(unit)
    if (checkPassed(key)) continue
    const result = yield* Effect.result(Effect.provideService(check(unit.options), Progress, silent))
    if (result._tag === "Success") passed.push(key)
    else problems.push(...problemsOf(result.failure).map((problem) => `${unit.label}: ${problem}`))
  }
  passCheck(passed)
  if (problems.length === 0) return
  return yield* new InvalidInput({ what: "files that this plan reads", problems: [...new Set(problems)] })
})

/** A unit's key without what the check does not see: its inputs, and what computes it. */
const checkKey = ({ parts }: Unit): string => keyOf({ ...parts, inputs: {}, watched: null, backend: null })

const problemsOf = (error: PluginError): readonly string[] =>
  error instanceof InvalidInput
    ? error.problems.map((problem) => `${error.what}: ${problem}`)
    : [error.message]
