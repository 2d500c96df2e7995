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

/**
 * What a worker replies that is asked for a unit and its probe, and then for one that computes no tensors.
 *
 * @param model that the keys say of the backend
 * @param ready called once the worker is
 */
const repliesTo = async (model: string | undefined, ready = () => {}) => {
  forgetSources()
  const file = join(copy, "test", "core", "sample", "pipeline.ts")
  const { default: definition } = await import(file)
  const { cpu } = await import(join(copy, "plugins", "backend", "cpu.ts"))
  const parameters = definition.parameters({})
  const computing = computingOf(cpu, "fp32", model)
  const { units } = await Effect.runPromise(graphOf(definition.build(parameters), computing))
  const probe = units.find(({ watched }) => watched !== null)!
  const worker = startWorker()
  try {
    const ask = asking(worker)
    const computes = { backend: "cpu", precision: "fp32", ...(model !== undefined && { model }) }
    const settings = { ...computes, out: join(copy, "out"), ...asked }
    expect(await ask({ type: "open", file, parameters, ...settings })).toEqual({ type: "ready" })
    ready()
    const made = { type: "run", wanted: true, missing: [], threads: 1 }
    const source = units.find(({ plugin }) => plugin.name === "sample-source")!
    return [
      await ask({ ...made, unit: probe.watched!.key, observers: [probe.key] }),
      await ask({ ...made, unit: source.key, observers: [] }),
    ]
  } finally {
    worker.kill("SIGKILL")
  }
}

/** Edits a source of the copy while `body` runs. */
const edited = async <A>(
  path: string,
  edit: (text: string) => string,
  body: (edit: () => void) => Promise<A>,
) => {
  const source = join(copy, path)
  const text = fs.readFileSync(source, "utf8")
  try {
    return await body(() => fs.writeFileSync(source, edit(text)))
  } finally {
    fs.writeFileSync(source, text)
  }
}

/** What a worker replies after an edit of a source, made once it is ready. */
const replyAfter = async (path: string, edit: (text: string) => string) =>
  (await edited(path, edit, (make) => repliesTo(undefined, make)))[0]

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

test("a worker computes no tensors on a machine that the plan is not for", async () => {
  const other = (text: string) => `${text}\nObject.assign(cpu, { model: Effect.succeed("device 2") })\n`
  const replies = await edited("plugins/backend/cpu.ts", other, (edit) => {
    edit()
    return repliesTo("device 1")
  })
  expect(replies).toMatchObject([
    {
      type: "unavailable",
      reason:
        "planned for cpu (device 1), but this machine computes by cpu (device 2); run it on a machine like that of the plan, or plan it again for this one",
    },
    { type: "finished", outcomes: [{ status: "done" }] },
  ])
})

test("a comment in a backend, or an edit of what it does not run, is no reason to refuse", async () => {
  const comment = (text: string) => `// A comment.\n${text}`
  expect(await replyAfter("core/tensor/host/optimiser.ts", comment)).toMatchObject({ type: "finished" })
  expect(await replyAfter("plugins/report/study-page.ts", code)).toMatchObject({ type: "finished" })
})
