/**
 * The objective of every fine-tuning plugin of this project keeps what `testObjective` tests, and SimCSE's loss what
 * `testContrastiveLoss` does.
 */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { plugins } from "../../../core/engine/discover.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { regression } from "../../../plugins/finetune/regression.ts"
import { simcse } from "../../../plugins/pretrain/simcse.ts"
import { testContrastiveLoss, testObjective } from "../../../plugins/testing/testing.ts"

testObjective(classification)
testObjective(regression)
testContrastiveLoss(simcse, { options: { temperature: 0.5 } })

test("none is missing", async () => {
  const found = (await Effect.runPromise(plugins())).filter(({ stage }) => stage === "finetune")
  expect(found.map(({ name }) => name)).toEqual([classification, regression].map(({ name }) => name))
})
