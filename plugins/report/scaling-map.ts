import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, type Labels, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { plural } from "../../core/io/format.ts"
import { cellsOf } from "./scaling-map/cells.ts"
import { scalingFigure } from "./scaling-map/figure.ts"
import { Options } from "./scaling-map/options.ts"
import { Observed } from "./shared/observed.ts"
import { settledFacts } from "./shared/provenance.ts"
import { reportFiles } from "./shared/report.ts"

const takes = { runs: cohorts(Run), observations: cohorts(Observed) }

/**
 * A metric, or what a probe observes, over two labels of the runs, such as batch size and learning rate, with lines
 * along which one is in proportion to a power of the other: the linear and the square-root scaling of learning rates
 * (Goyal et al. 2017; Krizhevsky 2014).
 */
export const scalingMap = plugin({
  name: "scaling-map",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "A metric or an observation over batch size and learning rate, with scaling laws",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  estimate: (options, { runs, observations }) => {
    const given = options.column === undefined ? runs : observations
    const problems = [
      ...(given.length > 0 ? [] : [options.column === undefined ? "expected runs" : "expected observations"]),
      ...[...runs, ...observations].flatMap(({ labels }) => labelProblems(options, labels)),
      ...(observations.every(({ members }) =>
        members.every(
          ({ estimate: { columns } }) =>
            options.column === undefined || columns.length === 0 || columns.includes(options.column),
        ),
      )
        ? []
        : [`column: expected one that all observations have, found ${options.column}`]),
    ]
    if (problems.length > 0) throw refused(options, [...new Set(problems)])
    return {
      artifact: {},
      cost: cost({ memory: 5e8, disk: 1e5 + 500 * (runs.length + observations.length) }),
    }
  },
  run: Effect.fn("scaling-map")(function* ({
    options,
    inputs,
    backend,
    provenance,
  }: RunContext<Options, typeof takes, unknown>) {
    const { cells, metric } = cellsOf(options, inputs.runs, inputs.observations)
    const count = (of: "failures" | "ended") => cells.reduce((sum, cell) => sum + cell[of], 0)
    const origin = yield* provenance
    const report = {
      title: options.title,
      headline: [`${plural(count("ended"), "run")} ended, of which ${count("failures")} failed.`],
      sections: [{ title: `${options.x} and ${options.y}`, parts: [scalingFigure(options, cells, metric)] }],
      facts: settledFacts(origin, backend),
    }
    return yield* reportFiles(report, origin, new Map())
  }),
})

const refused = ({ title }: Options, problems: readonly string[]) =>
  new InvalidInput({ what: `scaling-map "${title}"`, problems })

const labelProblems = ({ x, y, facet }: Options, labels: Labels): readonly string[] => [
  ...[x, y].flatMap((name) => {
    const value = labels[name]
    return typeof value === "number" && value > 0
      ? []
      : [`expected a number above 0 as the label ${name} of every cohort, found ${value ?? "none"}`]
  }),
  ...(facet === undefined || labels[facet] !== undefined
    ? []
    : [`facet: expected a label of every cohort, found ${facet}`]),
]
