import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import type { EncoderConfig } from "../../../plugins/model/config.ts"
import type { TrainableModel } from "../../../plugins/model/encoder.ts"
import { bert } from "../../../plugins/model/layouts/bert.ts"
import { everyParameterOf, type OutputHead, parametersOf } from "../../../plugins/model/parameters.ts"

export const onCpu = () => Effect.runPromise(startBackend(cpu))

export const tinyConfig: EncoderConfig = {
  layout: bert,
  layers: 2,
  hidden: 8,
  embeddingSize: null,
  heads: 2,
  intermediate: 12,
  vocabularySize: 20,
  positions: 16,
  tokenTypes: 2,
  layerNormEpsilon: 1e-12,
  hiddenDropout: 0.1,
  attentionDropout: 0.2,
  classifierDropout: null,
  initializerRange: 0.02,
  labels: ["entailment", "not_entailment", "unsure"],
  padTokenId: 0,
}

/** A model, by default with every output head, with parameters that are all random and large enough to matter, biases and scales included. */
export const tinyModel = (
  config: EncoderConfig = tinyConfig,
  wanted?: readonly OutputHead[],
  seed = 7,
): TrainableModel => {
  const parameters = new Parameters()
  const specs = wanted === undefined ? everyParameterOf(config) : parametersOf(config, wanted)
  for (const [site, { name, shape, role }] of specs.entries()) {
    const size = tf.util.sizeFromShape([...shape])
    const noise = normal({ stream: stream(seed, "test"), site, iteration: 0 }, size, 0.3)
    parameters.set(name, tf.tensor(role === "scale" ? noise.map((value) => 1 + value) : noise, [...shape]))
  }
  return { config, parameters }
}

/** Runs `body` with a temporary folder, which is deleted afterwards. */
export const withFolder = async <A>(body: (folder: string) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), "model-"))
  try {
    return await body(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
