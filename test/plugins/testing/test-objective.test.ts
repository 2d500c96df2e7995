/** Objectives with one defect each, to see that `testObjective` finds it. */
import { beforeAll, expect, test } from "bun:test"
import { defectsFound, type Found, from } from "./defects.ts"

const defects = `
import { Effect, plugin, softmaxCrossEntropy, tf, type } from ${from("core/entry/kasosei.ts")}
import { fineTuning } from ${from("plugins/finetune/shared/fine-tuning.ts")}
import { fineTuningOptions } from ${from("plugins/finetune/shared/options.ts")}
import { testObjective } from ${from("plugins/testing/testing.ts")}

const entropy = ({ labels_N, forward }) => softmaxCrossEntropy(forward().logits_NC, labels_N)
const pluginOf = (name, change) => fineTuning({
  name, module: import.meta.url, summary: "An objective",
  options: type({ "+": "reject", ...fineTuningOptions }),
  objective: () => ({ labels: "classes", loss: entropy, ...change }),
})
const look = (name, change) => testObjective(pluginOf(name, change))

look("sound", {})
look("sound-twice", {
  passes: 2,
  loss: ({ labels_N, forward }) => tf.add(softmaxCrossEntropy(forward().logits_NC, labels_N), softmaxCrossEntropy(forward(1).logits_NC, labels_N)),
})
const doubled = tf.customGrad((x, save) => { save([x]); return { value: tf.mean(tf.square(x)), gradFunc: (dy, [x]) => tf.mul(dy, tf.mul(x, 2.05 / x.size)) } })
look("wrong-gradient", { loss: (batch) => tf.add(entropy(batch), doubled(batch.forward().logits_NC)) })
look("constant", { loss: ({ forward }) => tf.mul(tf.mean(forward().logits_NC), 0) })
look("unlabelled", { loss: ({ forward }) => tf.mean(tf.square(forward().logits_NC)) })
look("sum", { loss: (batch) => tf.mul(entropy(batch), batch.labels_N.length) })
look("two-passes", { loss: ({ labels_N, forward }) => softmaxCrossEntropy(tf.div(tf.add(forward(0).logits_NC, forward(1).logits_NC), 2), labels_N) })
look("leaky", { loss: (batch) => tf.keep(entropy(batch).clone()) && entropy(batch) })
look("off-by-one", { predict: (logits_C) => logits_C.indexOf(Math.max(...logits_C)) + 1 })
look("uphill", { loss: (batch) => tf.neg(entropy(batch)) })

/** A plugin that is made by hand around one of fineTuning's, whose context is changed. */
const around = (name, contextOf, estimateOf = (inputs) => inputs, givenOf = (given) => given) => {
  const inner = pluginOf(name, {})
  const { stage, version, module, summary, options, takes, gives, usesBackend, watchable } = inner
  const outer = plugin({
    name, stage, version, module, summary, options, takes, gives, usesBackend, watchable,
    estimate: (options, inputs) => inner.estimate(options, estimateOf(inputs)),
    run: (context) => Effect.map(inner.run(contextOf(context)), givenOf),
  })
  testObjective(Object.assign(outer, { objective: inner.objective }))
}
const classified = (split) => ({ ...split, labels: split.labels.map((_, n) => n % 2) })
const seenAs = (change) => (context) => ({
  ...context,
  watch: { ...context.watch, get wanted() { return context.watch.wanted }, at: (step, view) => context.watch.at(step, change(view)) },
})

around("sound-too", (context) => context)
around(
  "stubborn",
  ({ inputs: { data, ...inputs }, ...context }) => {
    const { train, dev, metrics, ...rest } = data
    return { ...context, inputs: { ...inputs, data: { ...rest, labelNames: ["a", "b"], metrics: ["accuracy"], train: classified(train), dev: classified(dev) } } }
  },
  ({ data, ...inputs }) => ({ ...inputs, data: { ...data, labels: 2, labelKind: "classes" } }),
)
around("hidden", (context) => ({ ...context, watch: { ...context.watch, wants: () => false } }))
around("twofold", seenAs((view) => ({ ...view, lossOf: (examples) => tf.mul(view.lossOf(examples), 2) })))
around("steep", seenAs((view) => ({ ...view, gradients: (wanted) => new Map([...view.gradients(wanted)].map(([name, gradient]) => [name, tf.tidy(() => tf.mul(gradient, 2))])) })))
let looked = false
around(
  "changeable",
  (context) => ({ ...context, watch: { ...context.watch, get wanted() { return context.watch.wanted }, at: (step, view) => { looked = true; return context.watch.at(step, view) } } }),
  undefined,
  (given) => (looked ? { ...given, loss: given.loss.map((loss) => loss * 1.001) } : given),
)
`

let found: Found
beforeAll(() => {
  found = defectsFound(defects, /^the objective of (\S+) keeps what objectives promise: > (.*)$/)
}, 120_000)

test.each([
  ["wrong-gradient", "the gradient of its loss"],
  ["constant", "the gradient of its loss"],
  ["uphill", "the gradient of its loss"],
  ["unlabelled", "the gradient of its loss"],
  ["sum", "its loss is a mean"],
  ["two-passes", "its loss is a mean"],
  ["leaky", "its loss is a mean"],
  ["off-by-one", "its predictions are classes"],
  ["stubborn", "data with labels of the other kind"],
  ["hidden", "in a toy fine-tuning"],
  ["twofold", "in a toy fine-tuning"],
  ["steep", "in a toy fine-tuning"],
  ["changeable", "in a toy fine-tuning"],
])("%s fails where it should: %s", (name, title) => {
  const titles = found.failed.get(name) ?? []
  expect(titles.filter((full) => full.startsWith(title))).toHaveLength(1)
})

test("an objective without a defect passes", () => {
  expect([...found.sound].sort()).toEqual(["sound", "sound-too", "sound-twice"])
})
