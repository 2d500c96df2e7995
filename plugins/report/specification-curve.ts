import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, type InputsEstimate, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { plural } from "../../core/io/format.ts"
import { confounderSentences } from "./shared/claims/confounders.ts"
import { designOf, evidenceOf } from "./shared/claims/evidence.ts"
import { claimProblems, planConfounded } from "./shared/claims/plan.ts"
import { confoundedOf } from "./shared/claims/report.ts"
import { Observed } from "./shared/observed.ts"
import { settledFacts } from "./shared/provenance.ts"
import { reportFiles } from "./shared/report.ts"
import { left, right, type Table } from "./shared/table.ts"
import { curveFigure, specificationText } from "./specification-curve/figure.ts"
import { Options } from "./specification-curve/options.ts"
import {
  type Curve,
  curvesOf,
  robustnessOf,
  type Specification,
  settingsOf,
} from "./specification-curve/specifications.ts"

const takes = { runs: cohorts(Run), observations: cohorts(Observed) }

/**
 * Claims under every specification of the settings that a study leaves open: which verdicts hold in all of them, which
 * flip, and by which setting. Runs and observations are labelled with their settings.
 */
export const specificationCurve = plugin({
  name: "specification-curve",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Claims under every specification of a study's open settings: which verdicts flip, and why",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  estimate: (options, inputs) => {
    const problems = plannedProblems(options, inputs)
    if (problems.length > 0) throw refused(options, problems)
    return { artifact: {}, cost: cost({ memory: 5e8, disk: 2e6 }) }
  },
  design: (options, { runs, observations }) => [
    ...[
      { what: "runs", claims: options.ofRuns, given: runs },
      { what: "observations", claims: options.ofObservations, given: observations },
    ].flatMap(({ what, claims, given }) => {
      if (claims.length === 0) return []
      const settings = settingsOf(options.presumed, given)
      const count = new Set(given.map(({ labels }) => JSON.stringify(settings.map((name) => labels[name]))))
        .size
      return [
        `${plural(claims.length, "claim")} about ${what} under ${plural(count, "specification")} of ${settings.join(", ")}: each is judged as in a study of its own, so of many verdicts some may be chance.`,
      ]
    }),
  ],
  confounders: (options, { runs, observations }, differences) =>
    confounderSentences([
      ...planConfounded(options.ofRuns, runs, {}, differences),
      ...planConfounded(options.ofObservations, [], { observations }, differences),
    ]),
  run: Effect.fn("specification-curve")(function* ({
    options,
    inputs,
    backend,
    provenance,
    differences,
  }: RunContext<Options, typeof takes, unknown>) {
    const { title, presumed } = options
    const curves = curvesOf(options, evidenceOf(inputs.runs, inputs.observations))
    const robust = curves.map((curve) => ({ ...curve, robustness: robustnessOf(presumed, curve) }))
    const { runs, observations } = inputs
    const confounded = [
      ...confoundedOf(options.ofRuns, { runs, observations: {} }, differences),
      ...confoundedOf(options.ofObservations, { runs: [], observations: { observations } }, differences),
    ]
    const origin = yield* provenance
    const report = {
      title,
      headline: curves.map((curve) => sentenceOf(presumed, curve)),
      sections: [
        {
          title: "Claims under every specification",
          sentences: confounderSentences(confounded),
          parts: [robustnessTable(presumed, curves), ...curves.map(curveFigure)],
        },
      ],
      facts: { presumed: specificationText(presumed), ...settledFacts(origin, backend) },
    }
    const json = `${JSON.stringify({ presumed, curves: robust, confounded }, null, 2)}\n`
    return yield* reportFiles(report, origin, new Map([["specifications.json", json]]))
  }),
})

type Estimates = InputsEstimate<typeof takes>

const refused = ({ title }: Options, problems: readonly string[]) =>
  new InvalidInput({ what: `specification-curve "${title}"`, problems })

const plannedProblems = (options: Options, { runs, observations }: Estimates): readonly string[] => {
  const { presumed, ofRuns, ofObservations } = options
  const design = designOf(runs, observations)
  const used = new Set([...settingsOf(presumed, runs), ...settingsOf(presumed, observations)])
  const unknown = Object.keys(presumed).filter((name) => !used.has(name))
  const absent = Object.entries(presumed).filter(
    ([name, value]) =>
      used.has(name) && ![...runs, ...observations].some(({ labels }) => labels[name] === value),
  )
  return [
    ...(ofRuns.length + ofObservations.length > 0 ? [] : ["expected at least one claim, found none"]),
    ...claimProblems(ofRuns, { runs: design.runs, observations: [] }),
    ...claimProblems(ofObservations, { runs: [], observations: design.observations }),
    ...unknown.map((name) => `presumed: expected a label of all runs or of all observations, found ${name}`),
    ...absent.map(([name, value]) => `presumed: no cohort has ${name} ${value}`),
  ]
}

const sentenceOf = (presumed: Specification, curve: Curve): string => {
  const { count, presumed: verdict, flips, otherSide } = robustnessOf(presumed, curve)
  const all = curve.specified.length
  const verdicts = Object.entries(count)
    .filter(([, found]) => found > 0)
    .map(([name, found]) => `${name} in ${found}`)
  const causes = [...new Set(flips.map(({ differs }) => specificationText(differs)))]
  return [
    `"${curve.statement}" Of ${plural(all, "specification")}: ${verdicts.join(", ")}`,
    verdict === null ? "" : `; as presumed, ${verdict}`,
    otherSide === 0 ? "" : `; in ${otherSide} the effect lies on the other side`,
    causes.length === 0
      ? "."
      : `. The verdict changes with ${causes.slice(0, 6).join("; ")}${causes.length > 6 ? " and others" : ""}.`,
  ].join("")
}

const robustnessTable = (presumed: Specification, curves: readonly Curve[]): Table => {
  const found = curves.map((curve) => ({ curve, ...robustnessOf(presumed, curve) }))
  return {
    name: "robustness",
    title: "How often each claim holds",
    columns: [
      left("claim"),
      left("as presumed"),
      right("specifications"),
      right("holds"),
      right("does not hold"),
      right("cannot be told"),
      right("other side"),
    ],
    rows: found.map(({ curve, count, presumed: verdict, otherSide }) => [
      curve.statement,
      verdict ?? "not run",
      String(curve.specified.length),
      String(count.holds),
      String(count["does not hold"]),
      String(count["cannot be told"]),
      String(otherSide),
    ]),
    notes: [
      "Specifications share checkpoints, seeds and most of their settings, so their verdicts are not independent; the counts say how much a claim depends on what was presumed, not how probable it is.",
    ],
    data: {
      columns: [
        "claim",
        "presumed",
        "specifications",
        "holds",
        "does_not_hold",
        "cannot_be_told",
        "other_side",
      ],
      rows: found.map(({ curve, count, presumed: verdict, otherSide }) => [
        curve.statement,
        verdict,
        curve.specified.length,
        count.holds,
        count["does not hold"],
        count["cannot be told"],
        otherSide,
      ]),
    },
  }
}
