/** Processes that are at work on a store, for tests that kill them. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"

/**
 * Starts a process that is at work on the store `root`.
 *
 * @param within a command that runs it, such as `unshare`
 */
export const atWork = async (root: string, within: readonly string[] = []) => {
  const [program, ...options] = [
    ...within,
    process.execPath,
    join(import.meta.dir, "at-work.process.ts"),
    root,
  ]
  const child = spawn(program!, options, { stdio: ["pipe", "pipe", "inherit"] })
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const [id, pid] = String((await lines.next()).value).split(" ")
  return {
    id: id!,
    /** As it sees it. */
    pid: Number(pid),
    kill: async () => {
      child.kill("SIGKILL")
      await gone
    },
    /** Asks for a lease; gives "taken", or the id of the process that has it. */
    take: async (key: string) => {
      child.stdin.write(`${key}\n`)
      return String((await lines.next()).value)
    },
  }
}
