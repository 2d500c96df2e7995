import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { differentiable } from "../../../core/tensor/differentiable.ts"
import { linear } from "../../../core/tensor/ops/linear.ts"
import { differentiate, takeGradientSoFar } from "../../../core/tensor/tape.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { noise } from "./against-float64.ts"

beforeAll(() => Effect.runPromise(startBackend(cpu)))

let tensors: number
beforeEach(() => {
  tensors = tf.memory().numTensors
})
afterEach(() => {
  expect(tf.memory().numTensors).toBe(tensors)
  expect(tf.engine().state.gradientDepth).toBe(0)
})

const of = (site: number, shape: readonly number[]) =>
  tf.tensor(noise(site, tf.util.sizeFromShape([...shape])), [...shape])

/** The value and gradients of `y`, by ours and by tfjs's own walk. */
const both = (shapes: readonly (readonly number[])[], y: (xs: tf.Tensor[]) => tf.Tensor, seed?: number) =>
  tf.tidy(() => {
    const xs = shapes.map((shape, site) => of(site, shape))
    const output = () => y(xs)
    const dy = seed === undefined ? undefined : of(seed, tf.tidy(output).shape)
    const ours = differentiate(output, xs, dy)
    const { value, grads } = tf.engine().gradients(output, xs, dy, true)
    const numbers = (tensor: tf.Tensor | null | undefined) => (tensor == null ? [] : [...tensor.dataSync()])
    return {
      found: [ours.value, ...ours.gradients].map(numbers),
      expected: [value, ...grads].map(numbers),
    }
  })

describe("gradients have the bits of tfjs's own", () => {
  test.each<readonly [string, readonly (readonly number[])[], (xs: tf.Tensor[]) => tf.Tensor]>([
    [
      "a product that is used twice",
      [
        [3, 2],
        [2, 3],
      ],
      ([a, b]) => {
        const product = tf.matMul(a!, b!)
        return tf.sum(tf.mul(product, tf.tanh(product)))
      },
    ],
    ["an input that is added to itself", [[3]], ([a]) => tf.sum(tf.add(a!, a!))],
    ["an input that is broadcast", [[3, 4], [4]], ([a, b]) => tf.sum(tf.square(tf.add(a!, b!)))],
    [
      "an op of several outputs, of which some are used",
      [[4, 3]],
      ([a]) => {
        const [first, , last] = tf.unstack(a!, 1)
        return tf.sum(tf.mul(first!, tf.exp(last!)))
      },
    ],
    ["an input on which nothing depends", [[2], [2]], ([a]) => tf.sum(tf.exp(a!))],
    ["shapes that change on the way", [[2, 3]], ([a]) => tf.sum(tf.square(tf.transpose(a!.reshape([3, 2]))))],
    ["what depends on nothing", [[2]], () => tf.scalar(3)],
    ["an input that is the output", [[]], ([a]) => a!],
    [
      "an op of ours",
      [[2, 3], [4, 3], [4]],
      ([x, w, b]) => tf.sum(tf.square(linear(x as tf.Tensor2D, w as tf.Tensor2D, b as tf.Tensor1D))),
    ],
  ])("of %s", (_, shapes, y) => {
    const { found, expected } = both(shapes, y)
    expect(found).toEqual(expected)
  })

  test("from a gradient that flows into the output", () => {
    const { found, expected } = both(
      [
        [3, 2],
        [3, 2],
      ],
      ([a, b]) => tf.mul(tf.exp(a!), b!),
      9,
    )
    expect(found).toEqual(expected)
  })

  test("within another tape, which differentiates them again", () => {
    tf.tidy(() => {
      const x = of(1, [5])
      const slope = (x: tf.Tensor) => differentiate(() => tf.sum(tf.pow(x, 3)), [x]).gradients[0]!
      const curvature = tf.grad((x) => tf.sum(slope(x)))(x)
      for (const [i, value] of curvature.dataSync().entries())
        expect(value).toBeCloseTo(6 * noise(1, 5)[i]!, 4)
    })
  })
})

describe("an op may add to what has flowed into its input so far", () => {
  /** 2x, whose gradient takes what there is, and adds its own part by `add`. */
  const twice = (x: tf.Tensor, add: (before: tf.Tensor | undefined, own: tf.Tensor) => tf.Tensor) =>
    differentiable(
      [x],
      (given) => ({ y: tf.mul(given(x), 2), saved: {} }),
      (dy) => [add(takeGradientSoFar(x), tf.mul(dy, 2))],
    )
  const sum = (before: tf.Tensor | undefined, own: tf.Tensor) =>
    before === undefined ? own : tf.add(before, own)
  const inPlace = (before: tf.Tensor | undefined, own: tf.Tensor) => {
    if (before === undefined) return own
    const values = tf.backend().readSync(before.dataId) as Float32Array
    for (const [i, value] of own.dataSync().entries()) values[i]! += value
    return before
  }

  test.each([
    ["as a new tensor", sum],
    ["in its place", inPlace],
  ])("%s", (_, add) => {
    tf.tidy(() => {
      const x = tf.tensor1d([1, 2])
      const found = differentiate(
        () => tf.sum(tf.add(tf.add(twice(x, add), twice(x, add)), tf.add(tf.mul(x, 5), twice(x, add)))),
        [x],
      )
      expect([...found.gradients[0]!.dataSync()]).toEqual([11, 11])
    })
  })

  test("once for each of its inputs, and outside a backward pass there is nothing", () => {
    tf.tidy(() => {
      const x = tf.tensor1d([1, 2])
      const takes: boolean[] = []
      const op = () =>
        differentiable(
          [x],
          (given) => ({ y: tf.mul(given(x), 2), saved: {} }),
          (dy) => {
            const before = takeGradientSoFar(x)
            takes.push(before !== undefined, takeGradientSoFar(x) !== undefined)
            return [sum(before, tf.mul(dy, 2))]
          },
        )
      const found = differentiate(() => tf.sum(tf.add(op(), op())), [x])
      expect([...found.gradients[0]!.dataSync()]).toEqual([4, 4])
      expect(takes).toEqual([false, false, true, false])
      expect(takeGradientSoFar(x)).toBeUndefined()
    })
  })
})

describe("an op may give as the gradient of an input", () => {
  const twice =
    (gradients: (dy: tf.Tensor, saved: tf.Tensor) => tf.Tensor[]) => (a: tf.Tensor, b: tf.Tensor) =>
      differentiable(
        [a, b],
        (given) => ({ y: tf.add(given(a), given(b)), saved: { a: given(a) } }),
        (dy, saved) => gradients(dy, saved.a),
      )

  test.each<readonly [string, (dy: tf.Tensor, saved: tf.Tensor) => tf.Tensor[], readonly number[][]]>([
    [
      "the output's itself, for both",
      (dy) => [dy, dy],
      [
        [1, 1],
        [1, 1],
      ],
    ],
    [
      "what it has saved",
      (dy, saved) => [saved, dy],
      [
        [3, 4],
        [1, 1],
      ],
    ],
    [
      "one tensor for both",
      (dy) => {
        const double = tf.mul(dy, 2)
        return [double, double]
      },
      [
        [2, 2],
        [2, 2],
      ],
    ],
  ])("%s", (_, gradients, expected) => {
    tf.tidy(() => {
      const [a, b] = [tf.tensor1d([3, 4]), tf.tensor1d([5, 6])]
      const found = differentiate(() => tf.sum(twice(gradients)(a, b)), [a, b])
      expect(found.gradients.map((gradient) => [...gradient!.dataSync()])).toEqual(expected as number[][])
      tf.dispose(found.gradients[0])
      expect([...found.gradients[1]!.dataSync()]).toEqual(expected[1]!)
      expect([...a.dataSync()]).toEqual([3, 4])
    })
  })
})

test("on the way back, what is not needed any more is disposed of", () => {
  const length = 12
  const live: number[] = []
  const step = (x: tf.Tensor) =>
    differentiable(
      [x],
      (given) => ({ y: tf.mul(given(x), 2), saved: { copy: tf.mul(x, 3) } }),
      (dy) => {
        live.push(tf.memory().numTensors)
        return [tf.mul(dy, 2)]
      },
    )
  tf.tidy(() => {
    const x = tf.tensor1d([1, 2])
    const { gradients } = differentiate(() => {
      let y: tf.Tensor = x
      for (let i = 0; i < length; i++) y = step(y)
      return tf.sum(y)
    }, [x])
    expect([...gradients[0]!.dataSync()]).toEqual([2 ** length, 2 ** length])
  })
  // Of each op what it saved; the gradient of its output takes the place of the one before.
  expect(live).toEqual(Array.from({ length }, (_, i) => live[0]! - i))
})

describe("a pass that fails leaves no tensor and no tape", () => {
  const failing = (part: "forward" | "backward") => (x: tf.Tensor) =>
    differentiable(
      [x],
      (given) => {
        if (part === "forward") throw new Error("it broke")
        return { y: tf.mul(given(x), 2), saved: { x: given(x) } }
      },
      () => {
        throw new Error("it broke")
      },
    )

  test.each(["forward", "backward"] as const)("in the %s pass", (part) => {
    expect(() =>
      tf.tidy(() => {
        const x = tf.tensor1d([1, 2])
        const saved = linear(x.as2D(1, 2), tf.ones([2, 2]), tf.zeros([2]))
        return differentiate(() => tf.sum(failing(part)(tf.mul(saved, x))), [x]).value
      }),
    ).toThrow("it broke")
  })

  test("as it does with a gradient of another shape than its input's", () => {
    const x = tf.tensor1d([1, 2])
    const wrong = differentiable.bind(undefined, [x], (given) => ({ y: tf.mul(given(x), 2), saved: {} }))
    expect(() => tf.tidy(() => differentiate(() => tf.sum(wrong((dy) => [tf.sum(dy)])), [x]).value)).toThrow(
      "expected a gradient of shape [2] for an input, found float32 of shape []",
    )
    x.dispose()
  })
})
