import { Effect } from "effect"
import type { Provenance } from "../../../core/api/provenance.ts"
import { claimsHeadline, claimsJson, claimsSection } from "../shared/claims/report.ts"
import type { ReportSection } from "../shared/contents.ts"
import type { Figure } from "../shared/figure.ts"
import { materialsTable, methodsTable, precisionsOf, settledFacts } from "../shared/provenance.ts"
import { toCsv } from "../shared/records.ts"
import { reportFiles } from "../shared/report.ts"
import { settingsTable } from "../shared/settings.ts"
import type { Table } from "../shared/table.ts"
import { metricFigure } from "./figures/metric.ts"
import { rankBeforeFigure } from "./figures/rank-before.ts"
import { rankDuringFigure } from "./figures/rank-during.ts"
import { thresholdFigure } from "./figures/threshold.ts"
import { trainingFigure } from "./figures/training.ts"
import { trajectoryFigure } from "./figures/trajectory.ts"
import { headline } from "./headline.ts"
import { observationRecords } from "./observation-records.ts"
import { comparisonsOf } from "./statistics/paired.ts"
import { layerRanksOf, modelRanksOf } from "./statistics/rank.ts"
import { stabilityOf } from "./statistics/stability.ts"
import { thresholdRanksOf, thresholdSentences } from "./statistics/threshold.ts"
import { armsOf, finitePart, type Study } from "./study.ts"
import { comparisonTable } from "./tables/comparison.ts"
import { paperRankTable, paperStabilityTable } from "./tables/paper.ts"
import { rankTable } from "./tables/rank.ts"
import { checkpointsTable, stabilityTable } from "./tables/stability.ts"
import { trainingTable } from "./tables/training.ts"
import { unfinishedTable } from "./tables/unfinished.ts"

/**
 * The report of a study, complete or not. The same study gives the same bytes, but for the two files of its provenance.
 *
 * @param backend the name of the tensor backend
 * @returns the files' contents by relative path
 * @throws InvalidInput if a figure cannot be drawn
 */
export const renderStudy = Effect.fn("renderStudy")(function* (
  given: Study,
  provenance: Provenance,
  backend: string,
) {
  const { study, leftOut } = finitePart(given)
  const { title, settings, paper, training, claims } = study
  const arms = armsOf(study)
  const cohorts = stabilityOf(study)
  const models = modelRanksOf(study)
  const thresholds = thresholdRanksOf(study)

  const sections: readonly ReportSection[] = [
    claimsSection(claims),
    {
      title: "Stability",
      parts: there(
        metricFigure(arms, cohorts),
        stabilityTable(cohorts),
        checkpointsTable(cohorts),
        comparisonTable(comparisonsOf(cohorts)),
        paperStabilityTable(paper, cohorts, settings),
        unfinishedTable(study),
      ),
    },
    {
      title: "Plasticity",
      parts: there(
        rankTable(models, precisionsOf(provenance.units)),
        paperRankTable(paper, models, settings),
        rankBeforeFigure(arms, layerRanksOf(study)),
        thresholdFigure(arms, thresholds),
        rankDuringFigure(study),
      ),
    },
    { title: "Trajectory", parts: [trajectoryFigure(study)] },
    {
      title: "Further training",
      parts: there(trainingTable(training), trainingFigure(arms, training)),
    },
    {
      title: "Settings and data",
      parts: there(settingsTable(settings), materialsTable(provenance), methodsTable(provenance)),
    },
  ]
  const files = new Map([["claims.json", claimsJson(claims)]])
  for (const [name, records] of observationRecords(study)) files.set(`${name}.csv`, toCsv(records))
  const report = {
    title,
    headline: [
      ...claimsHeadline(claims),
      ...headline(cohorts, models),
      ...thresholdSentences(thresholds, arms[0] ?? ""),
      ...leftOut,
    ],
    sections: sections.filter(({ parts, sentences = [] }) => parts.length + sentences.length > 0),
    facts: { ...study.facts, ...settledFacts(provenance, backend) },
  }
  return yield* reportFiles(report, provenance, files)
})

/** The parts that have something to show. */
const there = (...parts: readonly (Table | Figure | null)[]): readonly (Table | Figure)[] =>
  parts.filter((part) => part !== null)
