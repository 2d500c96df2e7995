import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { emulated } from "./emulated.ts"
import type { Report, Sweep } from "./failing-calls.ts"

// On a busy machine, what takes seconds here may take minutes.
setDefaultTimeout(300_000)

const run = promisify(execFile)

describe.skipIf(emulated === undefined)("a call of the driver or of cuBLASLt that fails", () => {
  let report: Report

  beforeAll(async () => {
    const { stdout } = await run(process.execPath, [join(import.meta.dir, "failing-calls.ts")])
    report = JSON.parse(stdout)
  })

  const expectClear = ({ calls, messages, wrong }: Sweep, fewest: number): void => {
    expect(calls).toBeGreaterThan(fewest)
    // That nothing is left, and that what is computed afterwards has the same bits.
    expect(wrong).toEqual([])
    const clear = /^\w[^:]+: (CUDA_ERROR_\w+ \(.+\)|CUBLAS_STATUS_\w+ \(\d+\))$/
    expect(messages.filter((message) => !clear.test(message))).toEqual([])
  }

  test("at the start is told, and leaves nothing of what was started", () => {
    expectClear(report.start, 25)
    const { messages } = report.start
    expect(messages).toContain("starting the driver: CUDA_ERROR_UNKNOWN (unknown error)")
    expect(messages).toContain("loading the kernels: CUDA_ERROR_UNKNOWN (unknown error)")
  })

  test("in training, or while Gram matrices are computed, is told, and leaves no tensor behind", () => {
    const sweeps = Object.values(report.training)
    expect(sweeps.length).toBe(2)
    for (const sweep of sweeps) expectClear(sweep, 300)
    expect(sweeps[0]?.messages).toContain(
      "launching the kernel update_tensors: CUDA_ERROR_UNKNOWN (unknown error)",
    )
  })

  test("while a product of a new shape is prepared is told, and the product is right when it is asked for again", () => {
    expectClear(report.products, 9)
    expect(
      report.products.messages.filter((message) => message.startsWith("cublasLt")).length,
    ).toBeGreaterThan(4)
  })
})
