/** Matrices of curvature of the same runs, each before fine-tuning and at its end; their rows say which matrix it is. */
import { mapCohort } from "../../core/api/pipeline.ts"
import type { Cohort, Node } from "../../core/api/plugin.ts"
import { fisher } from "../../plugins/probe/fisher.ts"
import { fisherRanks } from "../../plugins/probe/fisher-ranks.ts"
import { hessian } from "../../plugins/probe/hessian.ts"
import type { Observed } from "../../plugins/report/shared/observed.ts"
import type { StudyRun } from "./study.ts"

const steps = { at: [0], last: true }

/** By curvature, the labels whose loss is differentiated: those of the data, drawn from the model, or all of them. */
const fishers = { empirical: "true", sampled: "sampled", true: "expected" } as const

/** Thresholds of the effective ranks of the empirical Fisher. */
export const thresholds: number[] = [0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 0.9999]

/** Numbers of examples of the empirical Fisher. */
export const fractionsOf = (samples: number): number[] => [
  ...new Set([1 / 8, 1 / 4, 1 / 2, 1].map((part) => Math.ceil(part * samples))),
]

/**
 * Effective ranks of Fishers at the thresholds 0.9 and 0.99: of each layer, of their mean (`block: "layers"`), of the
 * full matrix (`"encoder"`), and of the matrix with the layers' as its blocks (`"block-diagonal"`).
 *
 * @param samples how many examples they are computed from
 */
export const fishersOf = (
  runs: readonly Cohort<StudyRun>[],
  samples: number,
): readonly Cohort<Node<typeof Observed>>[] =>
  (Object.keys(fishers) as (keyof typeof fishers)[]).flatMap((curvature) =>
    runs.map((of) =>
      mapCohort(of, (run) =>
        fisherRanks({ grams: gramsOf(run, samples, curvature), thresholds: [0.9, 0.99] }),
      ),
    ),
  )

/** Ranks of the empirical Fisher of fewer examples, at other thresholds, and of some of the tensors. */
export const ranksFromGrams = (
  runs: readonly Cohort<StudyRun>[],
  samples: number,
): readonly Cohort<Node<typeof Observed>>[] =>
  [
    { samples: fractionsOf(samples).filter((count) => count < samples) },
    { thresholds: thresholds.filter((threshold) => threshold !== 0.9 && threshold !== 0.99) },
    {
      tensors: [
        "attention" as const,
        "feed-forward" as const,
        "layer-norm" as const,
        "weights" as const,
        "biases" as const,
      ],
    },
  ].flatMap((options) =>
    runs.map((of) =>
      mapCohort(of, (run) => fisherRanks({ grams: gramsOf(run, samples, "empirical"), ...options })),
    ),
  )

const gramsOf = (run: StudyRun, samples: number, curvature: keyof typeof fishers) =>
  fisher({
    ...{ run, steps, samples, labels: fishers[curvature] },
    grams: curvature === "empirical" ? "tensors" : "layers",
  })

/** Effective ranks of the Hessian of the whole encoder, by Lanczos's algorithm. */
export const hessiansOf = (
  runs: readonly Cohort<StudyRun>[],
  samples: number,
  iterations: number,
): readonly Cohort<Node<typeof Observed>>[] =>
  runs.map((of) =>
    mapCohort(of, (run) =>
      hessian({
        ...{ run, steps, samples, iterations, vectors: 2 },
        blocks: ["encoder"],
        thresholds: [0.9, 0.99],
      }),
    ),
  )
