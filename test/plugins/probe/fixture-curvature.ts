/** The fixture `curvature`: see its README. */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { readJson } from "../../../core/io/files.ts"
import type { TrainableModel } from "../../../plugins/model/encoder.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { blocksOf, layerOf, parametersOf } from "../../../plugins/model/parameters.ts"
import type { Labelled } from "../../../plugins/probe/shared/likelihood.ts"

const folder = join(import.meta.dir, "..", "..", "fixtures", "curvature")
const Batch = type({ ids: "number[][]", tokenTypeIds: "number[][]", labels: "number[]" })
const Expected = type({
  "[string]": { parameters: "number", hessian: "number[]", product: "number[]", expectedFisher: "number[]" },
})

const { ids, tokenTypeIds, labels } = await Effect.runPromise(readJson(join(folder, "batch.json"), Batch))
export const fixtureBatch: Labelled = {
  sequences: packSequences(ids.map((of, n) => ({ ids: of, tokenTypeIds: tokenTypeIds[n]! }))),
  labels: Int32Array.from(labels),
}

/** Figures by block: layers and encoder. */
export const expectedCurvature = await Effect.runPromise(readJson(join(folder, "expected.json"), Expected))

/** On the running backend; the caller disposes of its parameters. */
export const fixtureModel = (): Promise<TrainableModel> =>
  Effect.runPromise(loadModel(folder, { outputHeads: { pooler: "read", classifier: "read" } }))

/** The names of the parameters of the encoder's layers, by block. */
export const layersOf = ({ config }: TrainableModel): ReadonlyMap<string, readonly string[]> =>
  new Map(
    [...blocksOf(parametersOf(config, ["pooler", "classifier"]))].filter(
      ([block]) => layerOf(block) !== undefined,
    ),
  )
