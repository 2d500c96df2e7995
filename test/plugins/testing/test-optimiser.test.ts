/** Optimisers with one defect each, to see that `testOptimiser` finds it. */
import { beforeAll, expect, test } from "bun:test"
import { defectsFound, type Found, from } from "./defects.ts"

const defects = `
import { component, tf, type } from ${from("core/entry/kasosei.ts")}
import { testOptimiser } from ${from("plugins/testing/testing.ts")}

const plain = ({ theta, gradient, learningRate }) => tf.sub(theta, tf.mul(gradient, learningRate))
/** Plain gradient descent that keeps the previous gradient, but for a change. */
const look = (name, change = {}, { options = "number = 1", ...settings } = {}) =>
  testOptimiser(component({
    role: "optimiser", name, module: import.meta.url,
    options: typeof options === "string" ? type({ "+": "reject", scale: options }) : options,
    make: () => ({
      init: (theta) => ({ last: tf.zerosLike(theta) }),
      update: (step) => ({ theta: plain(step), last: tf.clone(step.gradient) }),
      ...change,
    }),
  }), settings)
const reference = () => (theta, gradient, { learningRate }) => {
  for (const [i, g] of gradient.entries()) theta[i] -= learningRate * g
}

/** The same for all parameters at once, if the norm is finite. */
const clip = ({ norm, largestNorm }) => tf.minimum(1, tf.div(largestNorm, tf.add(norm, 1e-6)))
const atOnce = (factor, finite = ({ norm }) => tf.isFinite(norm)) => ({
  update: undefined,
  updateAll: (steps, clipping) => steps.map(({ theta, gradient, state: { last }, learningRate }) => {
    const [g, made] = [tf.mul(gradient, factor(clipping)), finite(clipping)]
    const next = tf.where(made, plain({ theta, gradient: g, learningRate }), theta)
    const kept = tf.where(made, g, last)
    tf.dispose([theta, last])
    return { theta: next, last: kept }
  }),
})

look("sound", {}, { reference })
look("sound-at-once", atOnce(clip), { reference })
look("bad-Name")
look("any-option", {}, { options: type({ "scale?": "number" }) })
look("json-less", {}, { options: type({ "+": "reject", at: type("Date").default(() => new Date(0)) }) })
look("half", { init: (theta) => ({ last: tf.cast(tf.zerosLike(theta), "int32") }) })
look("growing", { init: () => ({}) })
look("flat", { update: (step) => ({ theta: plain(step), last: step.gradient.flatten() }) })
look("greedy", { update: (step) => { const theta = plain(step); step.gradient.dispose(); return { theta, last: tf.zerosLike(theta) } } })
look("unclipped", atOnce(() => 1))
look("reckless", atOnce(clip, () => true))
look("restless", { update: (step) => ({ theta: tf.mul(plain(step), 0.999), last: tf.clone(step.gradient) }) })
look("inexact", { update: ({ learningRate, ...step }) => ({ theta: plain({ ...step, learningRate: 1.001 * learningRate }), last: tf.clone(step.gradient) }) }, { reference })
look("by-chance", { update: (step) => ({ theta: plain({ ...step, learningRate: step.learningRate * (0.99 + 0.02 * Math.random()) }), last: tf.clone(step.gradient) }) })
look("leaky", { update: (step) => ({ theta: plain(step), last: tf.keep(tf.clone(tf.keep(tf.mul(step.gradient, 2)))) }) })
look("uphill", { update: (step) => ({ theta: plain({ ...step, learningRate: -step.learningRate }), last: tf.clone(step.gradient) }) })
look("exploding", {}, { learningRate: 30 })

testOptimiser(component({
  role: "optimiser", name: "forgetful", module: import.meta.url, options: type({ "+": "reject" }),
  make: () => {
    const seen = new Map()
    return {
      init: () => ({}),
      update: (step) => {
        const key = step.theta.size
        const total = (seen.get(key) ?? []).map((values) => tf.tensor(values, step.theta.shape)).reduce((sum, one) => tf.add(sum, one), step.gradient)
        seen.set(key, [...(seen.get(key) ?? []), step.gradient.dataSync()].slice(-2))
        return { theta: plain({ ...step, gradient: total }) }
      },
    }
  },
}))
`

let found: Found
beforeAll(() => {
  found = defectsFound(defects, /^the optimiser (\S+) keeps what optimisers promise: > (.*)$/)
}, 120_000)

test.each([
  ["bad-Name", "its name and module are well formed"],
  ["any-option", "its name and module are well formed"],
  ["json-less", "its name and module are well formed"],
  ["half", "it keeps the same tensors"],
  ["growing", "it keeps the same tensors"],
  ["flat", "it keeps the same tensors"],
  ["greedy", "it keeps the same tensors"],
  ["unclipped", "a gradient that is clipped"],
  ["reckless", "if the norm of the gradients is not finite"],
  ["restless", "with a learning rate of 0"],
  ["inexact", "its updates are those"],
  ["by-chance", "trained twice"],
  ["leaky", "trained twice"],
  ["forgetful", "stopped at any step"],
  ["uphill", "it lowers the loss of a quadratic"],
  ["uphill", "it lowers the loss of a toy"],
  ["exploding", "it lowers the loss of a quadratic"],
])("%s fails where it should: %s", (name, title) => {
  const titles = found.failed.get(name) ?? []
  expect(titles.filter((full) => full.startsWith(title))).toHaveLength(1)
})

test("an optimiser without a defect passes, whether by update or by updateAll", () => {
  expect([...found.sound]).toEqual(["sound", "sound-at-once"])
})

test("a defect is found by few tests, so that they tell where it is", () => {
  for (const name of [
    "bad-Name",
    "any-option",
    "json-less",
    "unclipped",
    "reckless",
    "restless",
    "inexact",
    "forgetful",
  ]) {
    expect([name, found.failed.get(name)?.length]).toEqual([name, 1])
  }
})
