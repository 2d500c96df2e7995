import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { childrenOf, command, type Running, sample, start, untilEnded } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

let root: string
let out: string
let hold: string
let running: Running
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "kasosei-status-"))
  out = join(root, "out")
  hold = join(root, "hold")
  writeFileSync(hold, "")
  running = start(sample(out, ["lr=1", "seeds=1,2", "aloud=true", `hold=${hold}`], ["--jobs", "1"]))
  await running.said("seed 1 at step 3")
})
afterAll(() => {
  running.signal("SIGKILL")
  rmSync(root, { recursive: true, force: true })
})

const status = async (...flags: readonly string[]) => {
  const { code, stdout, stderr } = await command(["status", out, ...flags])
  return { code, stderr, lines: stdout.trimEnd().split("\n") }
}

describe("while a study runs", () => {
  test("tells what is done, who makes what, and what waits for what", async () => {
    const { code, lines } = await status()
    expect(code).toBe(0)
    const [worker] = childrenOf(running.pid)
    expect(lines[0]).toMatch(/^sample: 1 of 6 units done, 2 running, 1 ready, 2 waiting/)
    expect(lines[1]).toMatch(
      /^ {2}launched \d{4}-\d\d-\d\d \d\d:\d\d UTC: (kasosei|bun run) pipeline .* --jobs 1 .*$/,
    )
    expect(lines[2]).toMatch(/^ {2}report: .*\/out\/sample\/[0-9a-f]{12}$/)
    expect(lines[3]).toBe("running")
    expect(lines[4]).toMatch(new RegExp(`^  sample-walk lr=1 seed=1: process ${worker} on \\S+, for `))
    expect(lines.slice(5).sort()).toEqual([
      "  1 unit on sample-walk lr=1 seed=1 and 3 other units",
      "  1 unit on sample-walk lr=1 seed=2",
      "waiting",
    ])
  })

  test("as JSON it has every unit", async () => {
    const { lines } = await status("--json")
    const [{ units, launch, remaining }] = JSON.parse(lines.join("\n"))
    expect(units.map(({ state }: { readonly state: string }) => state).sort()).toEqual(
      ["done", "running", "running", "ready", "waiting", "waiting"].sort(),
    )
    expect(launch.name).toBe("sample")
    expect(remaining === null || remaining >= 0).toBe(true)
  })

  test("it writes nothing, and another host's process is told as last seen", async () => {
    const before = readdirSync(join(out, "owners"))
    const lease = readdirSync(join(out, "leases"))[0]!
    const owner = "00000000000000aa"
    const other = {
      id: owner,
      role: "worker",
      pid: 7,
      host: "node9",
      boot: "another",
      command: "",
      started: "",
    }
    writeFileSync(join(out, "owners", `${owner}.json`), JSON.stringify({ ...other, locked: true }))
    utimesSync(join(out, "owners", `${owner}.json`), 1_700_000_000, 1_700_000_000)
    const { lines } = await status("--json")
    const ready = JSON.parse(lines.join("\n"))[0].units.find(
      ({ plugin, state }: { readonly plugin: string; readonly state: string }) =>
        plugin === "sample-walk" && state === "ready",
    )
    const folder = join(out, "leases", ready.key.slice(0, 20))
    mkdirSync(folder)
    writeFileSync(
      join(folder, owner),
      JSON.stringify({ key: ready.key, label: ready.label, taken: new Date().toISOString() }),
    )
    const text = (await status()).lines.join("\n")
    expect(text).toMatch(
      /^ {2}sample-walk .*: process 7 on node9, for .*; silent for .* d .*, so probably gone$/m,
    )
    rmSync(folder, { recursive: true })
    rmSync(join(out, "owners", `${owner}.json`))
    expect(readdirSync(join(out, "owners"))).toEqual(before)
    expect(readdirSync(join(out, "leases"))).toContain(lease)
  })

  test("a launch is found by the start of its name, and what is not there is said", async () => {
    const [id] = readdirSync(join(out, "launches")).filter((name) => name !== "code")
    expect((await status("--launch", id!.slice(0, 10))).lines[0]).toContain("sample: ")
    const none = await status("--launch", "1999")
    expect([none.code, none.stderr]).toEqual([2, `${out}: there is no launch 1999\n`])
    const empty = await command(["status", root])
    expect([empty.code, empty.stderr]).toEqual([
      2,
      `${root}: no pipeline has written to this folder; expected one that was its --out\n`,
    ])
    const nowhere = await command(["status", join(root, "nowhere")])
    expect([nowhere.code, nowhere.stderr]).toEqual([
      2,
      `cannot list ${join(root, "nowhere")}: there is no such file or folder\n`,
    ])
  })
})

describe("once nobody is at work", () => {
  test("tells that nobody is, and after the next run that all is done", async () => {
    const workers = childrenOf(running.pid)
    running.signal("SIGKILL")
    await running.ended
    await untilEnded(workers)
    expect((await status()).lines[0]).toBe(
      "sample: 1 of 6 units done, 2 ready, 3 waiting; nobody is at work: the same command goes on",
    )
    rmSync(hold)
    await command(sample(out, ["lr=1", "seeds=1,2", "aloud=true", `hold=${hold}`]))
    const { lines } = await status()
    expect(lines[0]).toBe("sample: 6 of 6 units done")
    expect(lines.length).toBe(3)
    expect((await status("--all")).lines.filter((line) => line.startsWith("sample:")).length).toBe(2)
  })

  test("tells what failed, where its log is, and what is not made without it", async () => {
    await command(sample(out, ["lr=1", "seeds=3", "failAt=2"]))
    const text = (await status()).lines
    expect(text[0]).toBe("sample: 2 of 4 units done, 2 failed")
    expect(text[3]).toBe("failed, tried again by the next run")
    expect(text[4]).toMatch(
      /^ {2}sample-walk lr=1 seed=3: asked to fail \(.*\/out\/logs\/sample-walk-[0-9a-f]{20}\.log\)$/,
    )
    await command(sample(out, ["lr=1", "seeds=4", "broken=true"]))
    const blocked = (await status()).lines
    expect(blocked[0]).toContain("not to be made")
    expect(blocked.join("\n")).toMatch(/\d units? not to be made without sample-source/)
  })

  test("a damaged record is told, and the others are shown", async () => {
    const [id] = readdirSync(join(out, "launches"))
      .filter((name) => name !== "code")
      .sort()
      .reverse()
    writeFileSync(join(out, "launches", id!, "launch.json"), "{")
    const { code, stderr, lines } = await status()
    expect(code).toBe(0)
    expect(stderr).toContain("launch.json: its content has changed since it was written")
    expect(lines[0]).toStartWith("sample: ")
  })
})
