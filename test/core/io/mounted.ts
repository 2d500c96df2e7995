/** File systems that a test mounts. */
import { spawnSync } from "node:child_process"

/** Mounts a file system in memory at a folder, if this process may do that; otherwise says why the test is skipped. */
export const mounted = (folder: string, options: string): boolean => {
  const { status, stderr, error } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder])
  if (status === 0) return true
  console.warn(`skipped: no file system can be mounted here (${error?.message ?? String(stderr).trim()})`)
  return false
}

export const unmount = (folder: string): void => {
  spawnSync("umount", [folder])
}
