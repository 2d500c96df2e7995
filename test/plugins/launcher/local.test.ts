import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { SlotsAsked } from "../../../core/api/launcher.ts"
import { visibleGpus } from "../../../plugins/launcher/local/gpus.ts"
import { local } from "../../../plugins/launcher/local.ts"

const asked: SlotsAsked = {
  jobs: undefined,
  threads: undefined,
  memory: 1e9,
  device: undefined,
  here: { cores: 8, memory: 16e9 },
}
const slots = (more: Partial<SlotsAsked> = {}) => Effect.runPromise(local.slots({}, { ...asked, ...more }))

describe("slots", () => {
  test("are one per core, fewer where memory is short, never none, and --jobs of them if it says so", async () => {
    expect(await slots()).toEqual({ processes: 8 })
    // Four fifths of 16 GB hold four jobs of 3 GB.
    expect(await slots({ memory: 3e9 })).toEqual({ processes: 4 })
    expect(await slots({ memory: 1e12 })).toEqual({ processes: 1 })
    expect(await slots({ memory: 0 })).toEqual({ processes: 8 })
    expect(await slots({ memory: 3e9, jobs: 20 })).toEqual({ processes: 20 })
  })

  test("on a backend that needs a GPU, have one each, and no others are there", async () => {
    const before = process.env["CUDA_VISIBLE_DEVICES"]
    process.env["CUDA_VISIBLE_DEVICES"] = "3,5,7"
    try {
      const each = (...gpus: readonly string[]) => ({
        processes: gpus.length,
        environments: gpus.map((gpu) => ({ CUDA_VISIBLE_DEVICES: gpu })),
      })
      expect(await slots({ device: "cuda" })).toEqual(each("3", "5", "7"))
      expect(await slots({ device: "cuda", jobs: 2 })).toEqual(each("3", "5"))
      expect(await slots({ device: "cuda", jobs: 9 })).toEqual(each("3", "5", "7"))
      // Other backends do not ask for any.
      expect(await slots()).toEqual({ processes: 8 })
      process.env["CUDA_VISIBLE_DEVICES"] = "-1"
      expect(await slots({ device: "cuda" })).toEqual({ processes: 8 })
    } finally {
      if (before === undefined) delete process.env["CUDA_VISIBLE_DEVICES"]
      else process.env["CUDA_VISIBLE_DEVICES"] = before
    }
  })
})

describe("the GPUs that can be seen", () => {
  let driver: string
  beforeAll(() => {
    driver = mkdtempSync(join(tmpdir(), "kasosei-gpus-"))
    for (const [name, uuid] of [
      ["0000:61:00.0", "GPU-6b"],
      ["0000:1a:00.0", "GPU-1a"],
    ] as const) {
      mkdirSync(join(driver, name))
      const text = `Model: \t\t NVIDIA A100\nIRQ:   \t\t 17\nGPU UUID: \t ${uuid}\nVideo BIOS: \t 92\n`
      writeFileSync(join(driver, name, "information"), text)
    }
  })
  afterAll(() => rmSync(driver, { recursive: true, force: true }))

  const listed = (text: string) => visibleGpus(undefined, () => text, "/nowhere")

  test("are those that CUDA_VISIBLE_DEVICES names, up to the first that is none", () => {
    const chosen = (text: string) => visibleGpus(text, () => "GPU 0: A (UUID: GPU-aa)", driver)
    expect(chosen("0,1")).toEqual(["0", "1"])
    expect(chosen(" 2 , GPU-8f1e-22 ")).toEqual(["2", "GPU-8f1e-22"])
    expect(chosen("MIG-GPU-8f/1/0")).toEqual(["MIG-GPU-8f/1/0"])
    expect(chosen("0,-1,1")).toEqual(["0"])
    for (const none of ["", "-1", "NoDevFiles"]) expect(chosen(none)).toEqual([])
  })

  test("else those that nvidia-smi lists, and of a divided one its parts", () => {
    expect(listed("GPU 0: NVIDIA H100 (UUID: GPU-aa-1)\nGPU 1: NVIDIA H100 (UUID: GPU-bb-2)\n")).toEqual([
      "GPU-aa-1",
      "GPU-bb-2",
    ])
    const divided = [
      "GPU 0: NVIDIA A100 (UUID: GPU-aa)",
      "  MIG 3g.20gb     Device  0: (UUID: MIG-11)",
      "  MIG 3g.20gb     Device  1: (UUID: MIG-22)",
      "GPU 1: NVIDIA A100 (UUID: GPU-bb)",
    ]
    expect(listed(divided.join("\n"))).toEqual(["MIG-11", "MIG-22", "GPU-bb"])
    expect(listed("No devices found.")).toEqual([])
  })

  test("else those that the driver describes; none without a driver", () => {
    expect(visibleGpus(undefined, () => undefined, driver)).toEqual(["GPU-1a", "GPU-6b"])
    expect(visibleGpus(undefined, () => undefined, join(driver, "nowhere"))).toEqual([])
  })
})
