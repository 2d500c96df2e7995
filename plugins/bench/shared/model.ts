import { Effect } from "effect"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { configOf, type Size } from "../../model/config.ts"
import type { TrainableModel } from "../../model/encoder.ts"
import { initialise } from "../../model/initialise.ts"
import { type OutputHead, parametersOf } from "../../model/parameters.ts"

/** A newly drawn model of a published size; the scope disposes of it. */
export const freshModel = (size: Size, vocabularySize: number, outputHeads: readonly OutputHead[]) =>
  Effect.acquireRelease(
    Effect.sync((): TrainableModel => {
      const config = configOf(size, vocabularySize, 0)
      const values = initialise(config, parametersOf(config, outputHeads), stream(0, "head"))
      return { config, parameters: Parameters.fromHost(values) }
    }),
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )
