/** What the kernel knows of a running process. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface Vitals {
  /** The id of its parent, which is another one's once the process that has started it is gone. */
  readonly parent: number
  /** Of all its threads, s. */
  readonly cpuSeconds: number
  /** The most memory that was in use at any time, bytes. */
  readonly peakMemory: number
  /** Memory in use now, bytes. */
  readonly memory: number
  /** Whether a signal has stopped it. */
  readonly stopped: boolean
}

/** Units of CPU time in /proc a second: USER_HZ, which is 100 on all architectures of today. */
const ticks = 100

/** The vitals of a process; undefined if it is gone, or where there is no /proc. */
export const vitalsOf = (pid: number, proc = "/proc"): Vitals | undefined => {
  try {
    const stat = readFileSync(join(proc, String(pid), "stat"), "latin1")
    // The name, in parentheses, may contain anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const status = readFileSync(join(proc, String(pid), "status"), "latin1")
    const kibibytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1] ?? 0)
    return {
      parent: Number(fields[1]),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticks,
      peakMemory: 1024 * kibibytes("VmHWM"),
      memory: 1024 * kibibytes("VmRSS"),
      stopped: fields[0] === "T",
    }
  } catch {
    return undefined
  }
}

/**
 * Whether this process ignores a signal, by its number: `nohup` and the shell's `trap ''` start it like that. Once the
 * signal is handled it is not ignored any more. False where there is no /proc.
 */
export const ignoresSignal = (signal: number, proc = "/proc"): boolean => {
  try {
    const status = readFileSync(join(proc, "self", "status"), "latin1")
    const ignored = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? 0}`)
    return ((ignored >> BigInt(signal - 1)) & 1n) === 1n
  } catch {
    return false
  }
}
