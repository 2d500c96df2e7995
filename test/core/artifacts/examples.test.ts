import { describe, expect, test } from "bun:test"
import { Examples } from "../../../core/artifacts/examples.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { artifactFolder, sequences, special } from "./artifact-folder.ts"

const { write, read, refusal } = artifactFolder()

describe("examples", () => {
  const examples = {
    labelNames: ["yes", "no"],
    metrics: ["accuracy" as const],
    train: { sequences, labels: Float64Array.of(0, 1, 0) },
    dev: { sequences: packSequences([{ ids: [2, 3], tokenTypeIds: [0, 0] }]), labels: Float64Array.of(1) },
    special,
    vocabularySize: 10,
  }

  test("are read as they were written", async () => {
    await write(Examples, examples)
    expect(await read(Examples)).toEqual(examples)
  })

  test("are refused if a label is out of range, or there is not one label for each example", async () => {
    const wrong = (labels: Float64Array) => ({ ...examples, dev: { ...examples.dev, labels } })
    for (const labels of [Float64Array.of(2), Float64Array.of(-1), Float64Array.of(0, 1)]) {
      await write(Examples, wrong(labels))
      expect(await refusal(Examples)).toBe(
        "cannot read F/dev.labels.f64: the labels do not fit 1 examples of 2 classes",
      )
    }
  })
})
