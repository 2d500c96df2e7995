/** Replaces a folder, and is killed before the step of this number. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"

const [folder, killedAt] = [process.argv[2]!, Number(process.argv[3])]
let step = 0
type Body = (...args: unknown[]) => unknown
const counted = (body: Body): Body =>
  function (this: unknown, ...args) {
    if (step++ === killedAt) process.kill(process.pid, "SIGKILL")
    return body.apply(this, args)
  }

const handle = await fs.open(import.meta.filename)
const prototype = Object.getPrototypeOf(handle)
await handle.close()
prototype.sync = counted(prototype.sync)
const steps = ["mkdir", "rename", "rm", "open", "writeFile"] as const
const watched = {
  ...fs,
  ...Object.fromEntries(steps.map((name) => [name, counted(Reflect.get(fs, name) as Body)])),
}
Object.assign(globalThis, { watched })
Bun.plugin({
  name: "steps",
  setup: (build) => {
    build.onLoad({ filter: /core\/io\/(files|flush)\.ts$/ }, async ({ path }) => {
      const text = await fs.readFile(path, "utf8")
      const [from, to] = ['import * as fs from "node:fs/promises"', "const fs = globalThis.watched"]
      if (!text.includes(from)) throw new Error(`expected ${from} in ${path}`)
      return { contents: text.replace(from, to), loader: "ts" }
    })
  },
})

// Only now, so that it calls what counts the steps.
const { replaceFolder, writeFile } = await import("../../../core/io/files.ts")
await Effect.runPromise(replaceFolder(folder, (to) => writeFile(join(to, "sub", "a"), "new")))
