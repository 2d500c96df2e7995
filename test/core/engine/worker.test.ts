import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { Effect } from "effect"
import { graphOf } from "../../../core/engine/graph.ts"
import { computingOf } from "../../../core/engine/key.ts"
import { repliesDescriptor } from "../../../core/engine/messages.ts"
import { forgetSources } from "../../../core/engine/source-digest.ts"
import { copyProject } from "../../project-copy.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

/** What a supervising process says about itself. */
const asked = { command: "kasosei pipeline sample", commit: null }

let copy: string
beforeAll(async () => {
  copy = fs.realpathSync(await copyProject())
})
afterAll(() => fs.rmSync(copy, { recursive: true, force: true }))

const startWorker = () =>
  spawn(process.execPath, [join(copy, "core", "engine", "worker.ts")], {
    stdio: ["pipe", "inherit", "inherit", "pipe"],
  })

/** Asks a worker, and gives the reply that ends the request. */
const asking = (worker: ChildProcess) => {
  const input = worker.stdio[repliesDescriptor] as Readable
  const replies = createInterface({ input })[Symbol.asyncIterator]()
  return async (request: object) => {
    worker.stdin!.write(`${JSON.stringify(request)}\n`)
    while (true) {
      const reply = JSON.parse(String((await replies.next()).value))
      if (!["alive", "starting", "begun", "progress"].includes(reply.type)) return reply
    }
  }
}

/** What a worker replies that is asked for a unit and its probe after an edit of a source, made once it is ready. */
const replyAfter = async (path: string, edit: (text: string) => string) => {
  forgetSources()
  const file = join(copy, "test", "core", "sample", "pipeline.ts")
  const { default: definition } = await import(file)
  const { cpu } = await import(join(copy, "plugins", "backend", "cpu.ts"))
  const parameters = definition.parameters({})
  const { units } = await Effect.runPromise(graphOf(definition.build(parameters), computingOf(cpu, "fp32")))
  const probe = units.find(({ watched }) => watched !== null)!
  const worker = startWorker()
  const source = join(copy, path)
  const text = fs.readFileSync(source, "utf8")
  try {
    const ask = asking(worker)
    const settings = { backend: "cpu", precision: "fp32", out: join(copy, "out"), ...asked }
    expect(await ask({ type: "open", file, parameters, ...settings })).toEqual({ type: "ready" })
    fs.writeFileSync(source, edit(text))
    return await ask({
      type: "run",
      unit: probe.watched!.key,
      wanted: true,
      observers: [probe.key],
      missing: [],
      threads: 1,
    })
  } finally {
    fs.writeFileSync(source, text)
    worker.kill("SIGKILL")
  }
}

test("a plugin that interrupts itself is refused, rather than waited for", async () => {
  const file = join(copy, "test", "core", "sample", "interrupting.ts")
  fs.writeFileSync(
    file,
    `import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { pipeline } from "../../../core/api/pipeline.ts"
import { plugin } from "../../../core/api/plugin.ts"
import { source } from "./plugins.ts"
const interrupting = plugin({
  name: "interrupting", stage: "data", version: 1, module: import.meta.url, summary: "",
  options: type({ "+": "reject" }), takes: {}, gives: source.gives, usesBackend: false,
  estimate: () => ({ artifact: { count: 1 }, cost: cost({}) }),
  run: () => Effect.interrupt,
})
export default pipeline({
  name: "interrupting", summary: "One unit", parameters: type({ "+": "reject" }),
  build: () => ({ data: interrupting({}) }),
})
`,
  )
  const { default: definition } = await import(file)
  const { units } = await Effect.runPromise(
    graphOf(definition.build({}), { arithmetic: "cpu", sources: {}, packages: {} }),
  )
  const worker = startWorker()
  try {
    const ask = asking(worker)
    const settings = { backend: "cpu", precision: "fp32", out: join(copy, "out"), ...asked }
    await ask({ type: "open", file, parameters: {}, ...settings })
    const run = { type: "run", unit: units[0]!.key, wanted: true, observers: [], missing: [], threads: 1 }
    expect(await ask(run)).toMatchObject({ type: "refused" })
  } finally {
    worker.kill("SIGKILL")
  }
}, 60_000)

const code = (text: string) => `${text}\nexport const added = 1\n`

test("a worker refuses to compute with a backend that was edited after the keys were made", async () => {
  expect(await replyAfter("core/tensor/host/optimiser.ts", code)).toEqual({
    type: "refused",
    reason: expect.stringContaining(
      "a source file, or a file that a plugin reads, has changed since the start",
    ),
  })
})

test("a comment in a backend, or an edit of what it does not run, is no reason to refuse", async () => {
  const comment = (text: string) => `// A comment.\n${text}`
  expect(await replyAfter("core/tensor/host/optimiser.ts", comment)).toMatchObject({ type: "finished" })
  expect(await replyAfter("plugins/report/study-page.ts", code)).toMatchObject({ type: "finished" })
})
