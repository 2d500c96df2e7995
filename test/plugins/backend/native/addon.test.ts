import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import { instructionsOf, nativeAddon } from "../../../../plugins/backend/native/addon.ts"
import { openProcessor } from "../../../../plugins/backend/native/device.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const project = join(import.meta.dir, "..", "..", "..", "..")

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kasosei-build-"))
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** A script in place of the compiler. */
const compiler = async (body: string): Promise<string> => {
  const path = join(root, "compiler")
  await writeFile(path, `#!/bin/sh\nif [ "$1" = --version ]; then echo pretended 1.0; exit 0; fi\n${body}\n`)
  await chmod(path, 0o755)
  return path
}

/** Writes an output file like a compiler: the path is its last argument. */
const pretend = 'for last; do :; done; echo "$last" >> "$LOG"; sleep 0.1; echo object > "$last"'

const run = (
  cxx: string,
  script: string,
  cache = join(root, "cache"),
): Promise<{ readonly out: string; readonly err: string }> =>
  new Promise((resolve) => {
    const env = { ...process.env, CXX: cxx, XDG_CACHE_HOME: cache, LOG: join(root, "log") }
    const child = spawn(process.execPath, ["-e", script], { cwd: project, env })
    let [out, err] = ["", ""]
    child.stdout.on("data", (data) => {
      out += data
    })
    child.stderr.on("data", (data) => {
      err += data
    })
    child.on("close", () => resolve({ out: out.trim(), err: err.trim() }))
  })

const buildOne = `
  const { Effect } = await import("effect")
  const { addonPath } = await import("./plugins/backend/device/build.ts")
  const { nativeAddon } = await import("./plugins/backend/native/addon.ts")
  console.log(await Effect.runPromise(addonPath(nativeAddon)))`

const chooseAuto = `
  const { Effect } = await import("effect")
  const { backendNamed } = await import("./core/engine/discover.ts")
  console.log((await Effect.runPromise(backendNamed("auto"))).name)`

const chooseNative = `
  const { Effect } = await import("effect")
  const { backendNamed } = await import("./core/engine/discover.ts")
  console.log((await Effect.runPromise(Effect.flip(backendNamed("native")))).message)`

describe("the addon's build", () => {
  test("is done once by processes that start together, with a single notice", async () => {
    const cxx = await compiler(pretend)
    const runs = await Promise.all([run(cxx, buildOne), run(cxx, buildOne), run(cxx, buildOne)])
    const paths = new Set(runs.map(({ out }) => out))
    expect(paths.size).toBe(1)
    expect(await readFile([...paths][0]!, "utf8")).toBe("object\n")
    expect(
      runs.map(({ err }) => err).filter((err) => err.includes("building the native backend")).length,
    ).toBe(1)
    const outputs = (await readFile(join(root, "log"), "utf8")).trim().split("\n")
    expect(outputs.filter((output) => output.endsWith("addon.node")).length).toBe(1)
    // Nothing else is left in the folder.
    const names = (await readdir(join(root, "cache", "kasosei", "native"))).sort()
    expect(names).toEqual([names[0]!, `${names[0]}.sha256`])
    await run(cxx, buildOne)
    expect((await readFile(join(root, "log"), "utf8")).trim().split("\n")).toEqual(outputs)
  })

  test("that was interrupted is taken over", async () => {
    const cxx = await compiler(pretend)
    const { out } = await run(cxx, buildOne)
    await rm(out)
    // The lock of a process that was killed.
    await writeFile(`${out}.lock`, "")
    expect((await run(cxx, buildOne)).out).toBe(out)
    expect(existsSync(`${out}.lock`)).toBe(false)
  })

  test.each([
    ["cut off", "obj"],
    ["empty", ""],
    ["another file", "something else entirely"],
  ])("is done again if the addon is %s", async (_, content) => {
    const cxx = await compiler(pretend)
    const { out } = await run(cxx, buildOne)
    await writeFile(out, content)
    const again = await run(cxx, buildOne)
    expect(again.out).toBe(out)
    expect(again.err).toBe(
      `${out} is damaged: building the native backend with ${cxx}, once for this machine …`,
    )
    expect(await readFile(out, "utf8")).toBe("object\n")
    expect((await run(cxx, buildOne)).err).toBe("")
  })

  test("that cannot be done again leaves a damaged addon alone: auto chooses wasm, native is refused", async () => {
    const cxx = await compiler(`[ -e "$LOG.fails" ] && { echo "error: no more" >&2; exit 1; }\n${pretend}`)
    const { out } = await run(cxx, buildOne)
    await writeFile(out, "obj")
    await writeFile(join(root, "log.fails"), "")
    const auto = await run(cxx, chooseAuto)
    expect(auto.out).toBe("wasm")
    expect(auto.err.split("\n").at(-1)).toContain("the backend native cannot run here: ")
    const named = await run(cxx, chooseNative)
    expect([named.out, named.err]).toEqual([
      expect.stringContaining("the backend native cannot run here: "),
      "",
    ])
    expect(existsSync(out)).toBe(false)
  })

  test("that fails is reported in one line and not tried again, and auto chooses wasm", async () => {
    const cxx = await compiler('echo x >> "$LOG"; echo "a.cpp:1: error: no such thing" >&2; exit 1')
    const first = await run(cxx, chooseAuto)
    expect(first.out).toBe("wasm")
    const lines = first.err.split("\n").filter((line) => !line.startsWith("building"))
    expect(lines).toEqual([
      expect.stringContaining("the backend native cannot run here"),
    ] as unknown as string[])
    expect(lines[0]).toContain("could not build the addon (a.cpp:1: error: no such thing); delete ")
    const calls = await readFile(join(root, "log"), "utf8")
    const second = await run(cxx, chooseAuto)
    expect(second.out).toBe("wasm")
    expect(second.err).toBe(lines[0]!)
    expect(await readFile(join(root, "log"), "utf8")).toBe(calls)
  })

  test("that was stopped by a signal is tried again at the next start", async () => {
    const stopping = '[ -e "$LOG" ] || { echo x > "$LOG"; kill -INT $$; sleep 5; }'
    const cxx = await compiler(`${stopping}\n${pretend}`)
    const stopped = await run(cxx, chooseAuto)
    expect(stopped.out).toBe("wasm")
    expect(stopped.err).toContain(
      `the backend native cannot run here: ${cxx} was stopped by SIGINT while it built the addon; try again`,
    )
    const { out } = await run(cxx, buildOne)
    expect(await readFile(out, "utf8")).toBe("object\n")
  })

  test("reports what to install if there is no compiler, and auto chooses wasm", async () => {
    const { out, err } = await run(join(root, "none"), chooseAuto)
    expect(out).toBe("wasm")
    expect(err).toContain("no C++ compiler was found")
    expect(err).toContain("g++")
    expect(err.split("\n").length).toBe(1)
  })

  test("reports a cache that is not writable without waiting, and auto chooses wasm", async () => {
    await writeFile(join(root, "file"), "")
    const { out, err } = await run(await compiler(pretend), chooseAuto, join(root, "file"))
    expect(out).toBe("wasm")
    expect(err).toContain(`cannot be saved in ${join(root, "file", "kasosei", "native")}`)
    expect(err).toContain("set XDG_CACHE_HOME")
    expect(err.split("\n").length).toBe(1)
  })
})

describe("the instruction set of an addon", () => {
  const built = async () => {
    const ended = await Effect.runPromise(Effect.result(addonPath(nativeAddon)))
    return Result.isSuccess(ended) ? ended.success : undefined
  }

  test("is told by a process that loads it", async () => {
    const path = await built()
    if (path !== undefined) expect(await instructionsOf(path)).toBe(openProcessor(path).instructions)
  })

  test("of a file that was cut off is an error, whatever that does to a process that loads it", async () => {
    const path = await built()
    if (path === undefined) return
    const cut = join(root, "cut.node")
    const whole = await readFile(path)
    for (const bytes of [0, 5000, Math.floor(whole.length / 2)]) {
      await writeFile(cut, whole.subarray(0, bytes))
      expect(await instructionsOf(cut).catch(() => "an error")).toBe("an error")
    }
  })
})
