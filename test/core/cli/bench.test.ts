import { expect, test } from "bun:test"
import { answer } from "./answer.ts"

test("benches name the flag whose value is wrong", async () => {
  const { failure } = await answer("bench finetune --model bas --steps 0")
  expect((failure as Error).message).toBe(`bench finetune:
  --model must be "base", "large", "medium", "mini", "small" or "tiny" (was "bas"); did you mean base?
  --steps must be at least 1 (was 0)`)
})
