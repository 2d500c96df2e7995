import { expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { emulated } from "./emulated.ts"
import type { Counts } from "./emulator/host.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

interface Found {
  readonly step: Counts
  readonly estimate: number
}

test.skipIf(emulated === undefined)(
  "an update of as many layers as BERT-large has queues little work, reads nothing, and needs no more memory than is estimated",
  () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dir, "deep-step.ts"), "128", "384"],
      {
        encoding: "utf8",
      },
    )
    expect(stderr).toBe("")
    const found: readonly Found[] = JSON.parse(stdout)
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
      // Memory is reserved in regions of 128 MiB; the ring has 8 MiB.
      expect(peakBytes).toBeLessThan(estimate + 2 ** 28)
    }
    expect(found[1]!.step.peakBytes).toBeGreaterThan(found[1]!.estimate / 2)
  },
)
