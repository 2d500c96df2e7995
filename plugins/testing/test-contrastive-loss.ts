import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import type { AnyPlugin } from "../../core/api/plugin.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { startBackend } from "../../core/tensor/backend.ts"
import { type HostTensor, Parameters } from "../../core/tensor/parameters.ts"
import { wasm } from "../backend/wasm.ts"
import type { Views } from "../pretrain/shared/contrastive-training.ts"
import { drawn, expectDifferentiable } from "./differences.ts"

/** A plugin that trains on two views of sentences, as `contrastiveTraining` makes it. */
export type ContrastivePlugin<S> = AnyPlugin &
  ((settings: S) => unknown) & {
    readonly contrast: {
      readonly loss: (views: Views, options: never) => tf.Scalar
      readonly parameters?: (hidden: number, options: never) => Readonly<Record<string, readonly number[]>>
    }
  }

/** How a loss of two views is tested. */
export interface ContrastiveLossTest<S> {
  /** The plugin's options as a pipeline gives them, without those of training. A small projection keeps it fast. */
  readonly options?: Partial<S>
}

const count = 5
const hidden = 4
const viewNames = ["first", "second"] as const

/**
 * Registers tests that the loss of every plugin of `contrastiveTraining` must pass, to be called at the top of a test
 * file beside `testPlugin`. They run on the backend `wasm`:
 *
 * - its gradient by the two views and by its own parameters is that by differences;
 * - views that match cost less than views of other sentences;
 * - no tensor is left over.
 *
 * ```ts
 * testContrastiveLoss(vicreg, { options: { projection: 6 } })
 * ```
 */
export const testContrastiveLoss = <S extends object>(
  plugin: ContrastivePlugin<S>,
  { options = {} }: ContrastiveLossTest<S> = {},
): void => {
  const filled: unknown = plugin.options({ steps: 1, ...options })
  if (filled instanceof type.errors)
    throw new InvalidInput({ what: `the options of ${plugin.name}`, problems: [filled.summary] })
  const { loss, parameters } = plugin.contrast
  const inputs: Record<string, HostTensor> = {}
  for (const [site, name] of viewNames.entries()) inputs[name] = drawn([count, hidden], site)
  for (const [index, [name, shape]] of Object.entries(
    parameters?.(hidden, filled as never) ?? {},
  ).entries()) {
    inputs[`the parameter ${name}`] = drawn(shape, viewNames.length + index)
  }
  const lossOf = (given: Parameters, views: readonly [string, string] = viewNames): tf.Scalar =>
    loss(
      {
        first_NH: given.get(views[0]),
        second_NH: given.get(views[1]),
        indices_N: Int32Array.from({ length: count }, (_, n) => n),
        parameter: (name) => given.get(`the parameter ${name}`),
      },
      filled as never,
    )

  describe(`the loss of ${plugin.name} keeps what losses promise:`, () => {
    beforeAll(() => Effect.runPromise(startBackend(wasm)))

    test("its gradient is that by differences", () => expectDifferentiable((given) => lossOf(given), inputs))

    test("views that match cost less than views of other sentences, and no tensor is left over", () => {
      const before = tf.memory().numTensors
      const given = Parameters.fromHost(Object.entries(inputs))
      const { first } = inputs
      const rotated = new Float32Array(first!.values.length)
      for (const [index, value] of first!.values.entries()) rotated[(index + hidden) % rotated.length] = value
      given.set("other", tf.tensor(rotated, [count, hidden]))
      const lossBeside = (second: string) => tf.tidy(() => lossOf(given, ["first", second]).dataSync()[0]!)
      expect(lossBeside("first")).toBeLessThan(lossBeside("other"))
      given.dispose()
      expect(tf.memory().numTensors - before).toBe(0)
    })
  })
}
