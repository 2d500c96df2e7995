import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { UnitFailure } from "../../core/api/failure.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import type { RunLength } from "../../core/api/watch.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { selectSequences } from "../../core/artifacts/sequences.ts"
import { normal } from "../../core/tensor/stream.ts"
import { activationBytes, forwardCalls, forwardFlops, layerWeights, workloadOf } from "../model/cost.ts"
import { layerOf } from "../model/parameters.ts"
import type { ClassifierView } from "../model/view.ts"
import { absoluteTraceOf, densityOf, effectiveRankOf, negativeShareOf, traceOf } from "./hessian/density.ts"
import { hessianOf } from "./hessian/product.ts"
import { drawLabelled, type Labelled, logLikelihood } from "./shared/likelihood.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** The steps to observe; by default only step 0, before the first update. */
  steps: Steps.default(() => ({ at: [0] })),
  /** N, the number of training examples: the same ones that `fisher` observes. */
  samples: "1 <= number.integer <= 256 = 16",
  /** `layers` means each layer, `encoder` all of them together. */
  blocks: type("'layers' | 'encoder'")
    .array()
    .atLeastLength(1)
    .default(() => ["layers", "encoder"]),
  /** Thresholds of the effective rank. */
  thresholds: type("0 < number < 1")
    .array()
    .atLeastLength(1)
    .default(() => [0.99]),
  /** Iterations of Lanczos's algorithm from each random vector. Each takes a product with the Hessian. */
  iterations: "2 <= number.integer <= 1000 = 60",
  /** Random vectors of the quadrature, after one that the outermost eigenvalues are searched from. */
  vectors: "1 <= number.integer <= 100 = 4",
})
type Options = typeof Options.infer

const HessianRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  block: "string",
  layer: "number.integer >= 0 | null",
  samples: "number.integer >= 1",
  /** Tells its rows from those of `fisher-ranks`. */
  curvature: "'Hessian'",
  parameters: "number.integer >= 1",
  threshold: "0 < number < 1",
  erank: "number.integer >= 0",
  erankError: "number >= 0 | null",
  erankChange: "number >= 0",
  trace: "number",
  absoluteTrace: "number >= 0",
  absoluteTraceError: "number >= 0 | null",
  negative: "0 <= number <= 1",
  found: type.instanceOf(Float64Array),
  asymmetry: "number >= 0",
})
/**
 * The Hessian of a block at a step, of the mean of −log p(yᵢ | xᵢ; θ) over the samples, without dropout.
 *
 * `block` is a layer (`layer.0`, whose `layer` is 0) or `encoder`. `erank` is the least number of eigenvalues, by |λ|,
 * with more than `threshold` of Σ |λ|: the definition for Fishers, whose λ are not negative, extended to indefinite
 * matrices. `erankError` is its standard error over random vectors (null if there is one), `erankChange` its distance
 * from the estimate of half as many iterations: where that is large, eigenvalues near the threshold are not resolved.
 * `trace` is Σ λ, `absoluteTrace` Σ |λ| with its standard error, and `negative` the share of it that negative
 * eigenvalues have. `found` are the outermost eigenvalues, as far as they were found, by |λ|. `asymmetry` is the largest
 * entry that the symmetry of the Hessian forbids, as a fraction of the largest eigenvalue's order: a check of the products.
 */
export type HessianRow = typeof HessianRow.infer

/** The site in a probe's stream of random vector v: sites 0 and 1 are the batch's and the sampled labels'. */
const siteOf = (vector: number): number => 2 + vector

const stepsOf = (options: Options, run: RunLength) => chooseSteps(options.steps, run)

/** The parameters of each layer, and of all layers. */
const chosen = (
  blocks: ClassifierView["blocks"],
  wanted: Options["blocks"],
): readonly (readonly [block: string, names: readonly string[]])[] => {
  const layers = [...blocks].filter(([block]) => layerOf(block) !== undefined)
  return [
    ...(wanted.includes("layers") ? layers : []),
    ...(wanted.includes("encoder") ? [["encoder", layers.flatMap(([, names]) => names)] as const] : []),
  ]
}

/** Attention multiplies neighbouring sequences of equal length together. */
const byLength = ({ sequences, labels }: Labelled): Labelled => {
  const lengthOf = (n: number) => sequences.offsets[n + 1]! - sequences.offsets[n]!
  const order = Int32Array.from(labels, (_, n) => n).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b)
  return {
    sequences: selectSequences(sequences, order),
    labels: labels.map((_, at) => labels[order[at]!]!),
  }
}

const observe = Effect.fn("hessian")(function* (view: ClassifierView, { options }: ObserveContext<Options>) {
  const { step, parameters, logits, stream } = view
  const { samples, iterations, vectors } = options
  const { sequences, labels } = byLength(yield* drawLabelled(view, samples))
  const loss = (): tf.Scalar => tf.mul(logLikelihood(logits(sequences), labels), -1 / samples)
  const rows: HessianRow[] = []
  for (const [block, names] of chosen(view.blocks, options.blocks)) {
    const size = names.reduce((sum, name) => sum + parameters.get(name).size, 0)
    const operator = hessianOf(loss, parameters, names)
    const probed = operator(new Float64Array(size).fill(1))
    if (!probed.every(Number.isFinite)) {
      return yield* new UnitFailure({
        outcome: "diverged",
        reason: `the Hessian of ${block} is not finite`,
        step,
      })
    }
    const density = densityOf(operator, size, {
      iterations,
      vectors,
      // The same vectors at every step and in every arm.
      draw: (v) => Float64Array.from(normal({ stream, site: siteOf(v), iteration: 0 }, size)),
    })
    const absoluteTrace = absoluteTraceOf(density)
    for (const threshold of options.thresholds) {
      const erank = effectiveRankOf(density, threshold)
      rows.push({
        step,
        block,
        layer: layerOf(block) ?? null,
        samples,
        curvature: "Hessian",
        parameters: size,
        threshold,
        erank: erank.value,
        erankError: erank.standardError,
        erankChange: erank.change,
        trace: traceOf(density).value,
        absoluteTrace: absoluteTrace.value,
        absoluteTraceError: absoluteTrace.standardError,
        negative: negativeShareOf(density).value,
        found: Float64Array.from(density.found),
        asymmetry: density.asymmetry,
      })
    }
  }
  return rows
})

/** Bytes of a row on disk. */
const rowBytes = 800

/** A product: the forward and backward pass, and the backward pass through both, in plain ops that are less than fused. */
const passesOfProduct = 9

/**
 * The Hessian's effective ranks by layer and of the whole encoder, from exact products with vectors: outermost
 * eigenvalues by Lanczos's algorithm with full reorthogonalisation, the others by stochastic Lanczos quadrature (Ubaru,
 * Chen and Saad 2017; Ghorbani, Krishnan and Xiao 2019).
 */
export const hessian = probe<ClassifierView, RunEstimate>()({
  name: "hessian",
  version: 1,
  module: import.meta.url,
  summary: "Effective ranks of the Hessian of the loss by layer, with their errors",
  options: Options,
  gives: observationsOf<HessianRow>(HessianRow),
  steps: stepsOf,
  observe,
  estimate: (options, run) => {
    const observations = stepsOf(options, run).length
    const { samples, iterations, vectors } = options
    const layers = options.blocks.includes("layers") ? run.layers : 0
    const encoder = options.blocks.includes("encoder") ? 1 : 0
    const workload = workloadOf(samples, run.tokensPerExample)
    const products = 1 + iterations * (1 + vectors)
    const forward = forwardFlops({ ...run, vocabularySize: 0 }, ["pooler"], workload)
    const size = layerWeights(run) * (encoder === 1 ? run.layers : 1)
    const ofParameters = layers * layerWeights(run) + encoder * run.layers * layerWeights(run)
    const rows = observations * (layers + encoder) * options.thresholds.length
    return {
      rows,
      cost: cost({
        flops:
          observations *
          ((layers + encoder) * products * passesOfProduct * forward +
            // Both projections onto the basis, and the first search's eigenvectors.
            4 * iterations ** 2 * (1 + vectors) * ofParameters),
        calls: observations * (layers + encoder) * products * passesOfProduct * forwardCalls(run),
        memory:
          // Of training itself: parameters and AdamW's two moments.
          3 * Float32Array.BYTES_PER_ELEMENT * run.parameters +
          passesOfProduct * activationBytes({ ...run, vocabularySize: 0 }, workload) +
          // The basis, the eigenvectors, and some vectors in float64.
          Float32Array.BYTES_PER_ELEMENT * size * (2 * iterations + 16),
        disk: rows * (rowBytes + 8 * iterations),
        scratch: rows * (rowBytes + 8 * iterations),
      }),
    }
  },
})
