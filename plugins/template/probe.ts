import { type } from "arktype"
import { cost } from "../../core/api/cost.ts"
import { probe } from "../../core/api/probe.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { layerOf } from "../model/parameters.ts"
import type { ClassifierView } from "../model/view.ts"
import { chooseSteps, Steps } from "../probe/shared/steps.ts"

const Row = type({ "+": "reject", step: "number", layer: "number", norm: "number" })

/** The Euclidean norm of each encoder layer's parameters; layer 0 is the one next to the embeddings. */
export const templateProbe = probe<ClassifierView, RunEstimate>()({
  name: "template-probe",
  version: 1,
  module: import.meta.url,
  summary: "Norm of each encoder layer's parameters",
  options: type({ "+": "reject", steps: Steps.default(() => ({ at: [0], last: true })) }),
  gives: observationsOf<typeof Row.infer>(Row),
  steps: ({ steps }, run) => chooseSteps(steps, run),
  observe: ({ step, blocks, parameters }) =>
    [...blocks].flatMap(([block, names]) => {
      const layer = layerOf(block)
      if (layer === undefined) return []
      const tensors = names.map((name) => parameters.get(name).dataSync())
      let square = 0
      for (const values of tensors) for (const value of values) square += value ** 2
      return [{ step, layer, norm: Math.sqrt(square) }]
    }),
  estimate: ({ steps }, run) => {
    const observations = chooseSteps(steps, run).length
    const rows = run.layers * observations
    return { rows, cost: cost({ flops: 2 * run.parameters * observations, disk: 60 * rows }) }
  },
})
