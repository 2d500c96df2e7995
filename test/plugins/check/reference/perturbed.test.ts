import { beforeAll, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Parameters } from "../../../../core/tensor/parameters.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { perturbed } from "../../../../plugins/check/reference/perturbed.ts"
import { onCpu } from "../../model/tiny-model.ts"

beforeAll(onCpu)

const values = Float32Array.from({ length: 64 }, (_, i) => (i === 5 ? 0 : (i - 31.5) * 0.37))

const moved = (precision: "fp32" | "bf16", seed: number) => {
  const parameters = Parameters.fromHost([["w", { shape: [8, 8], values }]])
  const copy = perturbed(parameters, precision, stream(seed, "rounding"))
  const found = copy.toHost().get("w")!
  expect(parameters.toHost().get("w")!.values).toEqual(values)
  for (const each of [parameters, copy]) each.dispose()
  expect(found.shape).toEqual([8, 8])
  return found.values
}

/** The distance of the neighbours of a number with this many bits after the first, relative to its power of two. */
test.each([
  ["fp32", 2 ** -23],
  ["bf16", 2 ** -7],
] as const)(
  "every weight is moved by one rounding of %s, some up and some down; zeros stay",
  (precision, unit) => {
    const before = tf.memory().numTensors
    const found = moved(precision, 0)
    const signs = new Set<number>()
    for (const [i, value] of values.entries()) {
      const step = Math.abs(found[i]! - value)
      // Below a power of two, the neighbour is half as far away.
      const expected =
        value === 0 ? [0] : [0.5, 1].map((part) => part * unit * 2 ** Math.floor(Math.log2(Math.abs(value))))
      expect(expected.some((each) => Math.abs(step - each) <= 1e-3 * each)).toBe(true)
      signs.add(Math.sign(found[i]! - value))
    }
    expect(signs).toEqual(new Set([-1, 0, 1]))
    expect(moved(precision, 0)).toEqual(found)
    expect(moved(precision, 1)).not.toEqual(found)
    expect(tf.memory().numTensors).toBe(before)
  },
)
