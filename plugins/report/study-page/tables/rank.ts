import { rounded } from "../../shared/records.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, ends, interval } from "../format.ts"
import type { ModelRank } from "../statistics/rank.ts"

/** Table 2: normalised effective rank of the whole model before fine-tuning. */
export const rankTable = (models: readonly ModelRank[]): Table => ({
  name: "table-2",
  title: "Table 2. Sum of the normalised effective ranks of all layers before fine-tuning",
  columns: [left("arm"), right("sum"), right("95 % t"), right("maximum"), right("seeds")],
  rows: models.map((model) => [
    model.arm,
    model.mean === null ? "layers missing" : decimal(model.mean, 2),
    interval(model.meanStudent, 2, model.incomplete > 0 ? "complete seed" : "seed"),
    String(model.layers),
    model.incomplete === 0
      ? String(model.sums.length)
      : `${model.sums.length}, ${model.incomplete} incomplete`,
  ]),
  notes:
    models.length === 0
      ? ["No model was probed before fine-tuning."]
      : [
          `Effective rank of the empirical Fisher of each layer divided by its maximum (N = ${maximumRanks(models)} examples), summed over the layers of each seed, then averaged over seeds. The maximum of the sum is the number of layers.`,
          "95 % intervals over seeds: Student's t. Seeds with missing layers are incomplete and left out.",
        ],
  data: {
    columns: ["arm", "sum", "t_low", "t_high", "maximum", "seeds", "incomplete_seeds"],
    rows: models.map((model) => [
      model.arm,
      ...[model.mean, ...ends(model.meanStudent)].map(rounded),
      model.layers,
      model.sums.length,
      model.incomplete,
    ]),
  },
})

const maximumRanks = (models: readonly ModelRank[]): string =>
  [...new Set(models.flatMap((model) => model.maximumRanks))].sort((a, b) => a - b).join(", ")
