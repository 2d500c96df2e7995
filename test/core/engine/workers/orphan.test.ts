import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Owner, ownerPath } from "../../../../core/engine/store/owners.ts"
import { wakeOrphan } from "../../../../core/engine/workers/orphan.ts"
import { vitalsOf } from "../../../../core/engine/workers/vitals.ts"
import { atWork } from "../store/at-work.ts"

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-orphan-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const untilStopped = async (pid: number) => {
  process.kill(pid, "SIGSTOP")
  while (vitalsOf(pid)?.stopped !== true) await Bun.sleep(5)
}

test.skipIf(!existsSync("/proc/self/fd"))(
  "a stopped process at work is woken once its parent is another, and never one that only has its id",
  async () => {
    const child = await atWork(root)
    const bystander = spawn("sleep", ["1000"])
    try {
      const path = ownerPath(root, child.id)
      const owner: Owner = JSON.parse(readFileSync(path, "utf8"))
      expect(owner.parent).toBe(process.pid)
      expect(wakeOrphan({ ...owner, parent: 1 }, path)).toBeUndefined()
      await untilStopped(child.pid)
      await untilStopped(bystander.pid!)
      expect(wakeOrphan(owner, path)).toBe("stopped")
      const { parent: _, ...before } = owner
      expect(wakeOrphan(before, path)).toBe("stopped")
      expect(wakeOrphan({ ...owner, parent: 1, pid: bystander.pid! }, path)).toBeUndefined()
      expect(wakeOrphan({ ...owner, parent: 1 }, `${path}.gone`)).toBeUndefined()
      expect([child.pid, bystander.pid!].map((pid) => vitalsOf(pid)!.stopped)).toEqual([true, true])
      expect(wakeOrphan({ ...owner, parent: 1 }, path)).toBe("woken")
      expect(await child.take("a")).toBe("taken")
      expect(vitalsOf(bystander.pid!)!.stopped).toBe(true)
    } finally {
      bystander.kill("SIGKILL")
      await child.kill()
    }
  },
)
