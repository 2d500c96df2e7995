/**
 * bun test/soak/store.ts [UNITS …]
 *
 * What a store with very many artifacts costs whoever reads it: 10000 and 100000 by default. It is filled with the
 * artifacts of a study such as that of units.ts (records and small files, without waiting for the disk), a launch and a
 * report. Then, each in a process of its own: the plan of that study, of which all is done; of the same on other data, of
 * which nothing is, so that all is compared with what is there; of the same with twice as many seeds; `status`,
 * `store ls`, `store gc` and `store verify`. Prints the CPU time, the time and the most memory of each.
 *
 * Takes 3 minutes on 2 idle cores, and 2 GB of disk for 100,000.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { graphOf } from "../../core/engine/graph.ts"
import { launchOf, writeLaunch } from "../../core/engine/launch.ts"
import { planOf } from "../../core/engine/plan.ts"
import { folderName } from "../../core/engine/store/record.ts"
import { sealedText } from "../../core/engine/store/seal.ts"
import { Store } from "../../core/engine/store/store.ts"
import { neededBy, type Unit } from "../../core/engine/unit.ts"
import { main } from "../core/cli/command-line.ts"
import { estimating, inStore, madeBy, sampleFile } from "../core/sample/study.ts"
import { temporaryFolder } from "./study.ts"
import { targetsOf } from "./units.ts"

const plan = (targets: ReturnType<typeof targetsOf>) =>
  Effect.flatMap(graphOf(targets, { arithmetic: "cpu", sources: {}, packages: {} }), (graph) =>
    planOf(graph, estimating),
  )

/** The files of an artifact, about as the sample's are. */
const filesOf = ({ plugin }: Unit): Readonly<Record<string, string>> => {
  if (plugin.name === "sample-watch") {
    return { "observations.json": '{"rows":2}', "arrays.f64": "", "rows.jsonl": '{"step":0,"sum":1}\n' }
  }
  return plugin.name === "sample-listing" ? { "index.html": "sums" } : { "numbers.json": "[1,2,3,4,5]" }
}

/** Fills a store; what the first unit of each plugin gets from the store, the others get changed to be their own. */
const fill = (out: string, units: number) =>
  Effect.gen(function* () {
    const store = yield* Store
    const before = yield* plan(targetsOf(units))
    const { graph } = before
    const templates = new Map<string, object>()
    const write = (data: string, files: Readonly<Record<string, string>>) => {
      for (const [path, text] of Object.entries(files)) writeFileSync(join(data, path), text)
    }
    for (const unit of graph.units) {
      const files = filesOf(unit)
      const { key, label, options, plugin } = unit
      const template = templates.get(plugin.name)
      if (template === undefined) {
        const making = { seconds: 1, madeBy, backend: null, missing: [] }
        const fillData = (data: string) => Effect.sync(() => write(data, files))
        templates.set(plugin.name, yield* store.write(unit, making, fillData))
        continue
      }
      const folder = join(out, "artifacts", folderName(plugin.name, key))
      mkdirSync(join(folder, "data"), { recursive: true })
      write(join(folder, "data"), files)
      const { parts } = template as { readonly parts: object }
      const inputs = Object.entries(neededBy(unit)).flatMap(([name, taken]) =>
        taken.map(({ key, label }) => ({ name, key, label })),
      )
      const own = { inputs: unit.parts.inputs, watched: unit.parts.watched }
      const manifest = { ...template, key, label, options, inputs, parts: { ...parts, ...own } }
      writeFileSync(join(folder, "manifest.json"), sealedText(manifest))
    }
    const settings = {
      file: sampleFile,
      code: { file: sampleFile, package: "" },
      units: "",
      parameters: {},
      backend: "cpu",
      precision: "fp32",
      model: undefined,
      threads: 1,
      out,
      command: "kasosei pipeline many.ts",
      commit: null,
      revisions: {},
      processes: 2,
      onLog: () => {},
    } as const
    const report = join(out, "many", "0".repeat(12))
    yield* writeLaunch(out, launchOf(before, settings, { name: "many", report }))
    mkdirSync(report, { recursive: true })
    const targets = Object.fromEntries(
      Object.entries(graph.targets).map(([name, units]) => [name, units.map(({ key }) => key)]),
    )
    const { command } = settings
    const published = { pipeline: "many", parameters: {}, command, made: new Date().toISOString() }
    writeFileSync(join(report, "report.json"), sealedText({ ...published, targets, files: {} }))
    return graph.units.length
  })

/** What a process of its own says of itself: whether it has done what it should, from its output. */
const measure = (
  what: string,
  args: readonly string[],
  expected: RegExp,
  env: Record<string, string> = {},
) => {
  const began = performance.now()
  const { exitCode, stdout, stderr, resourceUsage } = Bun.spawnSync([process.execPath, ...args], {
    env: { ...process.env, ...env },
  })
  const seconds = (performance.now() - began) / 1000
  const right = exitCode === 0 && expected.test(stdout.toString())
  if (!right) {
    process.exitCode = 1
    console.log(`FAULT ${what}: exit code ${exitCode}: ${stderr}${stdout.toString().slice(-2000)}`)
  }
  const cpu = Number(resourceUsage.cpuTime.total) / 1e6
  const memory = resourceUsage.maxRSS / 1e6
  console.log(
    `${what}: ${cpu.toFixed(1)} s of CPU time, ${seconds.toFixed(1)} s in all, ${memory.toFixed(0)} MB`,
  )
}

const [, script, ...given] = process.argv
const { SOAK_FILL, SOAK_PLAN, SOAK_COUNT, SOAK_OUT } = process.env
if (SOAK_FILL !== undefined && SOAK_OUT !== undefined) {
  console.log(`${await inStore(SOAK_OUT, fill(SOAK_OUT, Number(SOAK_FILL)))} artifacts`)
} else if (SOAK_PLAN !== undefined && SOAK_OUT !== undefined) {
  const { jobs, graph } = await inStore(SOAK_OUT, plan(targetsOf(Number(SOAK_PLAN), Number(SOAK_COUNT))))
  console.log(`${jobs.length} jobs of ${graph.units.length} units`)
} else if (script === fileURLToPath(import.meta.url)) {
  for (const units of given.length > 0 ? given.map(Number) : [10_000, 100_000]) {
    const out = temporaryFolder("store")
    // Not here: Linux counts what this process has had as memory of those that it starts.
    measure(`filling with ${units}`, [script], /artifacts/, { SOAK_FILL: `${units}`, SOAK_OUT: out })
    const planned = (units: number, count = 5) => ({
      SOAK_PLAN: `${units}`,
      SOAK_COUNT: `${count}`,
      SOAK_OUT: out,
    })
    measure("plan of what is done", [script], /^0 jobs/, planned(units))
    measure("plan on other data", [script], /^[1-9]\d* jobs/, planned(units, 6))
    measure("plan of twice as much", [script], /^[1-9]\d* jobs/, planned(2 * units))
    measure("status", [main, "status", out], /done/)
    measure("store ls", [main, "store", "ls", "--out", out], /^\d+ units/m)
    measure("store gc", [main, "store", "gc", "--out", out], /there is nothing to remove/)
    measure("store verify", [main, "store", "verify", "--out", out], /all as written/)
    rmSync(out, { recursive: true })
  }
}
