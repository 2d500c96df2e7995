/** Losses of two views with one defect each, to see that `testContrastiveLoss` finds it. */
import { beforeAll, expect, test } from "bun:test"
import { defectsFound, type Found, from } from "./defects.ts"

const defects = `
import { infoNCE, tf, type } from ${from("core/entry/kasosei.ts")}
import { contrastiveOptions } from ${from("plugins/pretrain/shared/contrastive/options.ts")}
import { contrastiveTraining } from ${from("plugins/pretrain/shared/contrastive-training.ts")}
import { testContrastiveLoss } from ${from("plugins/testing/testing.ts")}

const plain = ({ first_NH, second_NH }) => infoNCE(first_NH, second_NH, 0.5)
const look = (name, change) =>
  testContrastiveLoss(contrastiveTraining({
    name, module: import.meta.url, summary: "A loss",
    options: type({ "+": "reject", ...contrastiveOptions }),
    loss: plain,
    ...change,
  }))
const doubled = tf.customGrad((x, save) => { save([x]); return { value: tf.mean(tf.square(x)), gradFunc: (dy, [x]) => tf.mul(dy, tf.mul(x, 2.05 / x.size)) } })

look("sound", {})
look("wrong-gradient", { loss: (views) => tf.add(plain(views), doubled(views.first_NH)) })
look("wrong-in-parameter", {
  parameters: (hidden) => ({ scale: [hidden] }),
  loss: ({ parameter, ...views }) => tf.add(plain(views), doubled(parameter("scale"))),
})
look("constant", { loss: ({ first_NH }) => tf.mul(tf.mean(first_NH), 0) })
look("uphill", { loss: (views) => tf.neg(plain(views)) })
look("leaky", { loss: (views) => tf.keep(tf.clone(plain(views))) && plain(views) })
`

let found: Found
beforeAll(() => {
  found = defectsFound(defects, /^the loss of (\S+) keeps what losses promise: > (.*)$/)
}, 120_000)

test.each([
  ["wrong-gradient", "its gradient is that by differences"],
  ["wrong-in-parameter", "its gradient is that by differences"],
  ["constant", "its gradient is that by differences"],
  ["uphill", "views that match cost less"],
  ["leaky", "views that match cost less"],
])("%s fails where it should: %s", (name, title) => {
  const titles = found.failed.get(name) ?? []
  expect(titles.filter((full) => full.startsWith(title))).toHaveLength(1)
})

test("a loss without a defect passes", () => {
  expect([...found.sound]).toEqual(["sound"])
})
