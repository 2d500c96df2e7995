/** Locks a file, says whether it could, and keeps the lock; told to, it starts a process or locks the file once more. */
import { spawn } from "node:child_process"
import { openSync } from "node:fs"
import process from "node:process"
import { Effect } from "effect"
import { lockFile, tryLock } from "../../../core/io/file-lock.ts"

const path = process.argv[2]!
const fd = openSync(path, "a")
process.stdout.write(`${tryLock(fd, "exclusive")}\n`)
process.stdin.on("data", async (told) => {
  if (String(told) === "lock\n") {
    await Effect.runPromise(Effect.scoped(lockFile(path)))
    process.stdout.write("done\n")
    return
  }
  const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore" })
  process.stdout.write(`${child.pid}\n`)
})
