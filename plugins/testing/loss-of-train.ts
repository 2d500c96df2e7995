import { type } from "arktype"
import { cost } from "../../core/api/cost.ts"
import { probe } from "../../core/api/probe.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import type { ClassifierView } from "../model/view.ts"

const Row = type({ "+": "reject", step: "number", loss: "number", gradientNorm: "number" })

/** The loss of the train split and the norm of its gradient, as a probe sees them, before and after training. */
export const lossOfTrain = probe<ClassifierView, RunEstimate>()({
  name: "loss-of-train",
  version: 1,
  module: import.meta.url,
  summary: "The loss of the train split and the norm of its gradient",
  options: type({ "+": "reject" }),
  gives: observationsOf<typeof Row.infer>(Row),
  steps: (_options, { steps }) => [0, steps],
  observe: ({ step, train, lossOf, gradients }) => {
    const value = lossOf(train)
    const loss = value.dataSync()[0]!
    value.dispose()
    let square = 0
    for (const gradient of gradients({ examples: train, per: "batch" }).values()) {
      for (const entry of gradient.dataSync()) square += entry ** 2
      gradient.dispose()
    }
    return [{ step, loss, gradientNorm: Math.sqrt(square) }]
  },
  estimate: (_options, { parameters }) => ({
    rows: 2,
    cost: cost({ flops: 12 * parameters, disk: 200 }),
  }),
})
