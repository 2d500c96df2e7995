/** The objective of every fine-tuning plugin of this project keeps what `testObjective` tests. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { plugins } from "../../../core/engine/discover.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { regression } from "../../../plugins/finetune/regression.ts"
import { testObjective } from "../../../plugins/testing/testing.ts"

testObjective(classification)
testObjective(regression)

test("none is missing", async () => {
  const found = (await Effect.runPromise(plugins())).filter(({ stage }) => stage === "finetune")
  expect(found.map(({ name }) => name)).toEqual([classification, regression].map(({ name }) => name))
})
