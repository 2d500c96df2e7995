import { beforeAll, describe, expect, test } from "bun:test"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { emulator } from "./emulator/emulator.ts"
import type { Report } from "./products-in-both-ways.ts"

const run = promisify(execFile)

describe.skipIf((await emulator()) === undefined)("matrix products of the GPU, emulated", () => {
  let report: Report

  beforeAll(async () => {
    const { stdout } = await run(process.execPath, [join(import.meta.dir, "products-in-both-ways.ts")])
    report = JSON.parse(stdout)
  }, 300_000)

  test.each(["own", "cublasLt"] as const)("are those of float64 with rounded factors: %s", (way) => {
    const deviations = Object.entries(report[way].deviations)
    expect(deviations.length).toBeGreaterThan(100)
    // NaN is null in JSON.
    expect(deviations.filter(([, deviation]) => !(deviation !== null && deviation < 4e-6))).toEqual([])
  })

  test.each(["own", "cublasLt"] as const)("have the same bits in any order of threads: %s", (way) => {
    expect(report[way].changed).toEqual([])
  })

  test("are computed by small and large tiles and in parts, and by cuBLASLt once it is there", () => {
    for (const kernel of [
      "float32_64",
      "float32_128",
      "tf32_64",
      "tf32_128",
      "bfloat16_64",
      "rounded_64",
      "rounded_128",
    ]) {
      expect(report.own.launches[`product_${kernel}`]).toBeGreaterThan(0)
    }
    expect(report.own.launches["finish_product"]).toBeGreaterThan(0)
    expect(report.own.launches["cublasLtMatmul"]).toBeUndefined()
    expect(report.cublasLt.launches["cublasLtMatmul"]).toBeGreaterThan(0)
    expect(report.cublasLt.launches["product_float32_128"]).toBeUndefined()
  })

  test("that cuBLASLt refuses with the algorithm that it chose are our own", () => {
    expect(report.refused).toEqual({ sums: Array(12).fill(6), byCublasLt: 0 })
  })

  test("leave nothing behind when the device is stopped, also if it was started again", () => {
    expect(report.left).toBe(0)
  })

  test("that fail say which call, of what, and why", () => {
    expect(report.failure).toContain(
      "cublasLtMatmul failed for a float32 product of [2, 3] and [3, 5], transposed: CUBLAS_STATUS_EXECUTION_FAILED (13)",
    )
  })
})
