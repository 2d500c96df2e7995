import { rounded } from "../../shared/records.ts"
import type { CellMean } from "../../shared/statistics/cells.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, ends, interval } from "../format.ts"
import type { ModelRank } from "../statistics/rank.ts"

/** Table 2: normalised effective rank of the whole model before fine-tuning. */
export const rankTable = (models: readonly ModelRank[], precisions: readonly string[]): Table => {
  const baseline = models.find(({ difference }) => difference === null)?.arm
  const compared = models.some(({ difference }) => difference !== null)
  const several = models.some(({ rank }) => rank.checkpoints > 1)
  const seedNoun = (model: ModelRank) => (model.incomplete > 0 ? "complete seed" : "seed")
  return {
    name: "table-2",
    title: "Table 2. Sum of the normalised effective ranks of all layers before fine-tuning",
    columns: [
      left("arm"),
      right("sum"),
      right("95 %"),
      ...(compared ? [right(`difference from ${baseline}`), right("95 %, paired")] : []),
      right("maximum"),
      ...(several ? [right("checkpoints")] : []),
      right("seeds"),
    ],
    rows: models.map((model) => [
      model.arm,
      model.rank.mean === null ? "layers missing" : decimal(model.rank.mean, 2),
      interval(model.rank.interval, 2, seedNoun(model)),
      ...(compared ? difference(model, seedNoun(model)) : []),
      String(model.layers),
      ...(several ? [String(model.rank.checkpoints)] : []),
      model.incomplete === 0
        ? String(model.rank.seeds)
        : `${model.rank.seeds}, ${model.incomplete} incomplete`,
    ]),
    notes:
      models.length === 0
        ? ["No model was probed before fine-tuning."]
        : [
            `Effective rank of the empirical Fisher of each layer divided by its maximum (N = ${maximumRanks(models).join(", ")} examples), summed over the layers of each seed, then averaged over seeds. The maximum of the sum is the number of layers.`,
            `95 % intervals over seeds${several ? " and checkpoints, both random" : " (Student's t)"}; those of differences are paired by seed, and tell whether arms differ. Seeds with missing layers are incomplete and left out.`,
            ...precisionNotes(models, precisions),
          ],
    data: {
      columns: [
        ...["arm", "sum", "low", "high", "difference", "difference_low", "difference_high"],
        ...["maximum", "checkpoints", "seeds", "incomplete"],
      ],
      rows: models.map(({ arm, rank, difference, layers, incomplete }) => [
        arm,
        ...[rank.mean, ...ends(rank.interval)].map(rounded),
        ...(difference === null
          ? [null, null, null]
          : [difference.mean, ...ends(difference.interval)].map(rounded)),
        ...[layers, rank.checkpoints, rank.seeds, incomplete],
      ]),
    },
  }
}

const difference = ({ difference: of }: ModelRank, noun: string): readonly string[] =>
  of === null ? ["", ""] : [signedMean(of), interval(of.interval, 2, `common ${noun}`)]

const signedMean = ({ mean }: CellMean): string =>
  mean === null ? "no common seed" : `${mean > 0 ? "+" : ""}${decimal(mean, 2)}`

/** bfloat16 has 8 bits of precision, TF32 11: rounding the factors of matrix products moves eigenvalues across the threshold. */
const precisionNotes = (models: readonly ModelRank[], precisions: readonly string[]): readonly string[] =>
  precisions.includes("bf16")
    ? [
        `Matrix products were computed in bfloat16 (precision bf16). That alone moves about 1 in 20 effective ranks by one: 4.7 % of those at N = 16 in a comparison with float32. Differences of single ranks (${decimal(1 / Math.max(...maximumRanks(models)), 3)} of the maximum) mean nothing here; run again with --precision fp32 for those.`,
      ]
    : precisions.includes("tf32")
      ? [
          "Matrix products were computed in TF32 (precision tf32), whose rounding may move an effective rank by one; run again with --precision fp32 where single ranks matter.",
        ]
      : []

const maximumRanks = (models: readonly ModelRank[]): readonly number[] =>
  [...new Set(models.flatMap((model) => model.maximumRanks))].sort((a, b) => a - b)
