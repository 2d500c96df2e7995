import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { copy, transferExisting } from "../../core/io/link.ts"
import { openSafetensors, type TensorSource, writeSafetensors } from "../../core/tensor/safetensors.ts"
import { normal, stream } from "../../core/tensor/stream.ts"
import { layerWeights } from "../model/cost.ts"
import { tokenizerFiles } from "../model/tokenizer.ts"

const Options = type({
  "+": "reject",
  /** λ: the factor of every parameter. */
  shrink: "0 <= number <= 1",
  /** σ: the standard deviation of the noise added to every parameter. */
  perturb: "0 <= number <= 1",
  /** Determines the noise. */
  seed: "0 <= number.integer <= 4294967295 = 0",
})

const takes = { checkpoint: Checkpoint }

/**
 * Shrink and perturb: θ ← λθ + N(0, σ²) for every parameter (Ash and Adams 2020, equation 1). It trains nothing: it is a
 * control that changes a checkpoint without teaching it anything.
 */
export const templatePretrain = plugin({
  name: "template-pretrain",
  stage: "pretrain",
  version: 1,
  module: import.meta.url,
  summary: "Shrinks the parameters of a checkpoint and adds noise to them",
  options: Options,
  takes,
  gives: Checkpoint,
  usesBackend: false,
  estimate: (_options, { checkpoint }) => {
    const { layers, hidden, vocabularySize, positions } = checkpoint
    const parameters = (vocabularySize + positions) * hidden + layers * layerWeights(checkpoint)
    const bytes = Float32Array.BYTES_PER_ELEMENT * parameters
    return { artifact: checkpoint, cost: cost({ flops: 2 * parameters, memory: bytes, disk: bytes }) }
  },
  run: Effect.fn("template-pretrain")(function* ({
    options: { shrink, perturb, seed },
    inputs: { checkpoint },
  }: RunContext<typeof Options.infer, typeof takes, unknown>) {
    const weights = yield* openSafetensors(join(checkpoint.folder, "model.safetensors"))
    const noise = stream(seed, "noise")
    const tensors: TensorSource[] = []
    for (const [name, { shape }] of weights.entries) {
      const values = yield* weights.read(name)
      // Each tensor draws from its own site, so its noise does not depend on the sizes of the other tensors.
      const added = { stream: noise, site: tensors.length, iteration: 0 }
      const moved = () => {
        const drawn = normal(added, values.length, perturb)
        return values.map((value, i) => shrink * value + drawn[i]!)
      }
      tensors.push({ name, shape, values: moved })
    }
    return {
      write: Effect.fnUntraced(function* (folder: string) {
        yield* writeSafetensors(join(folder, "model.safetensors"), tensors)
        yield* transferExisting(copy, checkpoint.folder, ["config.json", ...tokenizerFiles], folder)
      }),
    }
  }, Effect.scoped),
})
