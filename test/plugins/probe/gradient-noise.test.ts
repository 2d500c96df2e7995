import { describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { selectExamples } from "../../../core/artifacts/examples.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { type GradientNoiseRow, gradientNoise } from "../../../plugins/probe/gradient-noise.ts"
import { observer, type Setting, withCheckpoint } from "../finetune/running.ts"
import { centredVectors, dot, mean, rowsIn, type Vectors } from "./vectors.ts"
import { rowsOf, watched } from "./watched.ts"

const { checkpoint, freshScratch } = await withCheckpoint("gradient-noise")

const asking = (options: Readonly<Record<string, unknown>>, setting: Partial<Setting> = {}) =>
  rowsOf<GradientNoiseRow>(gradientNoise, { options }, { checkpoint, scratch: freshScratch(), ...setting })

describe("the gradient noise of a run", () => {
  test("is that of its per-sample gradients, block by block and as a whole", async () => {
    const samples = 6
    const blocksOf = new Map<string, Vectors>()
    const gradients = observer("gradients", [9], (view) => {
      const { step, train, blocks } = view
      const indices = permutation(stream(1, "probe"), 21, 0).subarray(0, samples)
      tf.tidy(() => {
        const given = view.gradients({ examples: selectExamples(train, indices), per: "sample" })
        for (const [block, names] of blocks) {
          const flat_NP = tf.concat(
            names.map((name) => tf.reshape(given.get(name)!, [samples, -1])),
            1,
          )
          blocksOf.set(block, rowsIn(flat_NP.dataSync(), flat_NP.shape[1]!))
        }
      })
      return { step }
    })
    const rows = await asking(
      { samples, steps: { at: [9] } },
      { observers: [gradients], options: { lr: 5e-3 } },
    )
    const together = (belongs: (block: string) => boolean): Vectors =>
      Array.from({ length: samples }, (_, n) =>
        [...blocksOf].flatMap(([block, vectors]) => (belongs(block) ? vectors[n]! : [])),
      )
    const expected = new Map([
      ...blocksOf,
      ["encoder", together((block) => block.startsWith("layer."))] as const,
      ["all", together(() => true)] as const,
    ])
    expect(rows.map(({ step, block, layer }) => [step, block, layer])).toEqual(
      [...expected.keys()].map((block) => [
        9,
        block,
        block === "layer.0" ? 0 : block === "layer.1" ? 1 : null,
      ]),
    )
    for (const { block, gradientTrace, gradientSquare, noiseScale } of rows) {
      const vectors = expected.get(block)!
      const variance =
        centredVectors(vectors).reduce((sum, vector) => sum + dot(vector, vector), 0) / (samples - 1)
      const middle = vectors[0]!.map((_, h) => mean(vectors.map((vector) => vector[h]!)))
      const square = dot(middle, middle) - variance / samples
      const size = variance + Math.abs(square)
      expect(Math.abs(gradientTrace - variance) / size).toBeLessThan(1e-5)
      expect(Math.abs(gradientSquare - square) / size).toBeLessThan(1e-5)
      expect(noiseScale).toBe(gradientSquare > 0 ? gradientTrace / gradientSquare : null)
    }
  })

  test("fails alone if there are fewer examples than samples", async () => {
    const setting = { checkpoint, scratch: freshScratch() }
    expect(await watched(gradientNoise, { options: { samples: 30 } }, setting)).toMatchObject({
      message: "step 0: samples: expected at most 21, the number of training examples, found 30",
    })
  })
})
