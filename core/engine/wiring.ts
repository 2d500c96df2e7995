/** Checks that targets and inputs are nodes or cohorts of the right kind: pipeline files run without a type check. */
import { describeLabels } from "../api/pipeline.ts"
import type { AnyPlugin, Cohort, Node } from "../api/plugin.ts"

/** Why `value` is not a node that gives artifacts of `kind` (of any kind if undefined); undefined if it is. */
const nodeProblem = (value: unknown, kind: string | undefined): string | undefined => {
  const expected = kind === undefined ? "a plugin's result" : `a plugin's result of kind ${kind}`
  if (!isNode(value)) return `expected ${expected}, found ${describe(value)}`
  const { name, gives } = value.plugin
  return kind === undefined || gives.name === kind
    ? undefined
    : `expected ${expected}, found ${name}, which gives ${gives.name}`
}

/** What to do with a cohort where a list of them is expected. */
const inList = (value: unknown): string => (isCohort(value) ? "; put it in a list, as in [runs]" : "")

const cohortsProblem = (value: unknown, kind: string | undefined): string | undefined => {
  const cohorts = kind === undefined ? "cohorts" : `cohorts of kind ${kind}`
  if (!Array.isArray(value)) return `expected a list of ${cohorts}, found ${describe(value)}${inList(value)}`
  for (const cohort of value as readonly unknown[]) {
    if (!isCohort(cohort)) return `expected a list of ${cohorts}, found ${describe(cohort)} in it`
    for (const { node } of cohort.members) {
      const problem = nodeProblem(node, kind)
      if (problem !== undefined) return `in the cohort ${describeLabels(cohort.labels)}: ${problem}`
    }
  }
  return undefined
}

/** Why `value` cannot be a target of a pipeline, which is a node or a list of cohorts; undefined if it can. */
export const targetProblem = (value: unknown): string | undefined =>
  (Array.isArray(value) && value.length > 0) || isCohort(value)
    ? cohortsProblem(value, undefined)
    : nodeProblem(value, undefined)

const watchProblem = ({ plugin: { name, watchable } }: Node): string | undefined =>
  watchable
    ? undefined
    : `expected a run that probes can watch, found ${name}, which shows them nothing; \`bun run plugins\` lists what can be watched`

/** Why `value` cannot be wired to the input `name` of a plugin; undefined if it can. */
export const inputProblem = (plugin: AnyPlugin, name: string, value: unknown): string | undefined => {
  if (name === plugin.watches) return nodeProblem(value, undefined) ?? watchProblem(value as Node)
  const take = plugin.takes[name]!
  if ("cohorts" in take) return cohortsProblem(value, take.cohorts.name)
  return nodeProblem(value, "optional" in take ? take.optional.name : take.name)
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isNode = (value: unknown): value is Node => isRecord(value) && "plugin" in value && "inputs" in value

const isCohort = (value: unknown): value is Cohort =>
  isRecord(value) &&
  isRecord(value["labels"]) &&
  Array.isArray(value["members"]) &&
  value["members"].every(isRecord)

const describe = (value: unknown): string => {
  if (isNode(value)) return `the single result of ${value.plugin.name}`
  if (isCohort(value)) return "a single cohort"
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list"
  return typeof value === "object" && value !== null ? "an object" : String(value)
}
