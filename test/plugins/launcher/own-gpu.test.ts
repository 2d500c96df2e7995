/** That worker processes have a GPU each, as far as that can be seen without any. */
import { expect, setDefaultTimeout, test } from "bun:test"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { backendNamed } from "../../../core/engine/discover.ts"
import { execute } from "../../../core/engine/execute.ts"
import { computingOf } from "../../../core/engine/key.ts"
import { loadPipeline, openPipeline } from "../../../core/engine/load.ts"
import { planOf } from "../../../core/engine/plan.ts"
import { workerProcesses } from "../../../core/engine/processes.ts"
import { pipelineParameters } from "../../../core/engine/settings.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { childrenOf } from "../../core/cli/command-line.ts"
import { estimating, settingsOfWorkers } from "../../core/sample/study.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const file = fileURLToPath(new URL("gpu-study.ts", import.meta.url))

test("workers that run at a time have different GPUs, and one that replaces another has its GPU", async () => {
  const root = fs.mkdtempSync(join(tmpdir(), "kasosei-own-gpu-"))
  const out = join(root, "out")
  const hold = join(root, "hold")
  const seeds = [1, 2, 3]
  for (const seed of seeds) fs.writeFileSync(`${hold}-${seed}`, "")
  const said: string[] = []
  const gpus = () => said.flatMap((line) => /^gpu (\S+) from/.exec(line)?.[1] ?? [])
  const until = async (count: number) => {
    while (gpus().length < count) await Bun.sleep(20)
  }
  const body = Effect.gen(function* () {
    const definition = yield* loadPipeline(file)
    const parameters = yield* pipelineParameters(definition, [`seeds=${seeds}`, `hold=${hold}`])
    const graph = yield* openPipeline(
      file,
      definition,
      parameters,
      computingOf(yield* backendNamed("cpu"), "fp32"),
    )
    const plan = yield* planOf(graph, { ...estimating, processes: 2 })
    const others = new Set(childrenOf(process.pid))
    const runner = yield* workerProcesses({
      ...settingsOfWorkers(file, plan, parameters as object),
      out,
      processes: 2,
      environments: ["A", "B"].map((gpu) => ({ CUDA_VISIBLE_DEVICES: gpu })),
      onLog: (line) => said.push(line),
    })
    const accidents = Effect.promise(async () => {
      await until(2)
      expect(gpus().toSorted()).toEqual(["A", "B"])
      const killed = childrenOf(process.pid).find((pid) => !others.has(pid))!
      process.kill(killed, "SIGKILL")
      // The run of the killed worker begins again, beside the other one, which still has its GPU.
      await until(3)
      const [first, second, third] = gpus()
      expect([first, second]).toContain(third!)
      for (const seed of seeds) fs.rmSync(`${hold}-${seed}`)
    })
    const [summary] = yield* Effect.all([execute(plan, runner, () => Effect.void), accidents], {
      concurrency: 2,
    })
    return summary
  })
  try {
    const { made, failures } = await Effect.runPromise(
      body.pipe(Effect.scoped, Effect.provide(Store.layer(out))),
    )
    expect([made, failures]).toEqual([4, []])
    expect(new Set(gpus())).toEqual(new Set(["A", "B"]))
  } finally {
    fs.rmSync(root, { recursive: true, force: true })
  }
})
