/** What the sides of the claims of the pipelines here differ in besides what is declared: nothing, or what is told here. */
import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import type { Pipeline } from "../../core/api/pipeline.ts"
import { confoundersOf } from "../../core/engine/design.ts"
import { graphOf } from "../../core/engine/graph.ts"
import assumptions from "../../pipelines/assumptions.ts"
import batchSize from "../../pipelines/batch-size.ts"
import blockDiagonal from "../../pipelines/block-diagonal.ts"
import mechanism from "../../pipelines/mechanism.ts"
import mini from "../../pipelines/mini.ts"
import otherMethods from "../../pipelines/other-methods.ts"
import otherTasks from "../../pipelines/other-tasks.ts"
import paper from "../../pipelines/paper.ts"
import plasticity from "../../pipelines/plasticity.ts"
import quickstart from "../../pipelines/quickstart.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const told = async (pipeline: unknown, parameters: object) => {
  const { parameters: schema, build } = pipeline as Pipeline
  const computing = { arithmetic: "wasm", sources: {}, packages: {} }
  return await Effect.runPromise(
    Effect.flatMap(graphOf(build(schema.assert(parameters)), computing), confoundersOf),
  )
}

const fixtures = join(import.meta.dir, "..", "fixtures")
const real = {
  glue: join(fixtures, "glue"),
  corpus: join(fixtures, "vocab.txt"),
  vocabulary: join(fixtures, "vocab.txt"),
  ...{ task: "sst2", batch: 1, epochs: 20 },
}
const everyControl = ["mlm", "no-dropout", "fresh-pooler"]

const contrastive = "drawn anew, trained by a contrastive loss"
const pooler = (arms: string, than: string, from = "trained on next sentences") =>
  `Confounders: besides further training, ${arms} from ${than} in pooler (${contrastive} against ${from}), which may be the cause`
const plain = pooler("SimCSE(0.1) differs", "vanilla")

test.each([
  ["quickstart, with its control", quickstart, {}, [plain, pooler("SimCSE(0.1) differs", "MLM")]],
  ["quickstart with a fresh pooler in every arm", quickstart, { pooler: "fresh" }, []],
  // Against SimCSE(0), and with a fresh pooler on both sides, nothing is undeclared.
  [
    "quickstart with every control",
    quickstart,
    { controls: everyControl },
    [plain, pooler("SimCSE(0.1) differs", "MLM")],
  ],
  ["mini", mini, real, [plain, pooler("SimCSE(0.1) differs", "MLM")]],
  [
    "paper",
    paper,
    {},
    [
      pooler(
        "SimCSE(0.1), SimCSE(0.05), SimCSE(0.3), SimCSE(0.4) and SimCSE(0.5) differ",
        "vanilla",
        "as released",
      ),
    ],
  ],
  [
    "mechanism",
    mechanism,
    {},
    [
      pooler("SimCSE(0.1), SimCSE(0), alignment and uniformity, uniformity and alignment differ", "vanilla"),
      pooler("SimCSE(0.1) differs", "MLM"),
    ],
  ],
  [
    "other-methods",
    otherMethods,
    {},
    [pooler("SimCSE, DCL, ConSERT, alignment and uniformity and supervised SimCSE differ", "vanilla")],
  ],
  ["other-tasks", otherTasks, {}, [plain]],
  ["batch-size", batchSize, {}, [plain]],
  ["plasticity", plasticity, {}, [plain]],
  ["assumptions", assumptions, {}, [plain]],
  ["block-diagonal", blockDiagonal, {}, [plain]],
] as const)("%s", async (_, pipeline, parameters, expected) => {
  const sentences = await told(pipeline, parameters)
  expect(sentences.map((sentence) => sentence.replace(/ \(\d+ claims?\)\.$/, ""))).toEqual([...expected])
})

test("a control that is not selected on a dev set has other updates than an arm that is", async () => {
  const [, control] = await told(quickstart, { selection: "best" })
  expect(control).toContain(
    `SimCSE(0.1) differs from MLM in updates of further training (at most 200, the best on a dev set against 200), sentences of further training (at most 12800 against 12800) and pooler`,
  )
})

test("without dropout in pretraining, SimCSE is the first to see it, and so is its control", async () => {
  const [vanilla, control] = await told(quickstart, { mlmDropout: 0 })
  expect(vanilla).toContain("dropout (seen in training against never seen in training)")
  expect(control).not.toContain("seen in training")
})
