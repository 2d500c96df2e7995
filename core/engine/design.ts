/** What the plugins of a pipeline's targets say before anything runs about what its results can show. */
import { Effect } from "effect"
import { InvalidInput } from "../io/decode.ts"
import { type Graph, thrownAt } from "./graph.ts"
import { estimatesOfInputs, type Unit } from "./unit.ts"

/** Sentences by target; only of those targets whose plugins have a `design` that says something. */
export type Design = ReadonlyMap<string, readonly string[]>

/** @throws InvalidInput naming the plugins whose `design` failed */
export const designOf = ({ targets }: Graph): Effect.Effect<Design, InvalidInput> =>
  Effect.suspend(() => {
    const problems = new Set<string>()
    const saidOf = (unit: Unit): readonly string[] => {
      try {
        return sentencesOf(unit)
      } catch (cause) {
        problems.add(`${unit.plugin.name}: its design failed: ${thrownAt(cause)}`)
        return []
      }
    }
    const design = Object.entries(targets)
      .map(([target, units]) => [target, [...new Set(units.flatMap(saidOf))]] as const)
      .filter(([, sentences]) => sentences.length > 0)
    return problems.size > 0
      ? Effect.fail(new InvalidInput({ what: "the plan cannot be made", problems: [...problems] }))
      : Effect.succeed(new Map(design))
  })

const sentencesOf = ({ plugin, options, inputs, watched }: Unit): readonly string[] => {
  // The wiring was checked, so these are estimates of the kinds that the plugin takes.
  const design = plugin.design as ((options: unknown, inputs: unknown) => readonly string[]) | undefined
  return design?.(options, estimatesOfInputs(plugin, inputs, watched)) ?? []
}
