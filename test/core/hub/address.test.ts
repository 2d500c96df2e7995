import { describe, expect, test } from "bun:test"
import {
  describeRepository,
  hubAddress,
  hubSources,
  localSources,
  Source,
} from "../../../core/hub/address.ts"

describe("a hub address", () => {
  test.each([
    ["hf://google-bert/bert-base-uncased", "model", "google-bert/bert-base-uncased", "main", null],
    ["hf://a/b@v1.0/1_Pooling/config.json", "model", "a/b", "v1.0", "1_Pooling/config.json"],
    ["hf://datasets/nyu-mll/glue", "dataset", "nyu-mll/glue", "main", null],
    ["hf://a/b@feature%2fx%2Fy/config.json", "model", "a/b", "feature/x/y", "config.json"],
    ["hf://a/b@refs/pr/12/config.json", "model", "a/b", "refs/pr/12", "config.json"],
    ["hf://datasets/a/b@refs/convert/parquet", "dataset", "a/b", "refs/convert/parquet", null],
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
    for (const text of ["hf://a/b@feature%2Fx/c", "hf://a/b@refs/pr/1/c"]) {
      const { repository, path } = hubAddress(text)!
      expect(describeRepository(repository, path!)).toBe(text)
    }
  })

  test("is for keys the repository alone, each once, and only if it is on the hub", () => {
    const sources = ["hf://a/b/c.txt", "data/x", "hf://a/b@main/d.txt", "hf://a/b@v1"]
    expect(hubSources(...sources)).toEqual(["hf://a/b@main", "hf://a/b@v1"])
    expect(localSources(...sources)).toEqual(["data/x"])
  })

  test.each([
    "hf://bert",
    "hf://datasets/glue",
    "hf://a/b/../c",
    "hf://a/b/.hidden",
    "hf://a/..",
    "hf://../b",
    "hf://a/b@../c",
    "hf://a/b@..%2Fc",
    "hf://a/b@c..d",
    "hf://a/b@c%2F%2Fd",
    "hf://a/b@refs/convert/..",
    "hf://a/b@%2e%2e",
    "hf://a--b/c",
    "hf://a/b..c",
    "hf://a/b.",
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
