import type { RankRecord, RunRecord, Study } from "../../../../plugins/report/study-page/study.ts"

/** A study of two arms that has only the given parts. */
export const studyOf = (parts: Partial<Study>): Study => ({
  title: "a study",
  facts: {},
  settings: [],
  paper: { stability: [], ranks: [] },
  claims: { judged: [], limits: [], confounded: [] },
  training: [],
  runs: [],
  before: [],
  during: [],
  trajectory: [],
  arms: ["vanilla", "SimCSE"],
  ...parts,
})

/** A run on RTE's 277 dev examples, of which the majority baseline gets 146 right. */
export const done = (arm: string, lr: number, seed: number, correct: number): RunRecord => ({
  arm,
  checkpoint: null,
  lr,
  seed,
  status: "done",
  metric: "accuracy",
  value: { numerator: correct, denominator: 277 },
  baseline: { numerator: 146, denominator: 277 },
  finalLoss: 0.1,
})

export const rank = (arm: string, seed: number, layer: number, erank: number, n = 16): RankRecord => ({
  arm,
  checkpoint: null,
  seed,
  layer,
  n,
  erank,
  normalised: erank / n,
  eigenvalues: [2, 1],
})
