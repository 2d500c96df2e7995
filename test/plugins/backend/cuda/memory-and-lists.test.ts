import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { emulated } from "./emulated.ts"
import type { Report } from "./memory-and-lists.ts"

// On a busy machine, what takes seconds here may take minutes.
setDefaultTimeout(300_000)

const run = promisify(execFile)

describe.skipIf(emulated === undefined)("on a small GPU, emulated", () => {
  let report: Report

  beforeAll(async () => {
    const { stdout } = await run(process.execPath, [join(import.meta.dir, "memory-and-lists.ts")])
    report = JSON.parse(stdout)
  })

  test("lists and tensors keep their numbers while the ring is used again before the GPU has done anything", () => {
    expect(report.lists.inTheRing.length).toBe(150)
    expect(report.lists.inTheRing.filter((right) => !right)).toEqual([])
    expect(report.writes.filter((right) => !right)).toEqual([])
  })

  test("a tensor that is larger than the ring goes through it in pieces: nothing is copied from memory that is not pinned", () => {
    expect(report.longWrite).toEqual({ staged: 0, sent: 10_400_000, right: true })
  })

  test("lists that are too long for the ring keep theirs", () => {
    expect(report.lists.long).toEqual([true, true, true])
  })

  test("memory that is not used is given back to the GPU for a tensor that needs it", () => {
    // The lists', and a region of 150 MiB in the place of the one that had all other tensors.
    expect(report.before).toBe(2)
    // Work on a tensor whose region was given back meanwhile.
    expect(report.values).toEqual([1, 0])
  })

  test("if there is too little, the error says how much was wanted, is free and is in use, and all else stays", () => {
    expect(report.refused).toBe(
      "OUT_OF_MEMORY RangeError: out of GPU memory: 90 MiB wanted, 50 MiB of 208 MiB free, 150 MiB in use here",
    )
    // A region is smaller than by default if no more is left.
    expect(report.more).toBe(
      "OUT_OF_MEMORY RangeError: out of GPU memory: 20 MiB wanted, 14 MiB of 208 MiB free, 185 MiB in use here",
    )
  })

  test("a kernel that finds too little for its own use leaves nothing behind", () => {
    expect(report.gram).toContain("OUT_OF_MEMORY RangeError: out of GPU memory: 18 MiB wanted")
    expect(report.leftByGram).toBe(0)
  })

  test("the failure of a kernel is told with how its name can be had", () => {
    expect(report.faulty).toBe(
      "CUDA_ERROR_ILLEGAL_ADDRESS Error: copying from the GPU: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered), by something that was launched before: with CUDA_LAUNCH_BLOCKING=1 in the environment, the message names the kernel",
    )
  })

  test("what was started can be ended once there are no tensors", () => {
    expect(report.atTheEnd).toBe(0)
    expect(Object.values(report.live)).toEqual(Array(6).fill(0))
  })
})
