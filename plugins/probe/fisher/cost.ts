/** What a look costs, for plans, from the sizes that are known before anything runs. */
import type { RunForecast } from "../../../core/artifacts/run.ts"
import { forwardFlops } from "../../model/cost.ts"
import { cheaper, directWork, type LinearShape, tokenWork, type Way } from "./gram-method.ts"
import { layersAtATime, layerTapeBytes } from "./memory.ts"

export interface Look {
  readonly samples: number
  readonly layers: boolean
  readonly selfCheck: boolean
  /** How many blocks are looked at. */
  readonly blocks: number
}

/** Bytes of a float32. */
const float = 4

/** For the gradients and products that are there at a time while a weight's Gram matrix is computed. */
const working = 2 ** 26

const linearFlops = (shape: LinearShape, way: Way): number =>
  (way === "token" ? tokenWork(shape) : directWork(shape)).flops

export const lookCost = (
  run: RunForecast,
  look: Look,
): { readonly flops: number; readonly memory: number } => {
  const { layers, hidden, intermediate, parameters, tokensPerExample } = run
  const lengths = Array.from({ length: look.samples }, () => tokensPerExample)
  const tokens = look.samples * tokensPerExample
  const workload = {
    sequences: look.samples,
    tokens,
    attended: tokens * tokensPerExample,
    predictions: 0,
  }
  const forward = forwardFlops({ ...run, vocabularySize: 0 }, ["pooler"], workload)
  const square: LinearShape = { inputs: hidden, outputs: hidden, lengths }
  const wide: LinearShape = { inputs: hidden, outputs: intermediate, lengths }
  const weights = [square, square, square, square, wide, wide]
  const grams = (way?: Way) =>
    layers * weights.reduce((sum, shape) => sum + linearFlops(shape, way ?? cheaper(shape)), 0)

  const atATime = Math.min(layers, layersAtATime(run, lengths))
  // Forward, backward to the inputs, and forward once more where the tape is made in pieces.
  const passes = look.layers ? forward * (atATime < layers ? 3 : 2) : forward
  const batched = (way?: Way) => passes + (look.layers ? grams(way) : 0)
  // By definition: every block has its own passes, down to its parameters, and all its gradients at once.
  const defined = look.blocks * 3 * forward + look.samples ** 2 * parameters
  const blockParameters = look.layers ? 4 * hidden ** 2 + 2 * hidden * intermediate : hidden ** 2

  return {
    flops: batched() + (look.selfCheck ? batched("token") + batched("direct") + defined : 0),
    memory:
      // The training's own: parameters and AdamW's two moments.
      3 * float * parameters +
      (look.layers ? atATime * layerTapeBytes(run, lengths) : 0) +
      float * tokens * (hidden * (layers / atATime) + 2 * (hidden + intermediate)) +
      working +
      (look.selfCheck ? float * (parameters + look.samples * blockParameters) : 0),
  }
}
