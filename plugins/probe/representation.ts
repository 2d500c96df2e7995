import { type } from "arktype"
import { Effect } from "effect"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import type { ClassifierView } from "../model/view.ts"
import { anisotropyOf, uniformityOf } from "./representation/geometry.ts"
import { centred } from "./shared/centring.ts"
import { gramOf } from "./shared/gram/gram.ts"
import { effectiveRank, entropyRank } from "./shared/rank.ts"
import {
  Poolings,
  representationColumns,
  representationEstimate,
  representationsOf,
  vectorsOf,
} from "./shared/representations.ts"
import { drawSamples } from "./shared/samples.ts"
import { eigenvalues } from "./shared/spectrum.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe; by default only step 0, before the first update. */
  steps: Steps.default(() => ({ at: [0] })),
  /** N, the number of training examples, which no rank can exceed. */
  samples: "2 <= number.integer <= 256 = 64",
  /** What stands for an example. */
  poolings: Poolings,
})
type Options = typeof Options.infer

const RepresentationRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  ...representationColumns,
  samples: "number.integer >= 2",
  anisotropy: "number | null",
  uniformity: "number | null",
  representationErank: "number.integer >= 0",
  representationRank: "0 <= number <= 1",
  representationEntropyRank: "number >= 0",
  centredErank: "number.integer >= 0",
  centredRank: "0 <= number <= 1",
  centredEntropyRank: "number >= 0",
})
/**
 * How the representations of `samples` different examples lie in space at a step.
 *
 * `anisotropy` is the mean cosine between two of them (Ethayarajh 2019), `uniformity` the logarithm of the mean Gaussian
 * potential of their directions (Wang and Isola 2020, t = 2); null if one of them is zero. `representationErank` is the
 * effective rank at 0.99 of their Gram matrix, by the definition of the Fisher's, `representationRank` that divided by
 * the largest possible, the lesser of `samples` and the hidden size, `representationEntropyRank` that of Roy and
 * Vetterli 2007. The `centred` ranks are those of the representations less their mean, which can hide all else; 0 if all
 * are the same.
 */
export type RepresentationRow = typeof RepresentationRow.infer

const threshold = 0.99

const observe = Effect.fn("representation")(function* (
  view: ClassifierView,
  { options }: ObserveContext<Options>,
) {
  const { samples, poolings } = options
  const { step, config } = view
  const { sequences } = yield* drawSamples(view, samples)
  const representations = yield* representationsOf({ model: view, step }, sequences, poolings)
  const rank = (gram: Float64Array, most: number) => {
    const spectrum = eigenvalues(gram, samples)
    const erank = effectiveRank(spectrum, threshold)
    return { erank, normalised: Math.min(1, erank / most), entropy: entropyRank(spectrum) }
  }
  return representations.map(({ block, layer, pooling, values }): RepresentationRow => {
    const gram = gramOf(vectorsOf(values, samples))
    const whole = rank(gram, Math.min(samples, config.hidden))
    // The mean takes one dimension from the samples.
    const spread = rank(centred(gram, samples), Math.min(samples - 1, config.hidden))
    return {
      step,
      block,
      layer,
      pooling,
      samples,
      anisotropy: anisotropyOf(gram, samples),
      uniformity: uniformityOf(gram, samples),
      representationErank: whole.erank,
      representationRank: whole.normalised,
      representationEntropyRank: whole.entropy,
      centredErank: spread.erank,
      centredRank: spread.normalised,
      centredEntropyRank: spread.entropy,
    }
  })
})

const rowBytes = 420

/**
 * How a model represents different examples, block by block, without dropout: anisotropy, uniformity and effective
 * ranks, all from the Gram matrix of the representations.
 */
export const representation = probe<ClassifierView, RunEstimate>()({
  name: "representation",
  version: 1,
  module: import.meta.url,
  summary: "Anisotropy, uniformity and effective ranks of the representations of examples by layer",
  options: Options,
  gives: observationsOf<RepresentationRow>(RepresentationRow),
  steps: ({ steps }, run) => chooseSteps(steps, run),
  observe,
  estimate: ({ steps, samples, poolings }, run) =>
    representationEstimate(run, {
      steps: chooseSteps(steps, run).length,
      sequences: samples,
      poolings,
      rowBytes,
    }),
})
