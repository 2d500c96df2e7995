/** A few of the damaged inputs of `inputs.ts`, which has thousands of them and measures time and memory. */
import { expect, test } from "bun:test"
import { attemptInput, readGood } from "./inputs/attempt.ts"
import { readers } from "./inputs/readers.ts"

for (const reader of await readers()) {
  test(`${reader.name}: the good input is read, and damaged ones are read or refused by name`, async () => {
    await readGood(reader)
    for (let i = 0; i < 10; i++) {
      const { how, fault } = await attemptInput(reader, 7, i)
      expect({ how, fault }).toEqual({ how, fault: null })
    }
  })
}
