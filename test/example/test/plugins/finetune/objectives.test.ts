import { expect, test } from "bun:test"
import { normal, stream, tf } from "kasosei"
import type { Outputs } from "kasosei/plugins/finetune/shared/objective"
import { testObjective, testPlugin } from "kasosei/testing"
import { focal } from "../../../plugins/finetune/focal.ts"
import { rDrop } from "../../../plugins/finetune/r-drop.ts"

const training = { lr: 1e-3, seed: 1, batchSize: 8, epochs: 2 }

testPlugin(focal, { options: training })
testObjective(focal)
testPlugin(rDrop, { options: training })
testObjective(rDrop)

const labels = [0, 2, 1, 1]
const classes = 3
const logitsOf = (pass: number) =>
  normal({ stream: stream(1, "logits"), site: pass, iteration: 0 }, labels.length * classes, 1)

/** The probabilities of a pass, in float64. */
const probabilities = (pass: number) =>
  labels.map((_, n) => {
    const logits = [...logitsOf(pass).subarray(n * classes, (n + 1) * classes)]
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
    return logits.map((logit) => Math.exp(logit) / total)
  })

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

const lossOf = (objective: ReturnType<typeof focal.objective>): number => {
  if (objective.labels !== "classes") throw new Error("expected an objective for classes")
  const { loss } = objective
  const forward = (pass = 0): Outputs => ({
    cls_NH: tf.zeros([labels.length, 2]),
    logits_NC: tf.tensor2d(logitsOf(pass), [labels.length, classes]),
  })
  return tf.tidy(() => loss({ labels_N: Int32Array.from(labels), forward }).dataSync()[0]!)
}
const filled = <O>(options: (given: unknown) => unknown, given: object): O =>
  options({ lr: 1e-3, seed: 1, ...given }) as O

test.each([0, 2, 0.5])("the focal loss with γ = %p, as in float64", (gamma) => {
  const p = probabilities(0).map((of, n) => of[labels[n]!]!)
  const expected = mean(p.map((value) => -((1 - value) ** gamma) * Math.log(value)))
  expect(lossOf(focal.objective(filled(focal.options, { gamma })))).toBeCloseTo(expected, 6)
})

test.each([0, 1, 3])("R-Drop with α = %p, of two passes, as in float64", (consistency) => {
  const [p, q] = [probabilities(0), probabilities(1)]
  const divergence = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, c) => sum + value * Math.log(value / b[c]!), 0)
  const expected = labels.map((label, n) => {
    const entropy = -Math.log(p[n]![label]!) - Math.log(q[n]![label]!)
    return (entropy + (consistency / 2) * (divergence(p[n]!, q[n]!) + divergence(q[n]!, p[n]!))) / 2
  })
  expect(lossOf(rDrop.objective(filled(rDrop.options, { consistency })))).toBeCloseTo(mean(expected), 5)
})
