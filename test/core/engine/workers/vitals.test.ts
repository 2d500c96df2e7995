import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ignoresSignal, vitalsOf } from "../../../../core/engine/workers/vitals.ts"

let proc: string
beforeAll(() => {
  proc = mkdtempSync(join(tmpdir(), "kasosei-proc-"))
})
afterAll(() => rmSync(proc, { recursive: true, force: true }))

test("vitals are read past a name with parentheses and spaces", () => {
  const folder = join(proc, "12")
  mkdirSync(folder)
  const stat = "12 (a) b (c) T 7 12 12 0 -1 4194560 2164 0 0 0 250 75 900 800 20 0 9 0 1 2 3"
  writeFileSync(join(folder, "stat"), `${stat}\n`)
  writeFileSync(
    join(folder, "status"),
    "Name:\ta) b\nVmPeak:\t  99 kB\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n",
  )
  expect(vitalsOf(12, proc)).toEqual({
    parent: 7,
    cpuSeconds: 3.25,
    peakMemory: 2 ** 21,
    memory: 2 ** 20,
    stopped: true,
  })
})

test("a process that is gone has none", () => {
  expect(vitalsOf(13, proc)).toBeUndefined()
})

test.skipIf(!existsSync("/proc/self/stat"))("those of this process and of a stopped one", async () => {
  const before = vitalsOf(process.pid)!
  expect(before.stopped).toBe(false)
  expect(before.parent).toBe(process.ppid)
  expect(before.peakMemory).toBeGreaterThanOrEqual(before.memory)
  expect(before.memory).toBeGreaterThan(2 ** 20)
  const used = process.cpuUsage()
  expect(vitalsOf(process.pid)!.cpuSeconds).toBeCloseTo((used.user + used.system) / 1e6, 0)
  const child = spawn("sleep", ["1000"])
  child.kill("SIGSTOP")
  while (vitalsOf(child.pid!)?.stopped !== true) await Bun.sleep(5)
  child.kill("SIGKILL")
})

test("a signal that is ignored is found by its bit", () => {
  const folder = join(proc, "self")
  mkdirSync(folder)
  const ignored = (mask: string) => {
    writeFileSync(join(folder, "status"), `Name:\tbun\nSigBlk:\t00000000000000ff\nSigIgn:\t${mask}\n`)
    return [1, 2, 13].map((signal) => ignoresSignal(signal, proc))
  }
  expect(ignored("0000000001001001")).toEqual([true, false, true])
  expect(ignored("0000000000000002")).toEqual([false, true, false])
  expect(ignoresSignal(1, join(proc, "nowhere"))).toBe(false)
})
