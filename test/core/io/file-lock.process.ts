/** Locks a file, says whether it could, and keeps the lock; starts a process of its own when told to. */
import { spawn } from "node:child_process"
import { openSync } from "node:fs"
import process from "node:process"
import { tryLock } from "../../../core/io/file-lock.ts"

const fd = openSync(process.argv[2]!, "a")
process.stdout.write(tryLock(fd, "exclusive") ? "locked\n" : "held\n")
process.stdin.on("data", () => {
  const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore" })
  process.stdout.write(`${child.pid}\n`)
})
