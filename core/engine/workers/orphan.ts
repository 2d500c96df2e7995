/**
 * A worker whose command is gone notices the end of its input, saves its state and ends, unless a signal has stopped it:
 * then it has its leases for ever.
 */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import type { Owner } from "../store/owners.ts"
import { vitalsOf } from "./vitals.ts"

/**
 * Makes a stopped worker go on if the process that has started it is gone.
 *
 * @param file the owner's, which only that process has open: its id may be another process's here, or by now
 * @returns what was found: that it was stopped, and is "woken", or is "stopped" still; undefined if neither is certain
 */
export const wakeOrphan = (owner: Owner, file: string): "woken" | "stopped" | undefined => {
  const vitals = vitalsOf(owner.pid)
  if (vitals?.stopped !== true) return undefined
  try {
    if (!hasOpen(owner.pid, file)) return undefined
    if (owner.parent === undefined || vitals.parent === owner.parent) return "stopped"
    process.kill(owner.pid, "SIGCONT")
    return "woken"
  } catch {
    // It is another user's, or gone by now.
    return undefined
  }
}

const hasOpen = (pid: number, file: string): boolean => {
  const folder = join("/proc", String(pid), "fd")
  const { dev, ino } = statSync(file)
  return readdirSync(folder).some((fd) => {
    const open = statSync(join(folder, fd), { throwIfNoEntry: false })
    return open?.dev === dev && open.ino === ino
  })
}
