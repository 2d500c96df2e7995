import { describe, expect, test } from "bun:test"
import { baselineOf, Examples } from "../../../core/artifacts/examples.ts"
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

  const scored = {
    ...examples,
    labelNames: null,
    metrics: ["pearson" as const],
    train: { sequences, labels: Float64Array.of(0.5, -3, 5) },
    dev: { ...examples.dev, labels: Float64Array.of(2.25) },
  }

  test("with scores are read as they were written", async () => {
    await write(Examples, scored)
    expect(await read(Examples)).toEqual(scored)
  })

  test("are refused if a score is not finite, or a metric does not fit the labels", async () => {
    await write(Examples, { ...scored, dev: { ...scored.dev, labels: Float64Array.of(Number.NaN) } })
    expect(await refusal(Examples)).toBe(
      "cannot read F/dev.labels.f64: the labels do not fit 1 examples with scores",
    )
    await write(Examples, { ...scored, metrics: ["accuracy" as const] })
    expect(await refusal(Examples)).toBe(
      "cannot read F/examples.json: the metric accuracy compares classes, but the labels are scores",
    )
  })

  test("have a baseline: the most frequent class, of several the first, or the mean score", () => {
    const of = (labelNames: readonly string[] | null, ...labels: readonly number[]) =>
      baselineOf({ labelNames, train: { sequences, labels: Float64Array.from(labels) } })
    expect(of(["a", "b", "c"], 2, 1, 2)).toBe(2)
    expect(of(["a", "b", "c"], 2, 1, 1, 2)).toBe(1)
    expect(of(null, 1, 4.5)).toBe(2.75)
  })

  test("are refused if a label is out of range, or there is not one label for each example", async () => {
    const wrong = (labels: Float64Array) => ({ ...examples, dev: { ...examples.dev, labels } })
    for (const labels of [
      Float64Array.of(2),
      Float64Array.of(-1),
      Float64Array.of(0.5),
      Float64Array.of(0, 1),
    ]) {
      await write(Examples, wrong(labels))
      expect(await refusal(Examples)).toBe(
        "cannot read F/dev.labels.f64: the labels do not fit 1 examples of 2 classes",
      )
    }
  })
})
