import { expect, test } from "bun:test"
import { specialPieces } from "../../../plugins/model/vocabulary.ts"
import { words } from "./toy-running.ts"

test("the vocabulary has 273 words, each once, and BERT's special tokens", () => {
  const ordinary = words.tokens.filter((token) => !token.startsWith("["))
  expect(new Set(words.tokens).size).toBe(words.tokens.length)
  expect(ordinary).toHaveLength(273)
  for (const word of ordinary) expect(word).toMatch(/^[a-z]+$/)
  const special = Object.fromEntries(
    Object.entries(words.special).map(([role, id]) => [role, words.tokens[id]]),
  )
  expect(special).toEqual(specialPieces)
})
