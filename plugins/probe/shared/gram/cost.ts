/** The estimated cost of an observation, from the sizes that are known before anything runs. */
import type { Cost } from "../../../../core/api/cost.ts"
import type { RunEstimate } from "../../../../core/artifacts/run.ts"
import { forwardCalls, forwardFlops, layerWeights, workloadOf } from "../../../model/cost.ts"
import type { LabelSource } from "./columns.ts"
import { cheaper, directWork, type GramMethod, type LinearShape, tokenWork } from "./gram-method.ts"
import { layersAtATime, layerTapeBytes } from "./memory.ts"

export interface Observation {
  readonly samples: number
  /** Whether layers are observed. */
  readonly layers: boolean
  readonly selfCheck: boolean
  readonly labels: LabelSource
  /** How many blocks are observed. */
  readonly blocks: number
}

/** The tensors of a layer, each of which has its Gram matrix. */
const layerTensors = 16

/** The kernels of a layer's backward pass to its inputs, and those of the Gram matrices. */
const callsOfLayer = 17 + layerTensors

/** Bytes of the gradients and products that exist at once while a weight's Gram matrix is computed. */
const working = 2 ** 26

const linearFlops = (shape: LinearShape, method: GramMethod): number =>
  (method === "token" ? tokenWork(shape) : directWork(shape)).flops

export const observationCost = (
  run: RunEstimate,
  observation: Observation,
): Pick<Cost, "flops" | "calls" | "memory"> => {
  const { layers, hidden, intermediate, parameters, tokensPerExample } = run
  const lengths = Array.from({ length: observation.samples }, () => tokensPerExample)
  const tokens = observation.samples * tokensPerExample
  const workload = workloadOf(observation.samples, tokensPerExample)
  const forward = forwardFlops({ ...run, vocabularySize: 0 }, ["pooler"], workload)
  const square: LinearShape = { inputs: hidden, outputs: hidden, lengths }
  const wide: LinearShape = { inputs: hidden, outputs: intermediate, lengths }
  const weights = [square, square, square, square, wide, wide]
  const grams = (method?: GramMethod) =>
    layers * weights.reduce((sum, shape) => sum + linearFlops(shape, method ?? cheaper(shape)), 0)

  const atATime = Math.min(layers, layersAtATime(run, lengths))
  // Forward, backward to the inputs, and forward once more if the backward pass is in pieces.
  const forwards = observation.layers && atATime < layers ? 2 : 1
  const passes = observation.layers ? forward * (forwards + 1) : forward
  const batched = (method?: GramMethod) => passes + (observation.layers ? grams(method) : 0)
  // By definition: every block has its own passes, down to its parameters, and holds all its gradients at once.
  const defined = observation.blocks * 3 * forward + observation.samples ** 2 * parameters
  const blockParameters = observation.layers ? layerWeights(run) : hidden ** 2

  return {
    flops:
      // The model's own probabilities take a forward pass.
      (observation.labels === "true" ? 0 : forward) +
      batched() +
      (observation.selfCheck ? batched("token") + batched("direct") + defined : 0),
    // Of the batched pass: the others are checks.
    calls: forwards * forwardCalls(run) + (observation.layers ? callsOfLayer * layers : 0),
    memory:
      // Of training itself: parameters and AdamW's two moments.
      3 * Float32Array.BYTES_PER_ELEMENT * parameters +
      (observation.layers ? atATime * layerTapeBytes(run, lengths) : 0) +
      Float32Array.BYTES_PER_ELEMENT * tokens * (hidden * (layers / atATime) + 2 * (hidden + intermediate)) +
      working +
      (observation.layers
        ? Float64Array.BYTES_PER_ELEMENT * layerTensors * layers * observation.samples ** 2
        : 0) +
      (observation.selfCheck
        ? Float32Array.BYTES_PER_ELEMENT * (parameters + observation.samples * blockParameters)
        : 0),
  }
}
