/**
 * The launcher slurm on a real Slurm of one node, which takes minutes:
 *
 *     KASOSEI_SLURM=1 bun test --timeout 1800000 test/plugins/launcher/real-slurm.test.ts
 *
 * as root, on a Debian that has slurm-wlm and munge, or can install them. `KASOSEI_SLURM_RUNS` is the number of runs, 39 unless it is set.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { digests, main } from "../../core/cli/command-line.ts"
import { OneNode, whyNoSlurm } from "./one-node.ts"

setDefaultTimeout(1_800_000)

const why = whyNoSlurm()
const runs = Number(process.env["KASOSEI_SLURM_RUNS"] ?? 39)
let root: string
let node: OneNode
beforeAll(async () => {
  if (why !== undefined) return
  root = fs.mkdtempSync(join(tmpdir(), "kasosei-one-node-"))
  node = new OneNode(join(root, "slurm"), 17_000)
  await node.start()
})
afterAll(async () => {
  if (why !== undefined) return
  await node.stop()
  fs.rmSync(root, { recursive: true, force: true })
})

const pipeline = (out: string, ...flags: readonly string[]) => {
  const settings = [`seeds=1..${runs}`, "failing=7", `broken=${root}/broken`, `hold=${root}/hold`]
  return Bun.spawn(
    [
      ...[process.execPath, main, "pipeline", join(import.meta.dir, "gpu-study.ts"), "--backend", "cpu"],
      ...["--out", out, ...flags, ...settings.flatMap((setting) => ["--set", setting])],
    ],
    { env: { ...process.env, ...node.environment }, stdout: "pipe", stderr: "pipe" },
  )
}
const onSlurm = (out: string) =>
  pipeline(
    out,
    ...["--launcher", "slurm", "--jobs", "2"],
    ...["cpus=1", "gres=gpu:1"].flatMap((option) => ["--launcher-set", option]),
  )
const ended = async (child: ReturnType<typeof pipeline>) => {
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, stdout, stderr }
}

/** The state of each task of an array that is in the queue, by its number. */
const tasks = (array: string) =>
  new Map(
    node
      .ask("squeue", "--noheader", "--array", "--format=%F %K %t")
      .split("\n")
      .map((line) => line.trim().split(" "))
      .filter(([job]) => job === array)
      .map(([, task, state]) => [Number(task), state!] as const),
  )
const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const began = performance.now(); !holds(); await Bun.sleep(500)) {
    if (performance.now() - began > 900_000) throw new Error(`never came: ${what}\n${node.ask("squeue")}`)
  }
}
const untilEmpty = () => until("an empty queue", () => node.ask("squeue", "--noheader") === "")

/** What the runs have said of their GPUs, with times in ms. */
const seen = (out: string) =>
  fs.readdirSync(join(out, "logs")).flatMap((name) => {
    if (!name.startsWith("gpu-walk")) return []
    const lines = fs.readFileSync(join(out, "logs", name), "utf8").split("\n")
    return lines.flatMap((line) => {
      const [, when, gpu, what, step] = /^(\S+) gpu (\S+) (from|until) step (\d+)$/.exec(line) ?? []
      return when === undefined ? [] : [{ name, at: Date.parse(when), gpu: gpu!, what, step: Number(step) }]
    })
  })

test.skipIf(why !== undefined)(
  why === undefined
    ? "a study is whole in the end, though a task is killed, one fails, one is queued again and the node is drained; each has a GPU of its own"
    : `a study on a real Slurm (skipped: ${why})`,
  async () => {
    const out = join(root, "out")
    fs.writeFileSync(join(root, "broken"), "")
    // Seeds 3 and 5 wait in the middle of their run.
    for (const seed of [3, 5]) fs.writeFileSync(join(root, `hold-${seed}`), "")
    const began = performance.now()
    const first = await ended(onSlurm(out))
    expect([first.code, first.stderr]).toEqual([
      0,
      expect.stringContaining(`${runs + 1} tasks and the report`),
    ])
    const [walks] = first.stdout.trim().split("\n")
    const isRunning = (task: number) => tasks(walks!).get(task) === "R"
    const hasBegun = (task: number) =>
      fs.readFileSync(log(task), { encoding: "utf8", flag: "a+" }).includes("gpu ")
    const log = (task: number) => {
      const [id] = fs.readdirSync(join(out, "launches")).filter((name) => name !== "code")
      return join(out, "launches", id!, "slurm", `0-0-${task}.log`)
    }

    // Seed 3 is killed, as a crash of its machine would.
    await until("the run of seed 3", () => isRunning(2) && hasBegun(2))
    node.ask("scancel", "--full", "--signal=KILL", `${walks}_2`)
    // Seed 5 is queued again while it runs, as if it were preempted.
    await until("the run of seed 5", () => isRunning(4) && hasBegun(4))
    await Bun.sleep(3000)
    node.ask("scontrol", "requeue", `${walks}_4`)
    await until("the state of seed 5", () => fs.readFileSync(log(4), "utf8").includes("its state is kept"))
    fs.rmSync(join(root, "hold-5"))
    fs.rmSync(join(root, "hold-3"))
    // What runs on a node that is drained ends, and nothing begins until it is resumed.
    node.ask("scontrol", "update", `nodename=${node.name}`, "state=drain", "reason=test")
    await until("a drained node", () => node.ask("sinfo", "--noheader", "--format=%t") === "drain")
    const before = seen(out).length
    await Bun.sleep(5000)
    expect(seen(out).length).toBe(before)
    node.ask("scontrol", "update", `nodename=${node.name}`, "state=resume")
    await untilEmpty()
    const folder = join(out, "gpus", "latest")
    const summary = () => JSON.parse(fs.readFileSync(join(folder, "summary.json"), "utf8"))
    const page = () => fs.readFileSync(join(folder, "report", "index.html"), "utf8")
    expect(page()).toBe(`${runs - 2} runs`)
    expect(
      summary()
        .failures.map(({ kind }: { readonly kind: string }) => kind)
        .sort(),
    ).toEqual(["lost", "plugin"])
    const firstTook = performance.now() - began

    // The same command again makes what is missing, and nothing else.
    fs.rmSync(join(root, "broken"))
    const second = await ended(onSlurm(out))
    expect([second.code, second.stderr]).toEqual([0, expect.stringContaining("3 tasks and the report")])
    await untilEmpty()
    expect(page()).toBe(`${runs} runs`)
    expect(summary().failures).toEqual([])

    const marks = seen(out)
    const starts = marks.filter(({ what }) => what === "from")
    // Seeds 3, 5 and 7 began twice, and seed 5 from a saved state. Seed 3 did so too if its worker, whose command was
    // killed, lived long enough to save one.
    expect(starts.length).toBe(runs + 3)
    const resumed = starts.filter(({ step }) => step > 0).map(({ step }) => step)
    expect(resumed).toContain(5)
    expect(resumed.length).toBeLessThanOrEqual(2)
    expect(new Set(marks.map(({ gpu }) => gpu))).toEqual(new Set(["0", "1"]))
    for (const gpu of ["0", "1"]) {
      let holder: string | undefined
      for (const { name, what } of marks.filter((mark) => mark.gpu === gpu).sort((a, b) => a.at - b.at)) {
        // Whoever was killed does not say that it ended.
        if (what === "from") holder = name
        else expect(name).toBe(holder!)
      }
    }

    const here = join(root, "here")
    expect((await ended(pipeline(here, "--jobs", "2"))).code).toBe(0)
    expect(digests(out)).toEqual(digests(here))
    console.log(
      `${runs} runs and a report: ${Math.round(firstTook / 1000)} s, and ${Math.round((performance.now() - began) / 1000)} s in all`,
    )
  },
)
