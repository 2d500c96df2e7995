import type { Differences } from "../../../../core/api/difference.ts"
import type { CohortTaken } from "../../../../core/api/plugin.ts"
import type { Row } from "../../../../core/artifacts/observations.ts"
import type { Run } from "../../../../core/artifacts/run.ts"
import { plural } from "../../../../core/io/format.ts"
import type { ReportSection } from "../contents.ts"
import { type Records, rounded } from "../records.ts"
import type { Ends } from "../statistics/interval.ts"
import { right, type Table, text } from "../table.ts"
import type { Claim, Design } from "./claim.ts"
import { type Confounded, confoundedClaims, confounderLimits, placesOf } from "./confounders.ts"
import { evidenceOf } from "./evidence.ts"
import { planSentences } from "./plan.ts"
import { type Judged, judgeAll, type Verdicted } from "./verdict.ts"
import { capitalised, number } from "./words.ts"

/** A report's claims with their verdicts, and what its design cannot show of them. */
export interface ClaimsFound {
  readonly judged: readonly Judged[]
  /** Sentences of the plan, each with the statements of the claims that it is about. */
  readonly limits: readonly { readonly limit: string; readonly claims: readonly string[] }[]
  /** Claims whose sides differ in what is not declared, or do not in what is. */
  readonly confounded: readonly Confounded[]
}

/** What a report takes that its claims are judged by: observations by the name of their input. */
export interface ClaimInputs {
  readonly runs: readonly CohortTaken<Run>[]
  readonly observations: Readonly<Record<string, readonly CohortTaken<readonly Row[]>[]>>
}

/** Judges the claims of a report by what it took. */
export const claimsFound = (
  claims: readonly Claim[],
  taken: ClaimInputs,
  differences: Differences,
): ClaimsFound => {
  const { runs } = taken
  const observations = Object.values(taken.observations).flat()
  const judged = judgeAll(claims, evidenceOf(runs, observations))
  const design = designTaken(runs, observations)
  const confounded = confoundedOf(claims, taken, differences)
  const limits = [
    ...claims.flatMap((claim, i) =>
      planSentences(claim, claims, design, judged[i]!.level).map((limit) => ({
        limit,
        claim: claim.statement,
      })),
    ),
    ...confounderLimits(confounded),
  ]
  return {
    judged,
    limits: [...Map.groupBy(limits, ({ limit }) => limit)].map(([limit, of]) => ({
      limit,
      claims: of.map(({ claim }) => claim),
    })),
    confounded,
  }
}

/** The claims of a report that are confounded, by what it took. */
export const confoundedOf = (
  claims: readonly Claim[],
  { runs, observations }: ClaimInputs,
  differences: Differences,
): readonly Confounded[] =>
  confoundedClaims(
    claims,
    designTaken(runs, Object.values(observations).flat()),
    { runs: placesOf({ runs }), observations: placesOf(observations) },
    differences,
  )

const designTaken = (
  runs: readonly CohortTaken<Run>[],
  observations: readonly CohortTaken<readonly Row[]>[],
): Design => {
  const cohort = ({ labels, members }: CohortTaken<unknown>) => ({
    labels,
    seeds: members.map(({ seed }) => seed),
  })
  return {
    runs: runs.map(cohort),
    observations: observations.map((of) => ({
      ...cohort(of),
      columns: [
        ...new Set(
          of.members.flatMap(({ outcome }) =>
            outcome.status === "done" ? Object.keys(outcome.value[0] ?? {}) : [],
          ),
        ),
      ],
      ...stepsTaken(of),
    })),
  }
}

const stepsTaken = ({ members }: CohortTaken<readonly Row[]>): { readonly steps?: readonly number[] } => {
  const steps = members.flatMap(({ outcome }) =>
    outcome.status === "done" ? outcome.value.map(({ step }) => step) : [],
  )
  return steps.length > 0 && steps.every((step) => typeof step === "number")
    ? { steps: [...new Set(steps)] }
    : {}
}

/** The section at the top of a page. */
export const claimsSection = ({ judged, limits }: ClaimsFound): ReportSection =>
  judged.length === 0
    ? { title: "Claims", sentences: ["No claim was given."], parts: [] }
    : {
        title: "Claims",
        parts: [
          claimsTable(judged),
          ...(limits.length === 0 ? [] : [limitsTable(limits)]),
          reasonsTable(judged),
        ],
      }

/** How many claims hold, and which arms differ. */
export const claimsHeadline = ({ judged }: ClaimsFound): readonly string[] => {
  if (judged.length === 0) return ["No claim was given, so nothing is tested."]
  const count = (verdict: Judged["verdict"]) => judged.filter((each) => each.verdict === verdict).length
  return [
    `Verdicts of ${plural(judged.length, "claim")}: holds ${count("holds")}, does not hold ${count("does not hold")}, cannot be told ${count("cannot be told")}.`,
    differencesSentence(judged),
  ]
}

const differencesSentence = (judged: readonly Judged[]): string => {
  if (judged.every(({ test }) => test === null)) return "The results do not allow any claim to be tested."
  const pairs = judged.flatMap(({ verdict, checkpoints: [arm, than, ...others], statement }) =>
    verdict === "cannot be told" || arm === undefined || than === undefined || others.length > 0
      ? []
      : [{ arms: `${arm.arm} and ${than.arm}`, finding: `${bare(statement)}: ${verdict}` }],
  )
  return pairs.length === 0
    ? "No two arms differ beyond chance in any claim."
    : `Arms that differ beyond chance: ${[...Map.groupBy(pairs, ({ arms }) => arms)]
        .map(([arms, found]) => `${arms} (${found.map(({ finding }) => finding).join("; ")})`)
        .join(", ")}.`
}

/** A statement without its full stop, to go on after it. */
const bare = (statement: string): string => statement.replace(/\.$/, "")

const claimsTable = (judged: readonly Judged[]): Table => {
  const papers = judged.some(({ paper }) => paper !== null)
  return {
    name: "claims",
    title: "Claims and verdicts",
    columns: [
      text("claim"),
      text("verdict"),
      text("effect"),
      right("interval"),
      text("test"),
      right("p"),
      right("p, Holm"),
      right("seeds"),
      right("seeds needed"),
      ...(papers ? [text("by the paper's figures")] : []),
    ],
    rows: judged.map((claim) => [
      bare(claim.statement),
      claim.verdict,
      effectText(claim),
      intervalText(claim.adjusted.interval),
      claim.test?.name ?? claim.missing ?? "none",
      claim.test === null ? "none" : pText(claim.test.p),
      claim.adjusted.p === null ? "none" : pText(claim.adjusted.p),
      String(claim.seeds),
      neededText(claim),
      ...(papers ? [paperText(claim.paper)] : []),
    ]),
    notes: [
      `A claim is decided if its p is at most ${number(1 - judged[0]!.level)} after Holm's adjustment for the tested claims of its family; what is not decided cannot be told. Intervals are adjusted in the same way. Seeds needed: to find an effect of the size seen with probability .8.`,
    ],
    data: records(judged),
  }
}

const limitsTable = (limits: ClaimsFound["limits"]): Table => ({
  name: "claims-limits",
  title: "What this design cannot show",
  columns: [text("limit"), text("of the claims")],
  rows: limits.map(({ limit, claims }) => [limit, claims.join(" ")]),
  notes: [],
  data: {
    columns: ["limit", "claim"],
    rows: limits.flatMap(({ limit, claims }) => claims.map((claim) => [limit, claim])),
  },
})

/** What each verdict rests on: each side by itself, the test, other tests, and what the finding speaks of. */
const reasonsTable = (judged: readonly Judged[]): Table => {
  const rows = judged.map(({ statement, reason, groups, also, notes }) => [
    bare(statement),
    groups.map((group) => `${group.name}: ${group.text}`).join("; "),
    [
      capitalised(reason),
      ...(also.length === 0
        ? []
        : [`Also: ${also.map(({ name, p }) => `${name}, p ${pText(p)}`).join("; ")}.`]),
      ...notes,
    ].join(" "),
  ])
  return {
    name: "claims-reasons",
    title: "What the verdicts rest on",
    columns: [text("claim"), text("sides"), text("reason")],
    rows,
    notes: [],
    data: { columns: ["claim", "sides", "reason"], rows },
  }
}

const effectText = ({ effect }: Verdicted): string =>
  effect === null
    ? "none"
    : `${effect.name} ${number(effect.value)}${effect.unit === "" ? "" : ` ${effect.unit}`}`

const intervalText = (interval: Ends | null): string =>
  interval === null ? "none" : `${number(interval.low)} to ${number(interval.high)}`

const pText = (p: number): string => (p < 0.0001 ? "< 0.0001" : number(p))

const neededText = ({ verdict, test, leans, seedsNeeded }: Judged): string => {
  if (verdict !== "cannot be told" || test === null) return ""
  return seedsNeeded === null ? (leans === null ? "unknown" : "no number") : String(seedsNeeded)
}

const paperText = (paper: Verdicted | null): string => {
  if (paper === null) return "no figures"
  return paper.adjusted.p === null ? paper.verdict : `${paper.verdict} (p ${pText(paper.adjusted.p)})`
}

const records = (judged: readonly Judged[]): Records => ({
  columns: [
    ...["claim", "kind", "family", "verdict", "effect", "value", "unit", "low", "high", "level"],
    ...["test", "p", "holm_p", "least_p", "seeds", "seeds_needed", "paper_verdict", "paper_holm_p"],
  ],
  rows: judged.map((claim) => [
    ...[claim.statement, claim.kind, claim.family, claim.verdict, claim.effect?.name ?? null],
    rounded(claim.effect?.value ?? null),
    claim.effect?.unit ?? null,
    rounded(claim.adjusted.interval?.low ?? null),
    rounded(claim.adjusted.interval?.high ?? null),
    rounded(claim.adjusted.level),
    claim.test?.name ?? null,
    ...[claim.test?.p ?? null, claim.adjusted.p, claim.test?.leastP ?? null].map(rounded),
    ...[claim.seeds, claim.seedsNeeded, claim.paper?.verdict ?? null],
    rounded(claim.paper?.adjusted.p ?? null),
  ]),
})

/** All that was found, in full, numbers to twelve digits. */
export const claimsJson = ({ judged, limits, confounded }: ClaimsFound): string =>
  `${JSON.stringify({ claims: judged, limits, confounded }, (_, value) => (typeof value === "number" ? rounded(value) : value), 2)}\n`
