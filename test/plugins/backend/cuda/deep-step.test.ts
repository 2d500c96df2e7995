import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { emulated } from "./emulated.ts"
import type { Counts } from "./emulator/host.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

interface Found {
  readonly step: Counts
  /** Two updates later, with a copy of the parameters beside. */
  readonly beside: Counts
  /** bytes */
  readonly estimate: number
  readonly copies: number
}

/** Of models of these widths. */
const deepSteps = (precision: string, ...widths: readonly string[]): readonly Found[] => {
  const script = join(import.meta.dir, "deep-step.ts")
  const { stdout, stderr } = spawnSync(process.execPath, [script, precision, ...widths], { encoding: "utf8" })
  expect(stderr).toBe("")
  return JSON.parse(stdout)
}

/** Memory is reserved in regions of 128 MiB, and the ring has 8 MiB. */
const regions = 2 ** 28

describe.skipIf(emulated === undefined)("an update of as many layers as BERT-large has", () => {
  test("queues little work, reads nothing, and needs no more memory than is estimated", () => {
    const found = deepSteps("fp32", "128", "384")
    for (const { step, estimate } of found) {
      const { calls, launches, bytes, peakBytes } = step
      expect(calls["cuLaunchKernel"]).toBeLessThan(750)
      expect(calls["cublasLtMatmul"]).toBeLessThan(450)
      // Dropout's streams, offsets and ids, through the pinned ring.
      expect(calls["cuMemcpyHtoDAsync_v2"]).toBeLessThan(100)
      expect([calls["cuStreamSynchronize"], calls["cuMemAlloc_v2"], bytes.toHost]).toEqual([
        undefined,
        undefined,
        0,
      ])
      expect([launches["update_tensors"], launches["finish_norm"]]).toEqual([1, 1])
      expect(peakBytes).toBeLessThan(estimate + regions)
    }
    expect(found[1]!.step.peakBytes).toBeGreaterThan(found[1]!.estimate / 2)
  })

  test.each(["fp32", "bf16"])(
    "in %s with a snapshot beside needs no more than is estimated with its copies",
    (precision) => {
      const [{ step, beside, estimate, copies }] = deepSteps(precision, "512") as [Found]
      expect(step.peakBytes).toBeLessThan(estimate)
      expect(beside.peakBytes).toBeGreaterThan(step.peakBytes + copies / 2)
      expect(beside.peakBytes).toBeLessThan(estimate + copies)
      expect(beside.peakBytes).toBeGreaterThan((estimate + copies) / 1.5)
    },
  )
})
