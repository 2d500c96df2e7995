import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { type } from "arktype"
import { Broken, sealedText, unsealed } from "../../../../core/engine/store/seal.ts"

const Content = type({ "+": "reject", key: "string", rates: "number[]", "word?": "string" })
const content = { key: "0123", rates: [1e-7, 2, 5e-324], word: "plasticity: 可塑性\n\u001f" }

test("a seal is the digest of the file without the line that it is on", () => {
  const lines = sealedText(content).split("\n")
  expect(lines[1]).toBe(
    ` "seal": "${createHash("sha256")
      .update(lines.filter((_, i) => i !== 1).join("\n"))
      .digest("hex")}",`,
  )
  expect(unsealed(sealedText(content), Content)).toEqual(content)
})

test("every flipped bit is noticed, as is every cut", () => {
  const bytes = new TextEncoder().encode(sealedText(content))
  const read = (changed: Uint8Array) => unsealed(new TextDecoder().decode(changed), Content)
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = bytes.with(i, bytes[i]! ^ (1 << bit))
      expect(read(changed)).toBeInstanceOf(Broken)
    }
    expect(read(bytes.slice(0, i))).toBeInstanceOf(Broken)
  }
})

test("what is written the same way but differently, as by another program, is noticed", () => {
  const text = sealedText(content)
  for (const other of [text.replace("1e-7", "1E-7"), text.replace("\\u001f", "\\u001F"), `${text}\n`]) {
    expect(other).not.toBe(text)
    expect(unsealed(other, Content)).toBeInstanceOf(Broken)
  }
})

test("what another version of this program has written is told from damage", () => {
  const { key, rates } = content
  const earlier = [`${JSON.stringify({ key, rates }, null, 1)}\n`, sealedText({ key, rates, more: 1 })]
  expect(earlier.map((text) => (unsealed(text, Content) as Broken).earlier)).toEqual([true, true])
  expect((unsealed("", Content) as Broken).earlier).toBe(false)
})
