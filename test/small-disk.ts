/** A file system of a few pages of memory, which a test can fill up or make read-only. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const run = (program: string, ...args: readonly string[]): boolean => spawnSync(program, args).status === 0

export interface SmallDisk {
  readonly folder: string
  readonly makeReadOnly: () => void
  readonly makeWritable: () => void
  readonly remove: () => void
}

/** @returns undefined where this user may not mount file systems */
export const smallDisk = (kilobytes: number): SmallDisk | undefined => {
  const folder = mkdtempSync(join(tmpdir(), "kasosei-small-disk-"))
  if (!run("mount", "-t", "tmpfs", "-o", `size=${kilobytes}k`, "none", folder)) {
    rmSync(folder, { recursive: true })
    return undefined
  }
  return {
    folder,
    makeReadOnly: () => run("mount", "-o", "remount,ro", folder),
    makeWritable: () => run("mount", "-o", "remount,rw", folder),
    remove: () => {
      run("umount", "-l", folder)
      rmSync(folder, { recursive: true })
    },
  }
}

/** Whether this user may mount file systems. */
export const mayMount: boolean = (() => {
  const disk = smallDisk(4)
  disk?.remove()
  return disk !== undefined
})()
