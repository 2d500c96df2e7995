/** `--branch RUN@STEP`: finds a run of a pipeline by its name, and plans a branch of it beside the run. */
import { Effect } from "effect"
import { branch } from "../api/branch.ts"
import type { Pipeline, Targets } from "../api/pipeline.ts"
import { type Cohort, type Node, nodeOf } from "../api/plugin.ts"
import { InvalidInput } from "../io/decode.ts"
import { sha256 } from "../io/digest.ts"
import { nearestName } from "../io/nearest-name.ts"
import { describeOptions } from "../io/options.ts"
import { components, reportNamed } from "./discover.ts"
import { type Graph, graphOf } from "./graph.ts"
import type { Computing } from "./key.ts"
import { settings } from "./settings.ts"
import { Store } from "./store/store.ts"
import type { Unit } from "./unit.ts"
import { unitsNamed, wordsOf } from "./unit-name.ts"

/** What to branch, as the command line has it. JSON: worker processes open the same branch. */
export interface BranchRequest {
  /** A part of the run's label, the start of its key, or the folder of its artifact. */
  readonly run: string
  /** The step: how many updates the branch shares with the run. */
  readonly at: number
  /** What changes there, each `name=value`. */
  readonly set: readonly string[]
}

/** A graph of a run, its branch, and what compares them. */
export interface BranchGraph {
  readonly graph: Graph
  readonly run: Unit
  /** The name of the folder for its results. */
  readonly name: string
}

/** What comes before the name of a pipeline's parameter, so that it differs from a run's option of the same name. */
export const pipelinePrefix = "pipeline."

/** @throws InvalidInput unless `text` is RUN@STEP */
export const branchRequest = (
  text: string,
  set: readonly string[],
): Effect.Effect<BranchRequest, InvalidInput> => {
  const at = text.lastIndexOf("@")
  const [run, step] = [text.slice(0, at).trim(), text.slice(at + 1).trim()]
  return at > 0 && run !== "" && /^\d{1,15}$/.test(step)
    ? Effect.succeed({ run, at: Number(step), set })
    : Effect.fail(refused(text, ["expected RUN@STEP, such as 'seed=2 lr=1e-3@50'"]))
}

const refused = (text: string, problems: readonly string[]) =>
  new InvalidInput({ what: `--branch ${text}`, problems })

/**
 * The graph of a branch.
 *
 * @param graph of the whole pipeline `definition`
 * @throws InvalidInput if there is no such run or step, or what is set cannot change
 */
export const openBranch = Effect.fn("openBranch")(function* (
  graph: Graph,
  definition: Pipeline,
  request: BranchRequest,
  computing: Computing,
) {
  const run = yield* runNamed(graph, request.run)
  const { plugin, label } = run
  const last = run.replay?.length.steps
  if (last !== undefined && request.at > last) {
    const problem = `expected a step from 0 to ${last}, the end of ${label}, found ${request.at}`
    return yield* refused(`${request.run}@${request.at}`, [problem])
  }
  const set = yield* changesOf(run, definition, request)
  const { node, memberships } = graph.origins.get(run)!
  const { labels, seed } = memberships[0] ?? { labels: { run: "original" }, seed: seedOf(run) }
  const changed = request.set.map((assignment) => assignment.replaceAll(/\s+/g, ""))
  const words = `${changed.join(",")}@${request.at}`
  const cohortOf = (more: Cohort["labels"], made: Node): Cohort => ({
    labels: { ...labels, ...more },
    members: [{ seed, node: made }],
  })
  const original = cohortOf({}, node)
  const branches = cohortOf({ branch: words }, branch(node, { at: request.at, set }))
  const targets: Targets = yield* plugin.comparedBy === undefined
    ? Effect.succeed({ original: [original], branch: [branches] })
    : Effect.map(reportOf(plugin.comparedBy, plugin.name), (report) => ({
        report: nodeOf(report, {
          title: `${label}, and ${changed.join(", ")} from step ${request.at}`,
          at: request.at,
          runs: [original, branches],
        }),
      }))
  return {
    graph: yield* graphOf(targets, computing),
    run,
    name: folderName(`branch ${label.replace(`${plugin.name} `, "")} ${words}`),
  } satisfies BranchGraph
})

/**
 * Refuses a branch after the end of a run that has diverged.
 *
 * @throws InvalidInput if the run is known to end before the step
 */
export const checkReached = Effect.fn("checkReached")(function* (
  run: Unit,
  { at, run: text }: BranchRequest,
) {
  const stored = yield* (yield* Store).stored(run)
  if (stored.status !== "diverged") return
  const { step, reason } = stored.failure
  if (step === undefined || at <= step) return
  const problem = `${run.label} diverged at step ${step} (${reason}): expected a step from 0 to ${step}, found ${at}`
  return yield* refused(`${text}@${at}`, [problem])
})

/** What changes, as the run's plugin takes it. */
const changesOf = Effect.fnUntraced(function* (
  { plugin }: Unit,
  definition: Pipeline,
  request: BranchRequest,
) {
  const schema = plugin.changes!
  const known = describeOptions(schema).map(({ name }) => name)
  if (request.set.length === 0) {
    const problem = `expected what changes at this step, as --set name=value with ${known.join(", ")}`
    return yield* refused(`${request.run}@${request.at}`, [problem])
  }
  const parameters = describeOptions(definition.parameters).map(({ name }) => name)
  const unknown = (name: string) =>
    parameters.includes(name)
      ? `${plugin.name} has no option ${name} that can change during a run; for the parameter of ${definition.name}, write --set ${pipelinePrefix}${name}=…`
      : undefined
  const set = yield* settings(
    { what: plugin.name, kind: "option", schema, components: yield* components(), unknown },
    request.set,
  )
  return set as Readonly<Record<string, unknown>>
})

const reportOf = Effect.fnUntraced(function* (name: string, plugin: string) {
  const report = yield* reportNamed(name)
  return (
    report ??
    (yield* new InvalidInput({
      what: plugin,
      problems: [`expected the report that it is compared by, found none called ${name}`],
    }))
  )
})

const seedOf = ({ options }: Unit): number => (typeof options["seed"] === "number" ? options["seed"] : 0)

/** The longest name of a folder, before the digest that tells longer ones apart. */
const longestName = 120

/** A text as the name of a folder. */
export const folderName = (text: string): string => {
  const name = text.replaceAll(/[^A-Za-z0-9.,=@]+/g, "-").replace(/-$/, "")
  return name.length <= longestName ? name : `${name.slice(0, longestName)}-${sha256(name).slice(0, 8)}`
}

// --- names of runs -----------------------------------------------------------------------------------------

/** Labels that a message lists. */
const mostListed = 8

const named = (unit: Unit) => ({ label: unit.label, key: unit.key, plugin: unit.plugin.name, unit })

/** The one run of the graph that a text stands for. */
const runNamed = Effect.fnUntraced(function* (graph: Graph, text: string) {
  const runs = graph.units.filter(({ plugin }) => plugin.changes !== undefined)
  const found = unitsNamed(runs.map(named), text).map(({ unit }) => unit)
  const [run, ...others] = found
  if (run !== undefined && others.length === 0) return run
  const labels = (found.length === 0 ? runs : found).map(({ label }) => label)
  const listed = [...labels.slice(0, mostListed), ...(labels.length > mostListed ? ["…"] : [])].join("; ")
  if (found.length > 0) {
    return yield* refused(text, [`expected the name of one run, found ${found.length}: ${listed}`])
  }
  if (runs.length === 0) return yield* refused(text, ["the pipeline has no run whose options can change"])
  const [other] = unitsNamed(graph.units.map(named), text)
  if (other !== undefined) {
    const problem = `expected a run whose options can change while it runs, found ${other.label}; there are ${listed}`
    return yield* refused(text, [problem])
  }
  const near = nearestRun(labels, text)
  return yield* refused(text, [
    `there is no such run; ${near === undefined ? `there are ${listed}` : `did you mean ${near}?`}`,
    `runs that were made with other parameters of the pipeline need them here too, as --set ${pipelinePrefix}NAME=value`,
  ])
})

/** The label that was probably meant: of those with all the given words, or names near them, the one with most of them. */
const nearestRun = (labels: readonly string[], text: string): string | undefined => {
  const given = wordsOf(text)
  return labels
    .map((label) => ({ label, words: label.split(" ") }))
    .filter(({ words }) => given.every((word) => nearestName(word, words) !== undefined))
    .map(({ label, words }) => ({ label, same: given.filter((word) => words.includes(word)).length }))
    .sort((a, b) => b.same - a.same)[0]?.label
}
