/** How much memory there may be here, and whether the kernel has killed for want of it. Linux only; else the machine's. */
import { readFileSync } from "node:fs"
import { totalmem } from "node:os"
import { dirname, join } from "node:path"

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8").trim()
  } catch {
    return undefined
  }
}

/** The version of the hierarchy of cgroups that limits memory, with the names of its files. */
interface Hierarchy {
  readonly mount: string
  readonly limit: string
  readonly events: string
}

const unified: Hierarchy = { mount: "sys/fs/cgroup", limit: "memory.max", events: "memory.events" }
const legacy: Hierarchy = {
  mount: "sys/fs/cgroup/memory",
  limit: "memory.limit_in_bytes",
  events: "memory.oom_control",
}

/**
 * The folders of this process's cgroup and of those around it, the innermost first. In a container the path may be that
 * on the host, of which only the mount itself can be seen.
 */
const cgroupFolders = (root: string): readonly (readonly [folder: string, hierarchy: Hierarchy])[] =>
  (read(join(root, "proc/self/cgroup")) ?? "").split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) return []
    const hierarchy =
      controllers === "" ? unified : controllers.split(",").includes("memory") ? legacy : undefined
    if (hierarchy === undefined) return []
    const folders: string[] = []
    for (let at = path; ; at = dirname(at)) {
      folders.push(join(root, hierarchy.mount, at))
      if (at === "/") break
    }
    return folders.map((folder) => [folder, hierarchy] as const)
  })

export interface MemoryLimit {
  readonly bytes: number
  /** For people, after "the memory". */
  readonly by: string
}

/** The memory that all processes of this cgroup may use together: the machine's, or less. */
export const memoryLimit = (root = "/", machine = totalmem()): MemoryLimit => {
  let least: MemoryLimit = { bytes: machine, by: "of the machine" }
  for (const [folder, { limit }] of cgroupFolders(root)) {
    const bytes = Number(read(join(folder, limit)) ?? Number.NaN)
    if (bytes < least.bytes) least = { bytes, by: `that ${limit} of its cgroup allows` }
  }
  return least
}

/** How many processes of this cgroup the kernel has killed for want of memory; undefined if it does not tell. */
const killsInCgroup = (root: string): number | undefined => {
  for (const [folder, { events }] of cgroupFolders(root)) {
    const kills = /^oom_kill (\d+)$/m.exec(read(join(folder, events)) ?? "")?.[1]
    if (kills !== undefined) return Number(kills)
  }
  return undefined
}

/** The same for the whole machine. */
const killsOnMachine = (root: string): number | undefined => {
  const kills = /^oom_kill (\d+)$/m.exec(read(join(root, "proc/vmstat")) ?? "")?.[1]
  return kills === undefined ? undefined : Number(kills)
}

/** Which counter of the kernel says that a process was killed for want of memory. */
export type OutOfMemory = "cgroup" | "machine"

/** Counts the kernel's kills for want of memory, each of which explains one process. */
export class MemoryKills {
  private readonly root: string
  private cgroup: number | undefined
  private machine: number | undefined

  constructor(root = "/") {
    this.root = root
    this.cgroup = killsInCgroup(root)
    this.machine = killsOnMachine(root)
  }

  /** Whether the kernel says anything about such kills. */
  get counted(): boolean {
    return this.cgroup !== undefined || this.machine !== undefined
  }

  /** Whether there was a kill that explains no other process yet, and who says so. */
  claim(): OutOfMemory | undefined {
    if (this.cgroup !== undefined) {
      // A cgroup's counter also has the kills for want of memory on the whole machine.
      if ((killsInCgroup(this.root) ?? 0) <= this.cgroup) return undefined
      this.cgroup++
      return "cgroup"
    }
    if (this.machine === undefined || (killsOnMachine(this.root) ?? 0) <= this.machine) return undefined
    this.machine++
    return "machine"
  }
}
