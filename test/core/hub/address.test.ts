import { describe, expect, test } from "bun:test"
import { describeRepository, hubAddress, Source } from "../../../core/hub/address.ts"

describe("a hub address", () => {
  test.each([
    ["hf://google-bert/bert-base-uncased", "model", "google-bert/bert-base-uncased", "main", null],
    ["hf://a/b@v1.0/1_Pooling/config.json", "model", "a/b", "v1.0", "1_Pooling/config.json"],
    ["hf://datasets/nyu-mll/glue", "dataset", "nyu-mll/glue", "main", null],
    [
      "hf://datasets/nyu-mll/glue@abc/rte/train-00000-of-00001.parquet",
      "dataset",
      "nyu-mll/glue",
      "abc",
      "rte/train-00000-of-00001.parquet",
    ],
  ] as const)("%s", (text, type, id, revision, path) => {
    expect(hubAddress(text)).toEqual({ repository: { type, id, revision }, path })
    expect(Source.allows(text)).toBe(true)
  })

  test("is described in full", () => {
    const { repository, path } = hubAddress("hf://datasets/nyu-mll/glue/rte/train.parquet")!
    expect(describeRepository(repository, path!)).toBe("hf://datasets/nyu-mll/glue@main/rte/train.parquet")
  })

  test.each([
    "hf://bert",
    "hf://datasets/glue",
    "hf://a/b/../c",
    "hf://a/b/.hidden",
    "hf://a/..",
    "hf://../b",
    "hf://a/b@../c",
    "hf://a/b//c",
    "hf://a/b/",
    "hf://a/b/c\\d",
    "hf://a/b/c?d",
    "hf://a/b/c%2e%2e",
    `hf://a/${"b".repeat(97)}`,
  ])("%s is refused", (text) => {
    expect(hubAddress(text)).toBeNull()
    expect(String(Source(text))).toContain(
      "must be hf://owner/name, hf://datasets/owner/name, or either with",
    )
  })

  test("is not a local path, which is a source too", () => {
    expect(hubAddress("data/glue/RTE")).toBeNull()
    expect(Source("data/glue/RTE")).toBe("data/glue/RTE")
    expect(String(Source(""))).toContain("non-empty")
  })
})
