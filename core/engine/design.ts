/** What the plugins of a pipeline's targets say before anything runs about what its results can show. */
import { Effect } from "effect"
import { InvalidInput } from "../io/decode.ts"
import { plural } from "../io/format.ts"
import { differencesOf } from "./differences.ts"
import { type Graph, thrownAt } from "./graph.ts"
import { estimatesOfInputs, type Unit } from "./unit.ts"

/** Sentences by target; only of those targets whose plugins say something. */
export type Design = ReadonlyMap<string, readonly string[]>

/** A plugin's function that speaks of its design; the nodes of the graph were typed. */
type Speaking = (options: unknown, inputs: unknown, differences: unknown) => readonly string[]

/**
 * What the targets' plugins say by their `design`, and after that by their `confounders`.
 *
 * @throws InvalidInput naming the plugins whose functions failed
 */
export const designOf = (graph: Graph): Effect.Effect<Design, InvalidInput> =>
  saidBy(graph, ["design", "confounders"])

/**
 * What the targets' plugins say by their `confounders`, each sentence once.
 *
 * @throws InvalidInput naming the plugins whose functions failed
 */
export const confoundersOf = (graph: Graph): Effect.Effect<readonly string[], InvalidInput> =>
  Effect.map(saidBy(graph, ["confounders"]), (said) => [...new Set([...said.values()].flat())])

/** More warnings than this are counted. */
const mostWarnings = 3

/** What a run warns of when it starts. */
export const confounderWarnings = (sentences: readonly string[]): readonly string[] => {
  const [shown, more] = [sentences.slice(0, mostWarnings), sentences.length - mostWarnings]
  return [
    ...shown.map((sentence) => `warning: ${sentence}`),
    ...(more > 0 ? [`warning: ${plural(more, "more sentence")} about confounders: see --plan`] : []),
  ]
}

const saidBy = (
  { targets }: Graph,
  functions: readonly ("design" | "confounders")[],
): Effect.Effect<Design, InvalidInput> =>
  Effect.suspend(() => {
    const problems = new Set<string>()
    const saidOf = (unit: Unit): readonly string[] => {
      const { plugin, options, inputs, watched } = unit
      return functions.flatMap((name) => {
        try {
          const speak = plugin[name] as Speaking | undefined
          return speak?.(options, estimatesOfInputs(plugin, inputs, watched), differencesOf(unit)) ?? []
        } catch (cause) {
          problems.add(`${plugin.name}: its ${name} failed: ${thrownAt(cause)}`)
          return []
        }
      })
    }
    const design = Object.entries(targets)
      .map(([target, units]) => [target, [...new Set(units.flatMap(saidOf))]] as const)
      .filter(([, sentences]) => sentences.length > 0)
    return problems.size > 0
      ? Effect.fail(new InvalidInput({ what: "the plan cannot be made", problems: [...problems] }))
      : Effect.succeed(new Map(design))
  })
