/** A pipeline for the tests of branches: runs of a toy model, two learning rates, and a branch of each of the first. */
import { type } from "arktype"
import { branch } from "../../core/api/branch.ts"
import { cohort, grid, mapCohort, pipeline } from "../../core/api/pipeline.ts"
import { toyCorpus } from "../../plugins/data/toy-corpus.ts"
import { toyEntailment } from "../../plugins/data/toy-entailment.ts"
import { toyVocabulary } from "../../plugins/data/toy-vocabulary.ts"
import { classification } from "../../plugins/finetune/classification.ts"
import { mlm } from "../../plugins/pretrain/mlm.ts"
import { trajectory } from "../../plugins/probe/trajectory.ts"
import { observationsTable } from "../../plugins/report/observations-table.ts"
import { runComparison } from "../../plugins/report/run-comparison.ts"

const size = { layers: 1, hidden: 8, heads: 2, intermediate: 16 }

export default pipeline({
  name: "branching",
  summary: "Runs and branches of them",
  parameters: type({ "+": "reject", lr: type("number[]").default(() => [1e-3, 1e30]) }),
  build: ({ lr }) => {
    const vocabulary = toyVocabulary({})
    const corpus = toyCorpus({ vocabulary, sentences: 200, restated: true })
    const checkpoint = mlm({ corpus, vocabulary, size, positions: 64, steps: 2, batchSize: 16 })
    const data = toyEntailment({ vocabulary, train: 64, dev: 16 })
    // Six updates, of which one is warm-up.
    const runs = grid({ lr }, (point) =>
      cohort(point, [1, 2], (seed) =>
        classification({ data, checkpoint, lr: point.lr, seed, batchSize: 16, epochs: 1.5 }),
      ),
    )
    const calm = mapCohort(runs[0]!, (run) => branch(run, { at: 3, set: { dropout: 0 } }), { branch: "calm" })
    const paths = mapCohort(calm, (run) => trajectory({ run, steps: { at: [1], last: true } }))
    return {
      comparison: runComparison({ title: "Calm from step 3 on", at: 3, runs: [runs[0]!, calm] }),
      paths: observationsTable({ title: "Paths", observations: [paths] }),
      all: runs,
    }
  },
})
