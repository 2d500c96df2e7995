import { expect, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import { openSafetensors } from "../../../../core/tensor/safetensors.ts"
import { templatePretrain } from "../../../../plugins/template/pretrain.ts"
import { testPlugin, toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

testPlugin(templatePretrain, { options: { shrink: 0.5, perturb: 0.1 } })

/** The values of all parameters in one list. */
const valuesIn = (folder: string): Promise<readonly number[]> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const weights = yield* openSafetensors(join(folder, "model.safetensors"))
        const values: number[] = []
        for (const name of weights.entries.keys()) values.push(...(yield* weights.read(name)))
        return values
      }),
    ),
  )

test("shrinks every parameter", () =>
  withArtifacts(async (artifactOf) => {
    const { checkpoint } = toyStudy
    const before = await valuesIn((await artifactOf(checkpoint)).folder)
    const shrunk = await artifactOf(templatePretrain({ checkpoint, shrink: 0.5, perturb: 0 }))
    expect(await valuesIn(shrunk.folder)).toEqual(before.map((value) => value / 2))
  }))

test("another seed gives other noise", () =>
  withArtifacts(async (artifactOf) => {
    const { checkpoint } = toyStudy
    const valuesOf = async (seed: number) => {
      const { folder } = await artifactOf(templatePretrain({ checkpoint, shrink: 1, perturb: 0.1, seed }))
      return valuesIn(folder)
    }
    expect(await valuesOf(1)).not.toEqual(await valuesOf(2))
  }))
