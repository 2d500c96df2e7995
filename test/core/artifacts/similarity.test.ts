import { describe, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { Similarity } from "../../../core/artifacts/similarity.ts"
import { artifactFolder, sequences } from "./artifact-folder.ts"

const { path, write, read, refusal } = artifactFolder()

describe("sentence pairs", () => {
  const set = { name: "dev", first: sequences, second: sequences, scores: Float64Array.of(0, 2.5, 5) }
  const similarity = { sets: [set, { ...set, name: "../x" }], vocabularySize: 10 }

  test("are read as they were written, whatever the names of the sets", async () => {
    await write(Similarity, similarity)
    expect(await read(Similarity)).toEqual(similarity)
    expect(readdirSync(path()).every((name) => /^(similarity\.json|set-[01]\..*)$/.test(name))).toBe(true)
  })

  test("are refused if scores are missing", async () => {
    await write(Similarity, { sets: [{ ...set, scores: Float64Array.of(1, 2) }], vocabularySize: 10 })
    expect(await refusal(Similarity)).toBe(
      "cannot read F/set-0.scores.f64: expected a score for each pair, found 2 for 3 and 3 sentences",
    )
  })
})
