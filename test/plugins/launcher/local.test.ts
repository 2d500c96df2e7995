import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { SlotsAsked } from "../../../core/api/launcher.ts"
import { describedBy, visibleGpus } from "../../../plugins/launcher/local/gpus.ts"
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

  test("on GPUs of which nothing is known, have one each, and no others are there", async () => {
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

describe("slots on GPUs whose memory nvidia-smi tells", () => {
  const before = { ...process.env }
  let folder: string
  let lines: readonly string[] = []
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kasosei-smi-"))
    const rows = [
      "0, GPU-aa, NVIDIA A, 81000, Default",
      "1, GPU-bb, NVIDIA A, 9000, Default",
      "2, GPU-cc, NVIDIA B, 81000, Default",
      "3, GPU-dd, NVIDIA A, 100, Default",
      "4, GPU-ee, NVIDIA C, 81000, Exclusive_Process",
    ]
    const list = rows
      .map((row) => row.split(", "))
      .map(([n, uuid, name]) => `GPU ${n}: ${name} (UUID: ${uuid})`)
    const script = `#!/bin/sh\ncase "$1" in -L) echo '${list.join("\n")}';; *) echo '${rows.join("\n")}';; esac\n`
    writeFileSync(join(folder, "nvidia-smi"), script, { mode: 0o755 })
    process.env["PATH"] = `${folder}:${process.env["PATH"]}`
    delete process.env["CUDA_VISIBLE_DEVICES"]
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
    process.env["PATH"] = before["PATH"]
    if (before["CUDA_VISIBLE_DEVICES"] !== undefined)
      process.env["CUDA_VISIBLE_DEVICES"] = before["CUDA_VISIBLE_DEVICES"]
  })

  const places = async (more: Partial<SlotsAsked>) => {
    const told = spyOn(process.stderr, "write").mockReturnValue(true)
    const { processes, environments } = await slots({ device: "cuda", ...more }).finally(() => {
      lines = told.mock.calls.map(([line]) => String(line))
      told.mockRestore()
    })
    expect(environments).toHaveLength(processes)
    return environments!.map((each) => each["CUDA_VISIBLE_DEVICES"]).join(" ")
  }
  const here = { cores: 64, memory: 1e12 }

  test("are as many as fit, at most four on each, none on another model, and never more than cores", async () => {
    // 9,000 MiB hold two jobs of 3 GB and what CUDA needs for each; a full GPU has one nevertheless.
    expect(await places({ here, memory: 3e9 })).toBe("GPU-aa GPU-bb GPU-dd GPU-aa GPU-bb GPU-aa GPU-aa")
    expect(await places({ here, memory: 1e9 })).toBe(
      "GPU-aa GPU-bb GPU-dd GPU-aa GPU-bb GPU-aa GPU-bb GPU-aa GPU-bb",
    )
    expect(await places({ here, memory: 80e9 })).toBe("GPU-aa GPU-bb GPU-dd")
    expect(await places({ here: { ...here, cores: 2 } })).toBe("GPU-aa GPU-bb")
    expect(await places({ here: { ...here, memory: 4e9 }, memory: 3e9 })).toBe("GPU-aa")
    expect(await places({ here, memory: 3e9, jobs: 5 })).toBe("GPU-aa GPU-bb GPU-dd GPU-aa GPU-bb")
  })

  test("are one on a GPU that a process has for itself", async () => {
    process.env["CUDA_VISIBLE_DEVICES"] = "4"
    try {
      expect(await places({ here, memory: 1e9 })).toBe("4")
    } finally {
      delete process.env["CUDA_VISIBLE_DEVICES"]
    }
  })

  test("are on the GPUs that CUDA_VISIBLE_DEVICES names; of their model the first decides", async () => {
    process.env["CUDA_VISIBLE_DEVICES"] = "2,1"
    try {
      expect(await places({ here, memory: 30e9 })).toBe("2 2")
      expect(lines).toEqual([
        "1 GPU of another model than the first (NVIDIA B) is left out: 1 (NVIDIA A); results are the same bits on one model alone\n",
      ])
    } finally {
      delete process.env["CUDA_VISIBLE_DEVICES"]
    }
  })
})

describe("what is known of a GPU", () => {
  const table = () => "0, GPU-aa-1, NVIDIA A, 100\n1, GPU-bb-2, NVIDIA B, [N/A]\n"
  const a = { model: "NVIDIA A", free: 100 * 2 ** 20, isExclusive: false }
  const known = (ids: readonly string[], order?: string) =>
    describedBy(ids, table, order).map((gpu) => gpu.known)

  test("is found by its number, its UUID or the beginning of that", () => {
    expect(known(["0", "GPU-aa-1", "GPU-aa"], "PCI_BUS_ID")).toEqual([a, a, a])
  })

  test("is nothing for parts of one, in an order that nvidia-smi does not know, and without nvidia-smi", () => {
    expect(known(["MIG-11", "1", "7"], "PCI_BUS_ID")).toEqual([undefined, undefined, undefined])
    expect(known(["0"], "FASTEST_FIRST")).toEqual([undefined])
    expect(describedBy(["0"], () => undefined)).toEqual([{ id: "0", known: undefined }])
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
