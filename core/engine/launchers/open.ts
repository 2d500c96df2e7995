/** Opens a launch again, in another process: its graph from the code that was copied for it. */
import { Data, Effect } from "effect"
import { pinCommits } from "../../hub/revision.ts"
import { openBranch } from "../branch.ts"
import { declaredBackend } from "../discover.ts"
import { digestOfUnits } from "../graph.ts"
import { computingOf } from "../key.ts"
import type { Launch } from "../launch.ts"
import { loadPipeline, openPipeline } from "../load.ts"
import type { Publication } from "../publish.ts"

/** A launch whose code gives other units than those that were launched. */
export class LaunchChanged extends Data.TaggedError("LaunchChanged")<{ readonly launch: Launch }> {
  override get message() {
    const { id, file } = this.launch
    return `the launch ${id} cannot go on: ${file}, or what it imports, gives other units here than where it was launched; launch it again with the same command`
  }
}

/**
 * The graph of a launch, the keys of the units that its jobs give, and how its report is published.
 *
 * @param out the folder of the store
 * @throws LaunchChanged if its units are not those that were launched
 */
export const openLaunch = Effect.fn("openLaunch")(function* (out: string, launch: Launch) {
  // Not of this machine, which may have no GPU: a worker process looks before it computes.
  const computing = computingOf(yield* declaredBackend(launch.backend), launch.precision, launch.model)
  yield* pinCommits(launch.revisions)
  const { parameters, branch, command } = launch
  const given: ReadonlySet<string> = new Set(
    launch.jobs.flatMap(({ unit, wanted, observers }) =>
      [...(wanted ? [unit] : []), ...observers].map((place) => launch.units[place]!.key),
    ),
  )
  const open = Effect.fnUntraced(function* (file: string) {
    const definition = yield* loadPipeline(file)
    const whole = yield* openPipeline(file, definition, parameters, computing)
    const branched = branch === null ? undefined : yield* openBranch(whole, definition, branch, computing)
    const graph = branched?.graph ?? whole
    if (digestOfUnits(graph) !== launch.digest) return yield* new LaunchChanged({ launch })
    const publication: Publication = {
      out,
      pipeline: definition.name,
      parameters,
      branch: branched && { request: branch!, name: branched.name },
      command,
    }
    return { graph, given, publication }
  })
  // As for workers: units may depend on where the code lies, and then the copy was not used from the beginning.
  const { file, code } = launch
  return yield* file === code.file
    ? open(file)
    : Effect.catchTag(open(code.file), "LaunchChanged", () => open(file))
})
