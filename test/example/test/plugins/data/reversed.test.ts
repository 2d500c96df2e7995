import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { countOf } from "kasosei"
import { table } from "kasosei/plugins/data/table"
import { testPlugin, toyStudy, withArtifacts } from "kasosei/testing"
import { reversed } from "../../../plugins/data/reversed.ts"

testPlugin(reversed)

const { examples: data, vocabulary } = toyStudy

test("the sentences are the same, and every label is the other one", () =>
  withArtifacts(async (artifactOf) => {
    const [before, after] = [await artifactOf(data), await artifactOf(reversed({ data }))]
    for (const split of ["train", "dev"] as const) {
      expect(after[split].sequences).toEqual(before[split].sequences)
      expect(after[split].labels).toHaveLength(countOf(before[split].sequences))
      for (const [n, label] of after[split].labels.entries()) expect(label).toBe(1 - before[split].labels[n]!)
    }
    expect(await artifactOf(reversed({ data: reversed({ data }) }))).toEqual(before)
  }))

test("a task that has not two classes is refused", () =>
  withArtifacts(async (artifactOf) => {
    const folder = mkdtempSync(join(tmpdir(), "reversed-"))
    const train = join(folder, "train.csv")
    writeFileSync(
      train,
      `text,label\n${["a", "b", "c"].map((label) => `bird,${label}\n`.repeat(4)).join("")}`,
    )
    const three = table({ vocabulary, train, sentences: ["text"] })
    const message = "reversed: data must have two classes (was a, b, c)"
    expect(artifactOf(reversed({ data: three }))).rejects.toThrow(message)
    const scores = table({ vocabulary, train: toScores(folder), sentences: ["text"], labels: "scores" })
    await expect(artifactOf(reversed({ data: scores }))).rejects.toThrow("(was scores)")
    rmSync(folder, { recursive: true })
  }))

const toScores = (folder: string): string => {
  const path = join(folder, "scores.csv")
  writeFileSync(path, `text,label\n${"bird,1.5\n".repeat(4)}`)
  return path
}
