/** The packed package, unpacked into the node_modules of a project of one's own that `new project` wrote. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stages } from "../core/api/stage.ts"
import { main } from "./core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const repository = join(import.meta.dir, "..")
const modules = join(repository, "node_modules")
const root = realpathSync(mkdtempSync(join(tmpdir(), "kasosei-package-")))
const project = join(root, "my-study")
const installed = join(project, "node_modules", "kasosei")
const runtimes = {
  bun: [process.execPath],
  deno: ["node", join(modules, "deno", "bin.cjs"), "run", "--allow-all"],
} as const

const run = (command: readonly string[], cwd = project) => {
  const [program, ...args] = command
  const { status, stdout, stderr } = spawnSync(program!, args, { cwd, encoding: "utf8" })
  return { status, stdout, stderr }
}
/** Runs the installed command, as the script in the project's package.json does. */
const kasosei = (runtime: keyof typeof runtimes, args: readonly string[], cwd = project) =>
  run([...runtimes[runtime], join(installed, "core", "cli", "main.js"), ...args], cwd)
const bun = (...args: readonly string[]) => run([process.execPath, ...args])

let packed: readonly string[]
beforeAll(() => {
  const made = run([process.execPath, "run", "pack", root], repository)
  expect(made.status).toBe(0)
  const bare = run([process.execPath, "pm", "pack", "--dry-run"], repository)
  expect([bare.status, bare.stderr]).toEqual([1, expect.stringContaining("bun run pack packs it")])
  const [tarball] = readdirSync(root)
  packed = run(["tar", "-tzf", tarball!], root)
    .stdout.trim()
    .split("\n")
    .map((path) => path.replace(/^package\//, ""))
  expect(run([process.execPath, main, "new", "project", "my-study"], root)).toMatchObject({
    status: 0,
    stderr: "",
  })
  mkdirSync(installed, { recursive: true })
  run(["tar", "-xzf", tarball!, "--strip-components=1", "-C", installed], root)
  // What the package depends on is installed here; a project's own installation would download it.
  for (const name of readdirSync(modules)) {
    if (name !== "kasosei") symlinkSync(join(modules, name), join(project, "node_modules", name))
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe("the package", () => {
  test("holds modules with declarations, the native sources and the templates, and nothing else", () => {
    const modulesOf = (ending: string) =>
      packed.filter((path) => path.endsWith(ending)).map((path) => path.slice(0, -ending.length))
    expect(modulesOf(".js").sort()).toEqual(modulesOf(".d.ts").sort())
    const others = packed.filter((path) => !/\.(js|d\.ts)$/.test(path))
    const allowed =
      /^(package\.json|LICENSE|(core\/|plugins\/)?README\.md|plugins\/backend\/(cuda|device|native)\/(source|kernels)\/.*)$/
    const templates = others.filter((path) => !allowed.test(path)).sort()
    expect(templates).toEqual(
      [
        ...stages.map((stage) => `plugins/template/${stage}.ts`),
        "plugins/template/pipeline.ts",
        ...stages.map((stage) => `test/plugins/template/project/${stage}.test.ts`),
      ].sort(),
    )
    expect(packed).toContain("plugins/backend/native/source/gemm.cpp")
    expect(packed).toContain("plugins/backend/cuda/kernels/kernels.cu")
    expect(packed).toContain("core/engine/worker.js")
  })

  test("exports what authors import, and no template", () => {
    const file = join(project, "imports.ts")
    writeFileSync(
      file,
      `import * as kasosei from "kasosei"
import { simcse } from "kasosei/plugins/pretrain/simcse"
import { study } from "kasosei/pipelines/shared/study"
const template = await import("kasosei/plugins/template/probe").catch((cause) => "none")
const { tf } = kasosei
console.log(JSON.stringify([Object.keys(kasosei), simcse.name, typeof study, template, tf.engine().backendNames()]))`,
    )
    const [bun, deno] = [run([...runtimes.bun, file]), run([...runtimes.deno, file])]
    rmSync(file)
    const [names, ...others] = JSON.parse(bun.stdout)
    expect(names).toEqual(
      expect.arrayContaining([
        ...[
          "plugin",
          "probe",
          "pipeline",
          "cohort",
          "grid",
          "mapCohort",
          "cost",
          "optional",
          "cohorts",
          "type",
        ],
        ...[
          "UnitFailure",
          "InvalidInput",
          "FileError",
          "observationsOf",
          "stream",
          "linear",
          "train",
          "Effect",
        ],
        ...["Checkpoint", "Corpus", "Examples", "Page", "Run", "Similarity", "Vocabulary"],
      ]),
    )
    // No backend is loaded before one is needed.
    expect(others).toEqual(["simcse", "function", "none", []])
    expect(JSON.parse(deno.stdout)).toEqual(JSON.parse(bun.stdout))
  })
})

describe("a project of one's own", () => {
  const settings = ["seeds=1", "mlmSteps=2", "train=32"].flatMap((setting) => ["--set", setting])

  const isReport = (name: string) => /^(line-chart|observations-table)-/.test(name)
  /** The digest of each artifact but for reports, which say what made them: Bun or Deno, and when. */
  const digests = (out: string) =>
    Object.fromEntries(
      readdirSync(join(out, "artifacts"))
        .filter((name) => !isReport(name))
        .map((name) => [
          name,
          JSON.parse(readFileSync(join(out, "artifacts", name, "manifest.json"), "utf8")).digest,
        ]),
    )
  /** The files of the reports, but for the two in which they say it. */
  const pages = (out: string) =>
    ["chart", "table"].flatMap((target) => {
      const folder = join(out, "first-study", "latest", target)
      return readdirSync(folder)
        .filter((name) => !/^provenance\.(html|json)$/.test(name))
        .sort()
        .map((name) => [`${target}/${name}`, readFileSync(join(folder, name), "utf8")])
    })

  test("runs its pipeline by its bare name, with a probe of its own, to the same bits under Bun and Deno", () => {
    const out = { bun: join(root, "out-bun"), deno: join(root, "out-deno") }
    const args = ["--backend", "wasm", ...settings, "--out"]
    const ended = [
      kasosei("bun", ["pipeline", "first-study.ts", ...args, out.bun]),
      // From a folder inside the project, whose workers find it as well.
      kasosei("deno", ["pipeline", "first-study", ...args, out.deno], join(project, "pipelines")),
    ]
    for (const { status, stderr } of ended) {
      expect([status, stderr]).toEqual([0, expect.stringContaining("7 units made, 0 reused, 0 failed")])
    }
    expect(digests(out.deno)).toEqual(digests(out.bun))
    expect(Object.keys(digests(out.bun))).toHaveLength(5)
    expect(pages(out.deno)).toEqual(pages(out.bun))
    const made = join(out.bun, "first-study", "latest")
    const csv = readFileSync(join(made, "table", "observations.csv"), "utf8")
    // 2 layers at step 0, and at the end.
    expect(csv.trim().split("\r\n").length).toBeGreaterThan(4)
    expect(readFileSync(join(made, "chart", "line-chart.svg"), "utf8")).toStartWith("<svg ")
  })

  test("runs this package's pipelines by their bare names too, and its own are found first", () => {
    const [, listed] = /PIPELINES\n((?: {2}.*\n)+)/.exec(kasosei("bun", ["pipeline", "--help"]).stdout)!
    const packaged = readdirSync(join(repository, "pipelines")).filter((name) => name.endsWith(".ts"))
    expect(listed!.trim().split(/,\s+/)).toEqual(["first-study.ts", ...packaged.sort()])
    expect(kasosei("bun", ["pipeline", "quickstart.ts", "--help"]).stdout).toContain("Layers of the encoder.")
    const first = kasosei("bun", ["pipeline", "first-study.ts", "--help"]).stdout
    expect(first).toContain("Updates of masked-language modelling, 32 sentences each.")
    expect(kasosei("bun", ["--completions", "bash"]).stdout).toContain("first-study.ts")
    expect(kasosei("bun", ["pipeline", "first-studdy.ts"]).stderr).toContain("did you mean first-study.ts?")
  })

  test("lists its plugins as its own, and says what to import the others from", () => {
    const { plugins } = JSON.parse(kasosei("bun", ["plugins", "--json"]).stdout).stages[3]
    const shown = plugins.map(({ name, own, from }: Record<string, unknown>) => [name, own, from])
    expect(shown).toContainEqual(["weight-norm", true, "plugins/probe/weight-norm.ts"])
    expect(shown).toContainEqual(["fisher", false, "kasosei/plugins/probe/fisher"])
    const text = kasosei("deno", ["plugins", "weight-norm"]).stdout
    expect(text).toContain("weight-norm (version 1, of this project)\n")
  })

  test("gets working plugins in every stage, which type-check and pass their tests", () => {
    for (const stage of stages) {
      const { status, stdout } = kasosei("bun", ["new", stage, `my-${stage}`])
      expect([status, stdout]).toEqual([
        0,
        expect.stringContaining(`wrote plugins/${stage}/my-${stage}.ts\n`),
      ])
      const texts = [`plugins/${stage}/my-${stage}.ts`, `test/plugins/${stage}/my-${stage}.test.ts`].map(
        (path) => readFileSync(join(project, path), "utf8"),
      )
      for (const text of texts) {
        expect(text).not.toMatch(/template|core\//i)
        expect(text).toContain('from "kasosei')
      }
    }
    expect(run([process.execPath, join(modules, "typescript", "bin", "tsc"), "-p", "."])).toMatchObject({
      status: 0,
      stdout: "",
    })
    const tests = bun("test", "--timeout", "120000")
    expect(tests.stderr).toContain(" 0 fail")
    expect(tests.stderr).toContain("across 6 files")
    const biome = join(modules, "@biomejs", "biome", "bin", "biome")
    const config = `--config-path=${join(repository, ".biome.json")}`
    const format = bun(biome, "format", config, "--vcs-enabled=false", "plugins", "test", "pipelines")
    expect([format.status, format.stderr]).toEqual([0, expect.stringContaining("No fixes applied")])
  }, 600_000)

  test("its new plugins work together: a method trains, is watched by a probe and shown in a report", () => {
    const lines = (count: number) =>
      Array.from({ length: count }, (_, i) =>
        JSON.stringify({ text: `${"dog ".repeat(1 + (i % 3))}ran`, label: i % 2 === 0 ? "no" : "yes" }),
      ).join("\n")
    writeFileSync(join(project, "train.jsonl"), lines(32))
    writeFileSync(join(project, "dev.jsonl"), lines(8))
    writeFileSync(
      join(project, "pipelines", "all-new.ts"),
      `import { cohort, mapCohort, pipeline, type } from "kasosei"
import { toyCorpus } from "kasosei/plugins/data/toy-corpus"
import { toyVocabulary } from "kasosei/plugins/data/toy-vocabulary"
import { mlm } from "kasosei/plugins/pretrain/mlm"
import { lineChart } from "kasosei/plugins/report/line-chart"
import { myData } from "../plugins/data/my-data.ts"
import { myFinetune } from "../plugins/finetune/my-finetune.ts"
import { myPretrain } from "../plugins/pretrain/my-pretrain.ts"
import { myProbe } from "../plugins/probe/my-probe.ts"
import { myReport } from "../plugins/report/my-report.ts"

export default pipeline({
  name: "all-new",
  summary: "Every new plugin",
  parameters: type({ "+": "reject" }),
  build: () => {
    const vocabulary = toyVocabulary({})
    const corpus = toyCorpus({ vocabulary, sentences: 96 })
    const size = { layers: 1, hidden: 8, heads: 2, intermediate: 16 }
    const first = mlm({ corpus, vocabulary, size, positions: 64, steps: 2, batchSize: 16 })
    const checkpoint = myPretrain({ corpus, checkpoint: first, steps: 2, batchSize: 16 })
    const data = myData({ vocabulary, train: "train.jsonl", dev: "dev.jsonl", labels: ["no", "yes"] })
    const runs = cohort({ arm: "new" }, [1, 2], (seed) => myFinetune({ data, checkpoint, lr: 1e-3, seed }))
    const observations = [mapCohort(runs, (run) => myProbe({ run }))]
    return {
      report: myReport({ runs: [runs] }),
      chart: lineChart({ title: "Norms", x: "step", y: "norm", observations }),
    }
  },
})
`,
    )
    const { status, stderr } = kasosei("bun", ["pipeline", "all-new", "--backend", "wasm"])
    expect([status, stderr]).toEqual([0, expect.stringContaining("11 units made, 0 reused, 0 failed")])
    const metrics = readFileSync(join(project, "out", "all-new", "latest", "report", "metrics.csv"), "utf8")
    expect(metrics.match(/^new,[12],done,accuracy,/gm)).toHaveLength(2)
    expect(existsSync(join(project, "out", "all-new", "latest", "chart", "line-chart.svg"))).toBe(true)
  }, 120_000)

  test("a plugin's name that is taken is refused, also one that this package has", () => {
    for (const [stage, name, taken] of [
      ["probe", "weight-norm", "plugins/probe/weight-norm.ts"],
      ["data", "fisher", "kasosei/plugins/probe/fisher.js"],
    ] as const) {
      const { status, stderr } = kasosei("bun", ["new", stage, name])
      expect([status, stderr]).toEqual([2, `new ${stage} ${name}: the name is taken by ${taken}\n`])
    }
    const twin = join(project, "plugins", "probe", "twin.ts")
    const text = readFileSync(join(project, "plugins", "probe", "weight-norm.ts"), "utf8")
    writeFileSync(twin, text.replace('"weight-norm"', '"fisher"'))
    const { status, stderr } = kasosei("bun", ["plugins"])
    rmSync(twin)
    expect([status, stderr]).toEqual([
      2,
      "plugins/probe/twin.ts: a plugin named fisher is already declared in kasosei/plugins/probe/fisher.js; rename one of the two\n",
    ])
  })

  test("outside of any project, a new plugin is refused, and nothing is written", () => {
    const { status, stderr } = kasosei("bun", ["new", "probe", "lost"], root)
    expect([status, stderr]).toEqual([2, expect.stringContaining("kasosei new project DIR writes one")])
    expect(existsSync(join(installed, "plugins", "probe", "lost.ts"))).toBe(false)
  })

  test("a project that is made from an installed package takes the package from the same place", () => {
    const dependency = (folder: string) =>
      JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).dependencies.kasosei
    expect(dependency(project)).toMatch(/^file:.*\/kasosei-\d+\.\d+\.\d+\.tgz$/)
    expect(kasosei("bun", ["new", "project", "../deeper/other"]).status).toBe(0)
    const [first, second] = [project, join(root, "deeper", "other")].map((folder) =>
      join(folder, dependency(folder).slice("file:".length)),
    )
    expect(second).toBe(first!)
  })
})
