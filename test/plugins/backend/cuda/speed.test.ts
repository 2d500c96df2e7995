import { describe, expect, test } from "bun:test"
import { type KnownGpu, speedOf } from "../../../../plugins/backend/cuda/speed.ts"
import { configOf } from "../../../../plugins/model/config.ts"
import { activationBytes, trainingFlops } from "../../../../plugins/model/cost.ts"
import { countParameters, parametersOf } from "../../../../plugins/model/parameters.ts"

const heads = ["pooler", "classifier"] as const
const large = configOf("large", 30_522, 0)
/** Sixteen pairs of RTE. */
const batch = { sequences: 16, tokens: 1035, attended: 16 * 65 ** 2 * 1.3, predictions: 0 }

describe("an update of BERT-large on 16 pairs of RTE", () => {
  const h200: KnownGpu = { capability: 90, multiprocessors: 132, clock: 1.98e9, bandwidth: 4.8e12 }
  const milliseconds = (gpu: KnownGpu, precision: "fp32" | "tf32" | "bf16") =>
    (1000 * trainingFlops(large, heads, batch)) / speedOf(gpu, precision)

  // From counted calls and bytes, and of products alone at 60 % of 989, 494 and 67 TFLOP/s.
  test.each([
    ["bf16", 11],
    ["tf32", 14],
    ["fp32", 54],
  ] as const)("takes, in %s on an H200, about as long as its parts do", (precision, expected) => {
    const found = milliseconds(h200, precision)
    expect(found).toBeGreaterThan(expected / 2)
    expect(found).toBeLessThan(expected * 2)
  })

  test("takes longer with less bandwidth, fewer multiprocessors, or an older architecture; newer ones are known", () => {
    const now = milliseconds(h200, "bf16")
    expect(milliseconds({ ...h200, bandwidth: 2e12 }, "bf16")).toBeGreaterThan(now)
    expect(milliseconds({ ...h200, multiprocessors: 60 }, "bf16")).toBeGreaterThan(now)
    expect(milliseconds({ ...h200, capability: 80 }, "bf16")).toBeGreaterThan(now)
    expect(milliseconds({ ...h200, capability: 89 }, "bf16")).toBe(
      milliseconds({ ...h200, capability: 86 }, "bf16"),
    )
    expect(milliseconds({ ...h200, capability: 103 }, "bf16")).toBeLessThan(now)
  })

  test("takes some time, and not for ever, on a GPU that tells neither its clock nor its bandwidth", () => {
    const unknown = milliseconds({ ...h200, clock: 0, bandwidth: 0 }, "bf16")
    expect(unknown).toBeGreaterThan(milliseconds(h200, "bf16"))
    expect(unknown).toBeLessThan(1000)
  })

  test("is estimated to need less than 10 GiB, and more than the 6.5 GiB that an emulated GPU counted", () => {
    const weights = Float32Array.BYTES_PER_ELEMENT * countParameters(parametersOf(large, heads))
    const estimate = (4 * weights + activationBytes(large, batch)) / 2 ** 30
    expect(estimate).toBeGreaterThan(6.5)
    expect(estimate).toBeLessThan(10)
  })
})
