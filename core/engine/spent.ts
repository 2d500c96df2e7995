/** What a job has taken of the machine. */
import { readFileSync, writeFileSync } from "node:fs"
import { type } from "arktype"

/** What was spent on a job. JSON: a stopped job leaves it to the process that resumes it. */
export const Spent = type({
  "+": "reject",
  /** Of wall-clock time. */
  seconds: "number >= 0",
  /** Of all cores, in programs and in the system. */
  cpuSeconds: "number >= 0",
  /** Bytes. */
  peakMemory: "number >= 0",
})
export type Spent = typeof Spent.infer

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Linux forgets what was the most memory until now. */
const forgetPeak = (): void => {
  try {
    writeFileSync("/proc/self/clear_refs", "5")
  } catch {
    // Elsewhere the peak is that of the process since it started.
  }
}

/** The most memory that this process has had, bytes: on Linux since the last `forgetPeak`. */
const peakMemory = (): number => {
  try {
    const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]
    if (kilobytes !== undefined) return Number(kilobytes) * 1024
  } catch {
    // There is no such file elsewhere.
  }
  return process.resourceUsage().maxRSS * 1024
}

/**
 * Begins to measure what this process spends on a job.
 *
 * @returns a function of what was spent on it until it was stopped, and of the seconds since: what was spent so far
 */
export const measureSpent = (): ((before: Spent, seconds: number) => Spent) => {
  forgetPeak()
  const began = cpuSeconds()
  return (before, seconds) => ({
    seconds: before.seconds + seconds,
    cpuSeconds: before.cpuSeconds + cpuSeconds() - began,
    peakMemory: Math.max(before.peakMemory, peakMemory()),
  })
}
