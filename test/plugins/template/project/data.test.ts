import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { templateData } from "../../../../plugins/template/data.ts"
import { testPlugin, toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

const folder = mkdtempSync(join(tmpdir(), "template-data-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The path of a JSON Lines file of these objects. */
const file = (name: string, lines: readonly object[]): string => {
  const path = join(folder, name)
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
  return path
}
const train = file("train.jsonl", [
  { text: "a", second: "b c", label: "yes" },
  { text: "d", label: "no" },
])
const dev = file("dev.jsonl", [{ text: "e f", label: "yes" }])
const labels = ["no", "yes"]

testPlugin(templateData, { options: { train, dev, labels } })

test("takes a text or two, and the label, of every line", () =>
  withArtifacts(async (artifactOf) => {
    const { vocabulary } = toyStudy
    const examples = await artifactOf(templateData({ vocabulary, train, dev, labels }))
    const { cls, separator } = examples.special
    expect([...examples.train.labels, ...examples.dev.labels]).toEqual([1, 0, 1])
    const { ids, offsets } = examples.train.sequences
    expect([ids[0], ids[offsets[1]!]]).toEqual([cls, cls])
    expect(ids.subarray(0, offsets[1]).filter((id) => id === separator)).toHaveLength(2)
  }))

test("an unknown label is refused with its line", () =>
  withArtifacts(async (artifactOf) => {
    const bad = file("bad.jsonl", [
      { text: "a", label: "no" },
      { text: "b", label: "maybe" },
    ])
    const node = templateData({ vocabulary: toyStudy.vocabulary, train: bad, dev, labels })
    await expect(artifactOf(node)).rejects.toThrow('line 2: expected the label no or yes, found "maybe"')
  }))
