import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { MemoryKills, memoryLimit } from "../../../../core/engine/workers/memory.ts"

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-memory-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const write = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}
const gigabyte = 1e9

describe("the limit of memory", () => {
  test("is the machine's where no cgroup is, or none limits it", () => {
    expect(memoryLimit(root, 64 * gigabyte)).toEqual({ bytes: 64 * gigabyte, by: "of the machine" })
    write("proc/self/cgroup", "0::/user.slice\n")
    write("sys/fs/cgroup/user.slice/memory.max", "max\n")
    expect(memoryLimit(root, 64 * gigabyte).bytes).toBe(64 * gigabyte)
  })

  test("is the least of the cgroup and of those around it", () => {
    write("proc/self/cgroup", "0::/slurm/job_7/step_0\n")
    write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n")
    write("sys/fs/cgroup/slurm/job_7/memory.max", `${8 * gigabyte}\n`)
    write("sys/fs/cgroup/slurm/memory.max", `${32 * gigabyte}\n`)
    expect(memoryLimit(root, 64 * gigabyte)).toEqual({
      bytes: 8 * gigabyte,
      by: "that memory.max of its cgroup allows",
    })
  })

  test("of the first version of cgroups is found in a container, which cannot see the path on its host", () => {
    write("proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", `${2 * gigabyte}\n`)
    expect(memoryLimit(root, 64 * gigabyte)).toEqual({
      bytes: 2 * gigabyte,
      by: "that memory.limit_in_bytes of its cgroup allows",
    })
    // What that version writes for no limit.
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    expect(memoryLimit(root, 64 * gigabyte).bytes).toBe(64 * gigabyte)
  })
})

describe("kills for want of memory", () => {
  test("of the cgroup explain one process each", () => {
    const count = (kills: number) =>
      write(
        "sys/fs/cgroup/a/memory.events",
        `low 0\nhigh 0\nmax 12\noom 3\noom_kill ${kills}\noom_group_kill 0\n`,
      )
    write("proc/self/cgroup", "0::/a\n")
    // Others of the machine say nothing about this cgroup.
    write("proc/vmstat", "oom_kill 90\n")
    count(2)
    const kills = new MemoryKills(root)
    expect(kills.counted).toBe(true)
    write("proc/vmstat", "oom_kill 91\n")
    expect(kills.claim()).toBeUndefined()
    count(4)
    expect([kills.claim(), kills.claim(), kills.claim()]).toEqual(["cgroup", "cgroup", undefined])
  })

  test("are counted by the first version of cgroups as well", () => {
    write("proc/self/cgroup", "4:memory:/b\n0::/\n")
    const count = (kills: number) =>
      write(
        "sys/fs/cgroup/memory/b/memory.oom_control",
        `oom_kill_disable 0\nunder_oom 0\noom_kill ${kills}\n`,
      )
    count(0)
    const kills = new MemoryKills(root)
    expect(kills.claim()).toBeUndefined()
    count(1)
    expect([kills.claim(), kills.claim()]).toEqual(["cgroup", undefined])
  })

  test("of the whole machine are heeded where there is no other counter", () => {
    write("proc/self/cgroup", "0::/\n")
    write("proc/vmstat", "nr_free_pages 7\noom_kill 3\n")
    const kills = new MemoryKills(root)
    write("proc/vmstat", "nr_free_pages 7\noom_kill 4\n")
    expect([kills.claim(), kills.claim()]).toEqual(["machine", undefined])
  })

  test("are unknown where the kernel does not count them", () => {
    const kills = new MemoryKills(root)
    expect([kills.counted, kills.claim()]).toEqual([false, undefined])
  })
})
