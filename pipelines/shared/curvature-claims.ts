/** What block-diagonal.ts claims of matrices of curvature, as `curvatures.ts` observes them. */
import { agreement } from "../../plugins/report/shared/claims/agreement.ts"
import { association } from "../../plugins/report/shared/claims/association.ts"
import type { Claim } from "../../plugins/report/shared/claims/claim.ts"
import { observed } from "../../plugins/report/shared/claims/observed.ts"
import { slope } from "../../plugins/report/shared/claims/slope.ts"

interface Rank {
  readonly column: string
  readonly where: Readonly<Record<string, string | number>>
  readonly called: string
}

/** Beside the paper's, 0.99. */
const otherThresholds = [0.5, 0.9, 0.999]

const sides = { arm: "SimCSE(0.1)", than: "vanilla", differs: ["further training"] }

/**
 * Claims about one moment of fine-tuning, before the first update or after the last: that block and full ranks agree
 * and go together over runs, that SimCSE raises both, that the labels of the Fisher do not matter, that the Hessian's
 * rank is the true Fisher's, that ranks grow with the number of examples, and that other thresholds order runs alike and
 * are raised by SimCSE too.
 *
 * @param samples how many examples the matrices are computed from
 */
export const curvatureClaims = (step: 0 | "last", samples: number): readonly Claim[] => {
  const when = step === 0 ? "before fine-tuning" : "after fine-tuning"
  const ofFisher = { step, curvature: "empirical", threshold: 0.99, tensors: "all" }
  const rank = (called: string, block: string, where: Readonly<Record<string, string | number>> = {}) => {
    return {
      column: "normalised",
      where: { ...ofFisher, samples, block, ...where },
      called: `${called} ${when}`,
    }
  }
  const count = (called: string, curvature: string) => {
    return {
      column: "erank",
      where: { step, block: "encoder", curvature, threshold: 0.9 },
      called: `${called} ${when}`,
    }
  }
  const layers = rank("the normalised rank of the layers", "layers")
  const full = rank("the normalised rank of the full empirical Fisher", "encoder")
  const sampled = rank("the one with labels drawn from the model", "encoder", { curvature: "sampled" })
  const expected = rank("that of the full true Fisher", "encoder", { curvature: "true" })
  const [ofHessian, ofTrue] = [
    count("the rank of the Hessian", "Hessian"),
    count("that of the true Fisher", "true"),
  ]
  /** Beside another rank, whose name says when both are. */
  const named = (of: Rank) => ({ ...of, called: of.called.replace(` ${when}`, "") })
  const within = { first: named(full), margin: 0.05, family: "labels" }
  const goTogether = (family: string, x: Rank, y: Rank) =>
    association({ x: named(x), y, direction: "positive", family })
  const higher = (called: string, block: string) =>
    observed({ ...rank(called, block), ...sides, direction: "higher", family: "SimCSE against vanilla" })
  const higherAt = (threshold: number) =>
    observed({
      ...rank(`normalised rank of the layers at the threshold ${threshold}`, "layers", { threshold }),
      ...{ ...sides, direction: "higher", family: "SimCSE against vanilla at other thresholds" },
    })
  return [
    agreement({ first: named(layers), second: full, margin: 0.05, family: "block and full" }),
    goTogether("block and full, over runs", layers, full),
    higher("normalised rank of the layers", "layers"),
    higher("normalised rank of the full Fisher", "encoder"),
    higher("normalised rank of the block-diagonal Fisher", "block-diagonal"),
    agreement({ ...within, second: sampled }),
    agreement({ ...within, second: expected }),
    goTogether("labels, over runs", full, expected),
    agreement({ first: named(ofHessian), second: ofTrue, margin: 0.05 * samples, family: "Hessian" }),
    slope({
      x: "samples",
      y: { column: "erank", where: { ...ofFisher, block: "layers" }, called: `the layers' rank ${when}` },
      is: { equals: 1, within: 0.1 },
      family: "samples",
    }),
    ...otherThresholds.map((threshold) =>
      goTogether("threshold", layers, rank(`that at the threshold ${threshold}`, "layers", { threshold })),
    ),
    ...otherThresholds.map(higherAt),
  ]
}
