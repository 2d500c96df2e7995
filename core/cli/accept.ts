/** `--accept`: taking over what was made before an edit that changes no result. */
import { join } from "node:path"
import { Effect } from "effect"
import {
  type Adoption,
  adopt,
  adoptionsOf,
  compareSample,
  type Sample,
  sampleOf,
  storedOf,
} from "../engine/accept.ts"
import type { Summary } from "../engine/execute.ts"
import type { EstimateSettings, Plan } from "../engine/plan.ts"
import { Store } from "../engine/store/store.ts"
import type { Stored } from "../engine/store/stored.ts"
import { lockFile } from "../io/file-lock.ts"
import { remove } from "../io/files.ts"
import { formatSeconds, plural } from "../io/format.ts"

/**
 * Takes over what differs from the plan's units in these names alone, once a sample of it was computed again.
 *
 * @param before what there is to do without that
 * @param carryOut of the sample, in a store of its own; undefined if nothing is to be computed or taken over
 * @returns what a plan has to assume to be in the store besides what it has
 */
export const accepted = Effect.fnUntraced(function* <E, R>(
  names: readonly string[],
  before: Plan,
  settings: EstimateSettings,
  carryOut: ((sample: Plan, folder: string) => Effect.Effect<Summary, E, R>) | undefined,
) {
  const { root } = yield* Store
  const adoptions = yield* adoptionsOf(before, names)
  const sample = sampleOf(adoptions, settings)
  process.stderr.write(`${acceptLine(names, adoptions, sample, carryOut === undefined)}\n`)
  if (carryOut === undefined) return storedOf(adoptions, "")
  const scratch = join(root, "scratch", "accept")
  yield* Effect.scoped(
    Effect.gen(function* () {
      // Of two processes that accept at once, one computes the sample after the other.
      yield* lockFile(join(root, "owners", "accept.lock"))
      yield* remove(scratch)
      yield* compareSample(before, adoptions, sample.adoptions, scratch, (again) =>
        Effect.provide(carryOut(again, scratch), Store.layer(scratch)),
      ).pipe(Effect.ensuring(remove(scratch)))
      yield* adopt(adoptions, sample.adoptions)
    }),
  )
  return new Map<string, Stored>()
})

/** What is taken over, and what is computed again first. */
const acceptLine = (
  names: readonly string[],
  adoptions: readonly Adoption[],
  sample: Sample,
  planOnly: boolean,
): string => {
  const which = `--accept ${names.join(" ")}`
  if (adoptions.length === 0) return `${which}: nothing in the store differs in that alone`
  const again = sample.adoptions.length
  const before =
    again === 0
      ? ""
      : `, once ${plural(again, "unit")} computed again (about ${formatSeconds(sample.seconds)}) ${again === 1 ? "has" : "have"} the same bits`
  return `${which}: ${plural(adoptions.length, "unit")} ${planOnly ? "would be" : "will be"} reused${before}`
}
