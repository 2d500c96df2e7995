import { type } from "arktype"

/** What the paper printed, for its arms and learning rates. */
export const Paper = type({
  "+": "reject",
  /** Of table 1: the metric in hundredths, S with ddof 0. */
  stability: type({
    "+": "reject",
    arm: "string > 0",
    lr: "number > 0",
    runs: "number.integer >= 1",
    deviation: "number >= 0",
    mean: "number",
    max: "number",
    failures: "number.integer >= 0",
  })
    .array()
    .default(() => []),
  /** Of table 2: normalised effective ranks, summed over the layers. */
  ranks: type({ "+": "reject", arm: "string > 0", layers: "number.integer >= 1", sum: "number >= 0" })
    .array()
    .default(() => []),
})
export type Paper = typeof Paper.infer
