/** draft */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { toyEntailment } from "../plugins/data/toy-entailment.ts"
import { alignmentUniformity } from "../plugins/pretrain/alignment-uniformity.ts"
import { consert } from "../plugins/pretrain/consert.ts"
import { dcl } from "../plugins/pretrain/dcl.ts"
import { supervisedSimcse } from "../plugins/pretrain/supervised-simcse.ts"
import { armsOf } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { runSeeds } from "./shared/parameters.ts"
import { perSeed, study } from "./shared/study.ts"

export default pipeline({
  name: "other-methods",
  summary: "x",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    lr: type("number[]").default(() => [1e-3]),
    furtherSeeds: runSeeds.default(() => [42, 43]),
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5, 6]),
    samples: "1 <= number.integer <= 256 = 32",
  }),
  build: (p) => {
    const input = inputOf(p)
    const pairs = toyEntailment({ vocabulary: input.vocabulary, train: 12800, seed: 7 })
    const arm = (name: string, train: Parameters<typeof perSeed>[1]) => ({
      name,
      checkpoints: perSeed(p.furtherSeeds, train),
    })
    const arms = [
      ...armsOf(
        { dropout: [0.1], simcseSeeds: p.furtherSeeds, temperature: 0.05, controls: ["mlm"], pooler: "kept" },
        input,
      ),
      arm("supervised SimCSE", (seed) => {
        const { corpus: _, ...further } = input.further(seed)
        return supervisedSimcse({ ...further, data: pairs })
      }),
      arm("DCL", (seed) => dcl(input.further(seed))),
      arm("ConSERT", (seed) => consert(input.further(seed))),
      arm("alignment-uniformity", (seed) => alignmentUniformity(input.further(seed))),
    ]
    const { report } = study({
      title: "x",
      provenance: {},
      data: input.data,
      arms,
      lr: p.lr,
      seeds: p.seeds,
      samples: p.samples,
      watched: { arms: ["vanilla"], lr: p.lr.slice(0, 1), seeds: p.seeds.slice(0, 1) },
    })
    return { report }
  },
})
