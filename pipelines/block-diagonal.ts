/**
 * bun run pipeline block-diagonal.ts
 * bun run pipeline block-diagonal.ts --set glue=DIR --set task=sst2 --set trainExamples=2490 --set corpus=FILE --set vocabulary=FILE
 *
 * Is the block-diagonal approximation of the Fisher sound? Effective ranks by layer against those of the full Fisher;
 * the empirical Fisher against the true one, with labels drawn from the model and in expectation over them (the
 * Gauss–Newton matrix), and against the Hessian; all before fine-tuning and at its end. From the stored Gram matrices
 * follow the ranks at other thresholds, of fewer examples and of some of the tensors: nothing is trained for them.
 */
import { type } from "arktype"
import { cohort, mapCohort, pipeline } from "../core/api/pipeline.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { fisherRanks } from "../plugins/probe/fisher-ranks.ts"
import { hessian } from "../plugins/probe/hessian.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { agreement } from "../plugins/report/shared/claims/agreement.ts"
import { association } from "../plugins/report/shared/claims/association.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { slope } from "../plugins/report/shared/claims/slope.ts"
import { continuedMlm } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { runSeeds } from "./shared/parameters.ts"
import { type Arm, asItIs, perSeed, type StudyRun } from "./shared/study.ts"

const steps = { at: [0], last: true }
const moments = ["first", "last"] as const
const labels = { empirical: "true", sampled: "sampled", true: "expected" } as const

export default pipeline({
  name: "block-diagonal",
  summary:
    "Block-diagonal against full Fisher, empirical against true, Fisher against Hessian: ranks and verdicts",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of further training, each of which gives a checkpoint of every arm that has any. */
    simcseSeeds: runSeeds.default(() => [42, 43]),
    /** Seeds of fine-tuning, which also draw the classifier and the examples of the probes. */
    seeds: runSeeds.default(() => [1, 2, 3, 4]),
    /** Seeds of the runs whose Hessians are observed, of the first checkpoint of each arm. */
    hessianSeeds: runSeeds.default(() => [1, 2]),
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 1",
    /** How many examples the Fishers and the Hessian are computed from. */
    samples: "4 <= number.integer <= 256 = 16",
    /** Iterations of Lanczos's algorithm, for the Hessian. */
    iterations: "2 <= number.integer <= 1000 = 30",
  }),
  build: (p) => {
    const input = inputOf(p)
    const { data, vanilla, further, fineTune } = input
    const arms: readonly Arm[] = [
      { name: "vanilla", checkpoints: asItIs(vanilla) },
      {
        name: "SimCSE(0.1)",
        checkpoints: perSeed(p.simcseSeeds, (seed) => simcse({ ...further(seed), dropout: 0.1 })),
      },
      { name: "MLM", checkpoints: perSeed(p.simcseSeeds, (seed) => continuedMlm(input, seed)) },
    ]
    const runs = arms.flatMap(({ name, checkpoints }) =>
      checkpoints.map(({ seed: trained, checkpoint }) =>
        cohort({ arm: name, ...(trained === null ? {} : { checkpoint: trained }) }, p.seeds, (seed) =>
          fineTune({ data, checkpoint, lr: input.lr[0], seed, epochs: p.epochs }),
        ),
      ),
    )
    const { samples } = p
    const observe = (curvature: string, probe: (run: StudyRun) => ReturnType<typeof fisherRanks>) =>
      runs.map((of) => ({ ...mapCohort(of, probe), labels: { ...of.labels, curvature } }))
    const ofFisher = (source: (typeof labels)[keyof typeof labels]) => (run: StudyRun) =>
      fisher({ run, steps, samples, labels: source, grams: source === "true" ? "tensors" : "layers" })
    const fractions = [1 / 8, 1 / 4, 1 / 2].map((part) => Math.ceil(part * samples))
    const curves = {
      samples: (run: StudyRun) =>
        fisherRanks({ grams: ofFisher("true")(run), samples: [...new Set(fractions)] }),
      thresholds: (run: StudyRun) =>
        fisherRanks({ grams: ofFisher("true")(run), thresholds: [0.5, 0.7, 0.95, 0.999, 0.9999] }),
      tensors: (run: StudyRun) =>
        fisherRanks({
          grams: ofFisher("true")(run),
          tensors: ["attention", "feed-forward", "layer-norm", "weights", "biases"],
        }),
    }
    const hessians = runs
      .filter(({ labels }) => labels["checkpoint"] === undefined || labels["checkpoint"] === p.simcseSeeds[0])
      .map(({ labels, members }) => ({
        labels: { ...labels, curvature: "Hessian" },
        members: members
          .filter(({ seed }) => p.hessianSeeds.includes(seed))
          .map(({ seed, node: run }) => ({
            seed,
            node: hessian({
              run,
              steps,
              samples,
              blocks: ["encoder"],
              thresholds: [0.9, 0.99],
              iterations: p.iterations,
              vectors: 2,
            }),
          })),
      }))
    /** What of the empirical Fisher is observed unless said otherwise. */
    const usual = { curvature: "empirical", threshold: 0.99, samples, tensors: "all" }
    const normalised = (step: "first" | "last", where: Readonly<Record<string, string | number>>) => ({
      column: "normalised",
      where: { ...usual, step, ...where },
    })
    const report = claimsPage({
      title: `Is the block-diagonal approximation sound? ${input.title}`,
      provenance: input.provenance,
      claims: moments.flatMap((step) => {
        const [layers, encoder] = ["layers", "encoder"].map((block) => normalised(step, { block }))
        const ofEncoder = (curvature: string) => normalised(step, { block: "encoder", curvature })
        const erank = (curvature: string) => ({
          column: "erank",
          where: { step, block: "encoder", curvature, threshold: 0.9 },
        })
        return [
          agreement({ first: layers!, second: encoder!, margin: 0.05, family: "block and full" }),
          association({
            x: layers!,
            y: encoder!,
            direction: "positive",
            units: "cohorts",
            family: "block and full",
          }),
          ...["layers", "encoder", "block-diagonal"].map((block) =>
            observed({
              arm: "SimCSE(0.1)",
              than: "vanilla",
              column: "normalised",
              direction: "higher",
              where: { ...usual, step, block },
              family: "SimCSE against vanilla",
            }),
          ),
          ...["sampled", "true"].map((curvature) =>
            agreement({
              first: ofEncoder("empirical"),
              second: ofEncoder(curvature),
              margin: 0.05,
              family: "labels",
            }),
          ),
          association({
            x: ofEncoder("empirical"),
            y: ofEncoder("true"),
            direction: "positive",
            units: "cohorts",
            family: "labels",
          }),
          agreement({
            first: erank("Hessian"),
            second: erank("true"),
            margin: 0.05 * samples,
            family: "Hessian",
          }),
          association({
            x: erank("Hessian"),
            y: erank("true"),
            direction: "positive",
            units: "cohorts",
            family: "Hessian",
          }),
          slope({
            x: "samples",
            y: {
              column: "erank",
              where: { step, block: "layers", curvature: "empirical", threshold: 0.99, tensors: "all" },
            },
            is: { equals: 1, within: 0.1 },
            family: "samples",
          }),
          ...[0.5, 0.9, 0.999].map((threshold) =>
            association({
              x: layers!,
              y: normalised(step, { block: "layers", threshold }),
              direction: "positive",
              units: "cohorts",
              family: "threshold",
            }),
          ),
        ]
      }),
      charts: [
        {
          title: "Block against full",
          x: "step",
          y: "normalised",
          colour: "block",
          facet: "arm",
          where: usual,
        },
        {
          title: "Empirical and true Fisher",
          x: "step",
          y: "normalised",
          colour: "curvature",
          facet: "arm",
          where: { block: "layers", threshold: 0.99, samples },
        },
        {
          title: "Threshold",
          x: "threshold",
          y: "normalised",
          colour: "arm",
          facet: "step",
          where: { ...usual, threshold: [0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 0.9999], block: "layers" },
        },
        {
          title: "Number of examples",
          x: "samples",
          y: "normalised",
          colour: "arm",
          facet: "step",
          where: { ...usual, samples: [...fractions, samples], block: "layers" },
        },
        {
          title: "Tensors",
          x: "tensors",
          y: "normalised",
          colour: "arm",
          facet: "step",
          where: { threshold: 0.99, samples, block: "layers", curvature: "empirical" },
        },
        {
          title: "Hessian and true Fisher",
          x: "step",
          y: "erank",
          colour: "curvature",
          facet: "arm",
          where: { block: "encoder", threshold: 0.9, curvature: ["Hessian", "true"] },
        },
      ],
      runs,
      observations: [
        ...Object.entries(labels).flatMap(([curvature, source]) =>
          observe(curvature, (run) => fisherRanks({ grams: ofFisher(source)(run), thresholds: [0.9, 0.99] })),
        ),
        ...Object.values(curves).flatMap((curve) => observe("empirical", curve)),
        ...hessians,
      ],
    })
    return { report }
  },
})
