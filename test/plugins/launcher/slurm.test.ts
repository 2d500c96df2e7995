/** The launcher slurm as far as it can be seen without Slurm: what it asks of Slurm's programs, and what its tasks do. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command, digests, main, sample } from "../../core/cli/command-line.ts"
import { Screen } from "../../core/cli/screen.ts"
import { emulated, emulatedEnvironment } from "../backend/cuda/emulated.ts"
import { StandIn } from "./stand-in.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

let root: string
let out: string
let slurm: StandIn
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "kasosei-slurm-"))
  out = join(root, "out")
  slurm = new StandIn(join(root, "slurm"))
})
afterEach(() => fs.rmSync(root, { recursive: true, force: true }))

const project = join(import.meta.dir, "..", "..", "..")

/** Runs a command where Slurm's programs are the stand-in. */
const launch = async (settings: readonly string[], flags: readonly string[] = [], path = slurm.bin) => {
  const args = sample(out, settings, ["--launcher", "slurm", ...flags])
  const child = Bun.spawn([process.execPath, main, ...args], {
    cwd: project,
    env: { ...process.env, PATH: `${path}:${process.env["PATH"]}` },
    stdout: "pipe",
    stderr: "pipe",
  })
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, stdout, stderr }
}

/** Of all launches, the last one last. */
const launchFolders = () => {
  const folder = join(out, "launches")
  const ids = fs.readdirSync(folder).filter((name) => name !== "code")
  return ids.sort().map((id) => join(folder, id))
}
const launchFolder = () => launchFolders().at(-1)!
const logs = (launch = launchFolder()) => {
  const folder = join(launch, "slurm")
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".log"))
  return Object.fromEntries(names.map((name) => [name, fs.readFileSync(join(folder, name), "utf8")]))
}
const flagOf = (args: readonly string[], name: string) =>
  args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3)

const few = ["lr=1", "seeds=1,2"]

describe("a plan", () => {
  test("is submitted by levels, and its tasks make the same as workers here do, wherever it lies", async () => {
    out = join(root, "it's a $(touch owned) %a `folder`")
    slurm.behave({ runs: true })
    const options = ["partition=gpu", "account=lab", "qos=low", "time=2:00:00", "memory=3G", "cpus=1"]
    const flags = ["--jobs", "5", ...options.flatMap((option) => ["--launcher-set", option])]
    const { code, stdout, stderr } = await launch(few, flags)
    expect([code, stdout]).toEqual([0, "101\n102\n103\n104\n"])
    expect(stderr).toContain("4 tasks and the report, submitted as 4 jobs 101 102 103 104\n")
    expect(stderr).toEndWith("to cancel them: scancel 101 102 103 104\n")

    const submissions = slurm.submissions
    expect(submissions.map((args) => [flagOf(args, "array"), flagOf(args, "dependency")])).toEqual([
      ["0-0%1", undefined],
      ["0-1%2", "afterany:101"],
      ["0-0%1", "afterany:102"],
      [undefined, "afterany:103"],
    ])
    for (const args of submissions) {
      const asked = ["partition", "account", "qos", "nodes", "ntasks", "open-mode", "chdir"]
      expect(asked.map((name) => flagOf(args, name))).toEqual([
        ...["gpu", "lab", "low", "1", "1", "append"],
        project,
      ])
      expect(args).toContain("--requeue")
    }
    const [, walks] = submissions
    expect(["mem", "time", "signal", "gres"].map((name) => flagOf(walks!, name))).toEqual([
      "3G",
      "120",
      "B:USR2@300",
      undefined,
    ])

    expect(slurm.ran.map(({ job, task, code }) => [job, task, code])).toEqual([
      ["101", "0", 0],
      ["102", "0", 0],
      ["102", "1", 0],
      ["103", "0", 0],
      ["104", null, 0],
    ])
    expect(logs()["publish.log"]).toContain("6 units made, 0 reused, 0 failed")
    const record = JSON.parse(fs.readFileSync(join(launchFolder(), "slurm.json"), "utf8"))
    expect(record.arrays.map(({ id, level }: Record<string, unknown>) => [id, level])).toEqual([
      ["101", 0],
      ["102", 1],
      ["103", 2],
      ["104", null],
    ])
    expect(fs.existsSync(join(project, "owned"))).toBe(false)
    expect(fs.existsSync(join(out, "sample", "latest", "report", "index.html"))).toBe(true)

    const here = join(root, "here")
    expect((await command(sample(here, few))).code).toBe(0)
    expect(digests(out)).toEqual(digests(here))
    for (const name of ["leases", "owners", "tmp"])
      expect([name, fs.readdirSync(join(out, name))]).toEqual([name, []])
  })

  describe.skipIf(emulated === undefined)("for a GPU that this machine does not have", () => {
    const inAll = (text: string) => Object.entries(logs()).filter(([, log]) => log.includes(text)).length

    test("is made by what doctor prints where there is one, and what computes is made there", async () => {
      const doctor = Bun.spawnSync([process.execPath, main, "doctor", "--backend", "cuda"], {
        cwd: project,
        env: { ...process.env, ...emulatedEnvironment() },
      })
      const device = /--backend cuda --device '([^']+)'/.exec(doctor.stdout.toString())![1]!
      expect(device).toContain("emulated CUDA device")
      slurm.behave({ runs: true, gpuNode: emulatedEnvironment() })
      const { code, stderr } = await launch(few, ["--backend", "cuda", "--device", device])
      expect([code, stderr]).toEqual([0, expect.stringContaining(`on cuda (${device})`)])
      expect(slurm.submissions.map((args) => flagOf(args, "gres"))).toEqual([
        undefined,
        "gpu:1",
        undefined,
        undefined,
      ])
      expect(slurm.ran.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
      expect(logs()["publish.log"]).toContain("6 units made, 0 reused, 0 failed")
    })

    test("is carried out on no other one", async () => {
      slurm.behave({ runs: true, gpuNode: emulatedEnvironment() })
      expect((await launch(few, ["--backend", "cuda", "--device", "another GPU"])).code).toBe(0)
      // Both runs say so, and the report.
      expect(inAll("but this machine computes by cuda (emulated CUDA device")).toBe(3)
      expect(inAll("planned for cuda (another GPU)")).toBe(3)
    })

    test("is not made without that", async () => {
      const { code, stderr } = await launch(few, ["--backend", "cuda"])
      expect(code).not.toBe(0)
      expect(stderr).toContain("to plan for the GPUs of other machines, give --device")
    })
  })

  test("ends whatever fails in it, and only what is missing is submitted again", async () => {
    slurm.behave({ runs: true, arraySize: 3 })
    const failing = ["lr=1,2", "seeds=1,2", "failAt=3"]
    const first = await launch(failing)
    expect(first.code).toBe(0)
    // Arrays of at most three tasks.
    expect(slurm.submissions.map((args) => flagOf(args, "array")?.split("%")[0])).toEqual([
      "0-0",
      "0-2",
      "0-0",
      "0-0",
      undefined,
    ])
    expect(flagOf(slurm.submissions[3]!, "dependency")).toBe("afterany:102:103")
    const codes = slurm.ran.map(({ code }) => code)
    expect(codes.filter((code) => code === 1).length).toBe(2)
    expect(logs()["publish.log"]).toContain("2 failed")
    expect(logs()["publish.log"]).toContain("asked to fail")
    const before = slurm.ran.length
    const again = await launch(failing)
    expect(again.code).toBe(0)
    // The two runs, with their probes, and the report that lacked them.
    expect(slurm.ran.slice(before).map(({ job, task }) => [job, task])).toEqual([
      ["106", "0"],
      ["106", "1"],
      ["107", "0"],
      ["108", null],
    ])
  })

  test("is submitted again with --wait if a task finds damage, which the report of the first time tells", async () => {
    expect((await command(sample(out, few))).code).toBe(0)
    const whole = digests(out)
    const folders = fs.readdirSync(join(out, "artifacts"))
    const of = (name: string) =>
      folders.flatMap((each) => (each.startsWith(name) ? [join(out, "artifacts", each)] : []))
    // Only reading the file tells.
    const path = join(of("sample-source")[0]!, "data", "numbers.json")
    fs.writeFileSync(path, fs.readFileSync(path, "utf8").replace("1", "2"))
    for (const folder of [...of("sample-walk"), ...of("sample-listing")])
      fs.rmSync(folder, { recursive: true })

    slurm.behave({ runs: true })
    const { code, stderr } = await launch(few, ["--wait"])
    expect(code).toBe(0)
    expect(stderr).toMatch(/damaged: sample-source .*; set aside in /)
    expect(stderr).toContain(" reused, 0 failed in ")
    expect(digests(out)).toEqual(whole)
    // The first launch was the local one.
    const published = logs(launchFolders()[1])["publish.log"]
    expect(published).toMatch(/sample-walk lr=1 seed=1 failed: damaged: sample-source .*; set aside in /)
    expect(published).toContain(
      "sample-walk lr=1 seed=2 failed: damaged: sample-source count=5 broken=false: it is gone",
    )
    expect(published).not.toContain("its task ended before it did")
    expect(published).toContain("the same command again makes it anew, and what needs it")
  })

  test("is followed with --wait, which tells divergences and failures and publishes", async () => {
    slurm.behave({ runs: true })
    const { code, stdout, stderr } = await launch(["lr=1,2", "seeds=1", "divergeAt=2"], ["--wait", "--json"])
    expect(code).toBe(0)
    // The summary is alone on standard output.
    expect(JSON.parse(stdout)).toMatchObject({
      made: 4,
      pages: [expect.stringMatching(/report\/index\.html$/)],
    })
    expect(stderr).toContain("submitted as 4 jobs 101 102 103 104\n")
    expect(stderr).toContain("diverged")
    expect(stderr).toMatch(/4 units made, 0 reused, 0 failed, 2 diverged/)
    // A divergence is a result: its task is no failure.
    expect(slurm.ran.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
  })
})

test("Ctrl-C while somebody waits leaves the jobs in the queue, and says how to cancel them", async () => {
  slurm.behave({ queued: ["101", "102", "103", "104"] })
  const child = spawn(process.execPath, [main, ...sample(out, few, ["--launcher", "slurm", "--wait"])], {
    cwd: project,
    env: { ...process.env, PATH: `${slurm.bin}:${process.env["PATH"]}` },
  })
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
    if (text.includes("to cancel them: scancel")) child.kill("SIGINT")
  })
  expect(await ended).toBe(130)
  expect(stderr).toEndWith(
    "nobody waits any more, but the jobs go on; to cancel them: scancel 101 102 103 104\n",
  )
  expect(slurm.argumentsOf("scancel")).toEqual([])
})

test("what is shown on a terminal while somebody waits is redrawn in place", async () => {
  slurm.behave({ queued: ["101", "102", "103", "104"] })
  let shown = ""
  let onShown = () => {}
  const child = Bun.spawn([process.execPath, main, ...sample(out, few, ["--launcher", "slurm", "--wait"])], {
    cwd: project,
    env: { ...process.env, PATH: `${slurm.bin}:${process.env["PATH"]}`, TERM: "xterm" },
    terminal: {
      cols: 80,
      rows: 24,
      data: (_, data) => {
        shown += new TextDecoder().decode(data)
        onShown()
      },
    },
  })
  await new Promise<void>((resolve) => {
    onShown = () => {
      if (shown.includes("0 of 6 units done")) resolve()
    }
    onShown()
  })
  child.kill("SIGINT")
  expect(await child.exited).toBe(130)
  expect(shown).not.toContain("\\x1b")
  const screen = new Screen(80)
  screen.write(shown.slice(shown.indexOf("to cancel them")))
  expect(screen.cursor).toBe(true)
  expect(screen.lines).toEqual([
    "to cancel them: scancel 101 102 103 104",
    ...["101", "102", "103", "104"],
    "nobody waits any more, but the jobs go on; to cancel them: scancel 101 102 103 1",
    "04",
  ])
})

describe("a task", () => {
  test("whose input is not there ends at once and says so", async () => {
    slurm.behave({ runs: true })
    await launch([...few, "broken=true"])
    expect(slurm.ran.map(({ code }) => code)).toEqual([1, 1, 1, 0, 0])
    expect(logs()["1-0-0.log"]).toContain(
      "not started: it needs the output of sample-source count=5 broken=true, which is not there: the source is broken",
    )
    expect(logs()["publish.log"]).toContain("1 failed")
  })

  test("saves its state when its time is nearly over, is queued again, and goes on from there", async () => {
    const hold = join(root, "hold")
    fs.writeFileSync(hold, "")
    const settings = ["lr=1", "seeds=1", "aloud=true", `hold=${hold}`]
    expect((await launch(settings)).code).toBe(0)
    const [script, level0] = ["1-0.sh", "0-0.sh"].map((name) => join(launchFolder(), "slurm", name))
    const env = {
      ...process.env,
      PATH: `${slurm.bin}:${process.env["PATH"]}`,
      SLURM_ARRAY_JOB_ID: "102",
      SLURM_ARRAY_TASK_ID: "0",
      SLURM_JOB_ID: "102",
    }
    expect(spawnSync("/bin/sh", [level0!], { env, cwd: project }).status).toBe(0)
    const starting = () => {
      const child = spawn("/bin/sh", [script!], { env, cwd: project })
      let said = ""
      let look = () => {}
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text
          look()
        })
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
      const until = (text: string) =>
        new Promise<void>((resolve) => {
          look = () => said.includes(text) && resolve()
          look()
        })
      return { child, ended, until, said: () => said }
    }
    const first = starting()
    await first.until("seed 1 at step 3")
    first.child.kill("SIGUSR2")
    expect(await first.ended).toBe(143)
    expect(first.said()).toContain("stopped; its state is kept")
    const requeued = () => slurm.argumentsOf("scontrol").filter(([first]) => first === "requeue")
    expect(requeued()).toEqual([["requeue", "102_0"]])

    // Slurm stops what is cancelled or preempted by SIGTERM, and queues it again itself if it is to be.
    const second = starting()
    await second.until("seed 1 at step 3")
    expect(second.said()).not.toContain("at step 2")
    second.child.kill("SIGTERM")
    expect(await second.ended).toBe(143)
    expect(requeued().length).toBe(1)

    fs.rmSync(hold)
    const third = starting()
    expect(await third.ended).toBe(0)
    expect(third.said()).not.toContain("at step 2")
    expect(third.said()).toContain("done: sample-walk lr=1 seed=1")
  })
})

describe("before any work", () => {
  test("a missing sbatch is told", async () => {
    const empty = join(root, "empty")
    fs.mkdirSync(empty)
    const args = sample(out, few, ["--launcher", "slurm"])
    const { status, stderr } = spawnSync(process.execPath, [main, ...args], {
      cwd: project,
      env: { ...process.env, PATH: empty },
      encoding: "utf8",
    })
    expect([status, stderr]).toEqual([
      2,
      "the launcher slurm cannot run here: there is no sbatch here; start the command on a login node of the cluster, or choose --launcher local\n",
    ])
    expect(fs.existsSync(join(out, "artifacts"))).toBe(false)
  })

  test("of more arrays than --jobs, each starts after another one", async () => {
    expect((await launch(few, ["--jobs", "1", "--launcher-set", "arraySize=1"])).code).toBe(0)
    expect(slurm.submissions.map((args) => flagOf(args, "dependency"))).toEqual([
      undefined,
      "afterany:101",
      "afterany:101:102",
      "afterany:102:103",
      "afterany:104",
    ])
  })

  test("no more time is asked for than the partition allows, and what is still in the queue is not submitted again", async () => {
    slurm.behave({ partitions: { gpu: "infinite", "short*": "20:00" } })
    expect((await launch(few)).code).toBe(0)
    expect(slurm.submissions.map((args) => flagOf(args, "time"))).toEqual(["20", "20", "20", "20"])
    slurm.behave({ queued: ["7", "103", "104"] })
    const { code, stderr } = await launch(few)
    expect(code).toBe(2)
    expect(stderr).toContain("still in the queue (103, 104)")
    expect(stderr).toContain("scancel 101 102 103 104")
    expect(slurm.submissions.length).toBe(4)
    // Other parameters have another report.
    slurm.behave({ queued: ["103", "104"] })
    expect((await launch(["lr=1", "seeds=3"])).code).toBe(0)
  })

  test("if one array is refused, the others are taken back; what passes is waited for", async () => {
    const says =
      "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    slurm.behave({
      refuses: { after: 1, says },
      passes: "sbatch: error: Unable to contact slurm controller (connect failure)",
    })
    const { code, stdout, stderr } = await launch(few)
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain("Unable to contact slurm controller")
    expect(stderr).toContain("it is asked again in 2.0 s")
    expect(stderr).toContain("Invalid account")
    expect(stderr).toContain("nothing of this launch is left in the queue")
    expect(slurm.argumentsOf("scancel")).toEqual([["101"]])
  })
})
