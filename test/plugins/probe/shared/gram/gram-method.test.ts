import { describe, expect, test } from "bun:test"
import {
  cheaper,
  directWork,
  rowsAtATime,
  tilesOf,
  tokenWork,
} from "../../../../../plugins/probe/shared/gram/gram-method.ts"
import { layersAtATime, layerTapeBytes } from "../../../../../plugins/probe/shared/gram/memory.ts"

const shape = (inputs: number, outputs: number, samples: number, length: number) => ({
  inputs,
  outputs,
  lengths: Array<number>(samples).fill(length),
})

describe("work", () => {
  test("by tokens counts the tiles on and above the diagonal", () => {
    // Two tiles of 200 tokens: three products of 200 x 200 by 10 + 30, once summed for each of two samples.
    expect(tokenWork(shape(10, 30, 4, 100)).flops).toBe(3 * 200 * 200 * (2 * 40 + 1 + 2 * 2))
  })

  test("from gradients grows with tokens and with pairs of samples", () => {
    expect(directWork(shape(10, 30, 4, 100)).flops).toBe(2 * 300 * 400 + 2 * 300 * 16)
  })
})

describe("the cheaper method", () => {
  test.each([
    ["the pooler, which has one token of each sample", shape(1024, 1024, 16, 1), "token"],
    ["BERT-mini at RTE's lengths", shape(256, 1024, 16, 70), "direct"],
    ["BERT-large's feed-forward network at RTE's lengths", shape(1024, 4096, 16, 70), "token"],
    ["the same with many samples", shape(1024, 4096, 128, 70), "direct"],
    ["one short sample", shape(768, 768, 1, 20), "token"],
  ] as const)("for %s is %p", (_, given, method) => {
    expect(cheaper(given)).toBe(method)
  })

  test("changes only once as sequences grow", () => {
    const methods = Array.from({ length: 60 }, (_, k) => cheaper(shape(512, 512, 16, 4 * (k + 1))))
    expect(methods[0]).toBe("token")
    expect(methods.at(-1)).toBe("direct")
    expect(methods.filter((method, k) => k > 0 && method !== methods[k - 1])).toHaveLength(1)
  })
})

describe("memory", () => {
  test("tiles hold 256 tokens, or one longer sample", () => {
    const lengths = Array.from({ length: 50 }, (_, i) => (i * 97) % 300)
    const tiles = tilesOf(lengths)
    expect(tiles[0]!.first).toBe(0)
    expect(tiles.at(-1)!.end).toBe(50)
    for (const [at, { first, end, tokens }] of tiles.entries()) {
      expect(tokens).toBe(lengths.slice(first, end).reduce((sum, length) => sum + length, 0))
      expect(tokens <= 256 || end === first + 1).toBe(true)
      if (at > 0) expect(first).toBe(tiles[at - 1]!.end)
    }
  })

  test("materialised gradients stay under 16 MiB, or are those of one row", () => {
    for (const [inputs, outputs, samples] of [
      [256, 256, 16],
      [4096, 1024, 128],
      [65_536, 4, 256],
    ] as const) {
      const rows = rowsAtATime(shape(inputs, outputs, samples, 70))
      expect(rows).toBeGreaterThanOrEqual(1)
      expect(rows).toBeLessThanOrEqual(outputs)
      if (rows > 1) expect(4 * rows * inputs * samples).toBeLessThanOrEqual(2 ** 24)
    }
  })

  test("tapes of layers stay under 2 GiB together, or are those of one layer", () => {
    const base = { hidden: 768, intermediate: 3072, heads: 12 }
    const at = (samples: number) => Array<number>(samples).fill(70)
    expect(layersAtATime(base, at(16))).toBeGreaterThanOrEqual(12)
    expect(layersAtATime(base, at(128)) * layerTapeBytes(base, at(128))).toBeLessThanOrEqual(2 ** 31)
    expect(layersAtATime(base, at(128))).toBeLessThan(12)
    expect(layersAtATime(base, Array<number>(256).fill(512))).toBe(1)
  })
})
