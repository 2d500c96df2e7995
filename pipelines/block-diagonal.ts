/**
 * bun run pipeline block-diagonal.ts
 *
 * Is the block-diagonal approximation of the Fisher sound? Effective ranks by layer against those of the full Fisher;
 * the empirical Fisher against the true one, with labels drawn from the model and in expectation over them (the
 * Gauss–Newton matrix), and against the Hessian; all before fine-tuning and after it. From the stored Gram matrices
 * follow the ranks at other thresholds, of fewer examples and of some of the tensors: nothing is trained for them.
 *
 * Takes about 5 minutes on 2 cores with the backend native, most of them for the Hessians. On a task of GLUE:
 * `--set glue=DIR --set corpus=FILE --set vocabulary=FILE --set task=sst2 --set trainExamples=2490`.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { vanillaAndSimcse } from "./shared/arms.ts"
import { curvatureClaims } from "./shared/curvature-claims.ts"
import { fishersOf, fractionsOf, hessiansOf, ranksFromGrams, thresholds } from "./shared/curvatures.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { runSeeds } from "./shared/parameters.ts"
import { cohortsOf } from "./shared/study.ts"

export default pipeline({
  name: "block-diagonal",
  summary:
    "Block-diagonal against full Fisher, empirical against true, Fisher against Hessian: ranks and verdicts",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of further training, each of which gives every further-trained arm a checkpoint. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** Seeds of fine-tuning, which also draw the classifier and the examples of the probes. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5]),
    /** Seeds of the runs whose Hessians are observed, which cost the most. */
    hessianSeeds: runSeeds.default(() => [1, 2]),
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 1",
    /** How many examples the Fishers and the Hessian are computed from. */
    samples: "4 <= number.integer <= 256 = 16",
    /** Iterations of Lanczos's algorithm, for the Hessian. */
    iterations: "2 <= number.integer <= 1000 = 30",
  }),
  build: ({ simcseSeeds, seeds, hessianSeeds, epochs, samples, iterations, ...p }) => {
    const input = inputOf(p)
    const { data, fineTune, title, provenance } = input
    const lr = input.lr[0]
    const runs = vanillaAndSimcse(simcseSeeds, input, ["mlm"]).flatMap((arm) =>
      cohortsOf(arm, {}, seeds, (checkpoint, seed) => fineTune({ data, checkpoint, lr, seed, epochs })),
    )
    const ofHessian = runs.map(({ labels, members }) => ({
      labels,
      members: members.filter(({ seed }) => hessianSeeds.includes(seed)),
    }))
    /** What is observed of the empirical Fisher unless said otherwise. */
    const usual = { curvature: "empirical", threshold: 0.99, samples, tensors: "all" }
    const ranks = { y: "normalised", yTitle: "normalised effective rank" }
    const byArm = { ...ranks, colour: "arm", facet: "step" }
    const report = claimsPage({
      title: `Is the block-diagonal approximation sound? ${title}`,
      provenance,
      claims: ([0, "last"] as const).flatMap((step) => curvatureClaims(step, samples)),
      charts: [
        {
          ...{ ...ranks, title: "Block against full", x: "step", colour: "block", facet: "arm" },
          where: { ...usual, block: ["layers", "encoder", "block-diagonal"] },
        },
        {
          ...{
            ...ranks,
            title: "Empirical and true Fisher, full",
            x: "step",
            colour: "curvature",
            facet: "arm",
          },
          where: { block: "encoder", threshold: 0.99, samples, tensors: "all" },
        },
        {
          ...{ title: "Hessian and true Fisher", x: "step", y: "erank", colour: "curvature", facet: "arm" },
          yScale: "log",
          where: { block: "encoder", threshold: 0.9, curvature: ["Hessian", "true"] },
        },
        {
          ...{ ...byArm, title: "Threshold, ranks of the layers", x: "threshold" },
          where: { ...usual, threshold: thresholds, block: "layers" },
        },
        {
          ...{ ...byArm, title: "Number of examples, ranks of the layers", x: "samples" },
          where: { ...usual, samples: fractionsOf(samples), block: "layers" },
        },
        {
          ...{ ...byArm, title: "Tensors, ranks of the layers", x: "tensors" },
          where: { threshold: 0.99, samples, curvature: "empirical", block: "layers" },
        },
      ],
      runs,
      observations: [
        ...fishersOf(runs, samples),
        ...ranksFromGrams(runs, samples),
        ...hessiansOf(ofHessian, samples, iterations),
      ],
    })
    return { report }
  },
})
