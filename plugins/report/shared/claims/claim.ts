/**
 * Claims as data. A pipeline file lists what its study claims, `claims: [fewerFailures({ arm, than, lr })]`; before
 * anything runs, each says what the design can show of it; afterwards each is tested and gets a verdict.
 */
import { type Component, componentOf } from "../../../../core/api/component.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import type { Row } from "../../../../core/artifacts/observations.ts"
import type { Ends } from "../statistics/interval.ts"

/** What will be there: the cohorts of runs and observations, before anything runs. */
export interface Design {
  readonly runs: readonly { readonly labels: Labels; readonly seeds: readonly number[] }[]
  readonly observations: readonly {
    readonly labels: Labels
    readonly seeds: readonly number[]
    /** Of its rows; empty if their type does not name them. */
    readonly columns: readonly string[]
    /** At which they are observed; left out if that is not known. */
    readonly steps?: readonly number[]
  }[]
}

/** One run: its labels (`arm`, `lr`, `checkpoint` where the arm has several, others), and how it ended. */
export interface RunEvidence {
  readonly labels: Labels
  readonly seed: number
  /** `diverged`: the loss, the gradients or the logits were not finite. `failed`: the unit gave no run at all. */
  readonly status: "done" | "diverged" | "failed"
  /** The task's first metric, in hundredths; null unless done. */
  readonly value: number | null
  /** The baseline's, in hundredths; null unless done. */
  readonly baseline: number | null
  /** Whether it is no better than the baseline, or diverged; null if the unit gave no run. */
  readonly failed: boolean | null
  /** Updates, and those of the warm-up; null unless done. */
  readonly steps: number | null
  readonly warmupSteps: number | null
}

/** One row that a probe observed, with the labels and the seed of its run. */
export interface ObservationEvidence {
  readonly labels: Labels
  readonly seed: number
  readonly row: Row
}

export interface Evidence {
  readonly runs: readonly RunEvidence[]
  readonly observations: readonly ObservationEvidence[]
}

/** What a design can show of a claim. */
export interface ClaimPlan {
  /** Names of arms, labels or columns that the design does not have at all: a slip in the claim. */
  readonly problems: readonly string[]
  /** What it cannot show, and what its findings will speak of; whole sentences. */
  readonly limits: readonly string[]
  /** The least p value that the deciding test can give; null if it has no such bound. */
  readonly leastP: number | null
  /** The probability of the verdict "holds", by this design, if the effect is the paper's; null without one. */
  readonly power: number | null
}

/** A number with its unit, such as a difference of means. */
export interface EffectSize {
  /** What it is: `difference of the failure rates`. */
  readonly name: string
  readonly value: number
  /** `percentage points`; empty if it has none. */
  readonly unit: string
  /** What it is where the sides do not differ: 1 of a ratio; 0 by default. */
  readonly neutral?: number
}

/** What one side of a comparison looks like by itself. */
export interface Group {
  readonly name: string
  /** In a few words: `7 of 30 failed (23.3 %, 11.8 to 40.9)`. */
  readonly text: string
}

export interface TestResult {
  /** `exact McNemar test`. */
  readonly name: string
  /** Two-sided. */
  readonly p: number
  /** The least p that it can give with so many seeds, whatever the data; null if there is no such bound. */
  readonly leastP: number | null
}

/** What the evidence says about a claim by itself, not yet adjusted for the others of its family. */
export interface Finding {
  readonly groups: readonly Group[]
  /** Null if there is nothing to compare, and `missing` says why, or if it has no number, and a note says why. */
  readonly effect: EffectSize | null
  /** Of the effect, at the level asked for; null if none can be given. */
  readonly interval: Ends | null
  /** The test that decides; null exactly if `missing` is not. */
  readonly test: TestResult | null
  /** Tests of the same by other means. They do not decide. */
  readonly also: readonly TestResult[]
  /** Which side of the claim the effect is on; null if on neither. */
  readonly leans: "for" | "against" | null
  /** Seeds of which all values were there. */
  readonly seeds: number
  /** How many checkpoints each side had. */
  readonly checkpoints: readonly { readonly arm: string; readonly count: number }[]
  /** Seeds with which an effect of this size would be found with probability .8; null if more seeds alone would not do. */
  readonly seedsNeeded: number | null
  /** Why there is no test; null if there is one. */
  readonly missing: string | null
  /** Assumptions, what was left out, of what the finding speaks; whole sentences. */
  readonly notes: readonly string[]
}

/** A finding of nothing, and why. */
export const nothingFound = (missing: string, parts: Partial<Finding> = {}): Finding => ({
  groups: [],
  effect: null,
  interval: null,
  test: null,
  also: [],
  leans: null,
  seeds: 0,
  checkpoints: [],
  seedsNeeded: null,
  notes: [],
  ...parts,
  missing,
})

/** A side of a comparison: the cohorts with these labels. */
export interface NamedSide {
  readonly name: string
  readonly labels: Labels
}

/** The two sides that a claim compares. */
export interface Compared {
  /** Of what it is about, cohorts are taken. */
  readonly what: "runs" | "observations"
  readonly arm: NamedSide
  readonly than: NamedSide
  /** Labels that both sides have, and cells of their rows. */
  readonly where: Readonly<Record<string, string | number | boolean | null>>
  /** Of observations, the column; those without it are not compared. */
  readonly column?: string
  /** What the sides are declared to differ in. */
  readonly differs: readonly string[]
}

export interface ClaimFunctions {
  /** One sentence that is true or false. */
  readonly statement: string
  /** Claims of one family share their error rate: p values are adjusted for their number. */
  readonly family: string
  /** Of a claim that compares two sides: what else these differ in, a report names as confounders. */
  readonly compared?: Compared
  /** Pure and fast. */
  plan(design: Design, level: number): ClaimPlan
  /** Does not depend on the order of the evidence. */
  judge(evidence: Evidence, level: number): Finding
  /** The claim judged on the figures that the paper printed; null if it has none. */
  judgePaper(level: number): Finding | null
}

/** See {@link ClaimFunctions}. */
export type Claim = Component<"claim"> & ClaimFunctions

/** The option of a report plugin that takes claims. */
export const claimsOption = componentOf<Claim>("claim").array()
