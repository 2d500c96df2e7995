import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { cp, readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { type Backend, startBackend } from "../../../../core/tensor/backend.ts"
import { cpu } from "../../../../plugins/backend/cpu.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { wasm } from "../../../../plugins/backend/wasm.ts"
import { compareFineTuning } from "../../../../plugins/check/reference/fine-tuning.ts"
import { openReference } from "../../../../plugins/check/reference/passes.ts"
import { nativeBuilds } from "../../../core/tensor/every-definition.ts"
import { onCpu, withFolder } from "../../model/tiny-model.ts"

const fixture = new URL("../../../fixtures/bert-2x32", import.meta.url).pathname
const larger = new URL("../../../../../shared/fixtures/bert-3x48", import.meta.url).pathname

const comparison = (folder: string) =>
  Effect.scoped(Effect.flatMap(openReference(folder), (opened) => compareFineTuning(opened, "fp32")))
const compare = (folder: string) => Effect.runPromise(comparison(folder))

/** A folder for the temporary files of this test alone. */
const temporary = mkdtempSync(join(tmpdir(), "reference-"))
const originalFolder = process.env.TMPDIR
beforeAll(() => {
  process.env.TMPDIR = temporary
})
afterAll(async () => {
  if (originalFolder === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = originalFolder
  rmSync(temporary, { recursive: true })
  await onCpu()
})

describe.each([cpu, wasm])("on $name", (backend) => {
  // The larger one would take ten seconds on the cpu backend.
  const folders = backend === cpu ? [fixture] : [fixture, larger]
  test.each(folders.filter(existsSync))(
    "%s",
    async (folder) => {
      await Effect.runPromise(startBackend(backend))
      const before = tf.memory().numTensors
      const quantities = await compare(folder)
      expect(quantities.filter(({ ok }) => !ok)).toEqual([])
      expect(quantities.map(({ name }) => name)).toEqual([
        "learning rates",
        "losses of fine-tuning",
        "gradient norms of fine-tuning",
        "logits after fine-tuning",
        "norms of the parameters after fine-tuning",
        "r of the trajectory",
        "φ of the trajectory",
      ])
      expect(tf.memory().numTensors).toBe(before)
      expect(readdirSync(temporary)).toEqual([])
    },
    60_000,
  )

  test("does not change the reference's own model", async () => {
    await Effect.runPromise(startBackend(backend))
    const changed = Effect.gen(function* () {
      const reference = yield* openReference(fixture)
      const start = reference.model.parameters.toHost()
      yield* compareFineTuning(reference, "fp32")
      return [reference.model.parameters.toHost(), start] as const
    })
    const [now, start] = await Effect.runPromise(Effect.scoped(changed))
    expect(now).toEqual(start)
  })
})

describe("figures whose losses spike", () => {
  const spiking = new URL("../../../fixtures/spiking/finetune.json", import.meta.url).pathname

  /** The quantities on a backend, if the figures are those of a run of this kind. */
  const against = (kind: string, backend: Backend) =>
    withFolder(async (folder) => {
      await Effect.runPromise(startBackend(backend))
      await cp(fixture, folder, { recursive: true })
      const path = join(folder, "expected.json")
      const finetune = JSON.parse(await readFile(spiking, "utf8"))[kind]
      await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), finetune }))
      return compare(folder)
    })
  const offAgainst = async (kind: string, backend: Backend) =>
    (await against(kind, backend)).filter(({ ok }) => !ok)

  test("are beyond the tolerances in PyTorch's own float32", async () => {
    const { exact, float32 } = JSON.parse(await readFile(spiking, "utf8"))
    const deviation = (u: number) => Math.abs(float32.losses[u] - exact.losses[u])
    expect(Math.max(...exact.losses.map((_: number, u: number) => deviation(u)))).toBeGreaterThan(1e-4)
  })

  test.each([wasm, native].filter(({ name }) => name !== "native" || nativeBuilds))(
    "do not make $name look wrong, since rounding moves them as far",
    async (backend) => {
      await Effect.runPromise(startBackend(backend))
      const before = tf.memory().numTensors
      const quantities = await against("exact", backend)
      expect(quantities.filter(({ ok }) => !ok)).toEqual([])
      const norms = quantities.find(({ name }) => name === "gradient norms of fine-tuning")!
      expect(norms.spread).toBe(true)
      // Wherever they are built, wasm's bits are the same; by its tolerance alone it would be off.
      if (backend === wasm) expect(norms.worst).toBeGreaterThan(1e-3)
      expect(tf.memory().numTensors).toBe(before)
    },
    120_000,
  )

  test.each(["learning rate off by 1 %", "bias correction"])(
    "show an error: %s",
    async (kind) => {
      const off = (await offAgainst(kind, wasm)).map(({ name }) => name)
      expect(off).toContain("losses of fine-tuning")
      expect(off).toContain("gradient norms of fine-tuning")
      expect(off).not.toContain("learning rates")
    },
    120_000,
  )
})

/** What the tests change in `expected.json`. */
interface FineTuning {
  warmup: number
  steps: number
  lrs: number[]
  losses: number[]
  final_logits: number[][]
  final_param_norm: Record<string, number>
  trajectory: { step: number; r: number; phi: number | null }[]
}

describe("figures that do not agree", () => {
  const changed = async <A>(change: (json: FineTuning) => void, body: (folder: string) => Promise<A>) =>
    withFolder(async (folder) => {
      await Effect.runPromise(startBackend(wasm))
      await cp(fixture, folder, { recursive: true })
      const path = join(folder, "expected.json")
      const json: { finetune: FineTuning } = JSON.parse(await readFile(path, "utf8"))
      change(json.finetune)
      await writeFile(path, JSON.stringify(json))
      return body(folder)
    })

  test("are reported with their quantity and index", () =>
    changed(
      (json) => {
        json.lrs[3]! += 1e-9
        json.losses[7]! += 2e-4
        json.final_logits[2]![1]! -= 2e-4
        json.final_param_norm["classifier.bias"]! *= 1.001
        json.trajectory[5]!.r += 3e-3
        json.trajectory[9]!.phi! += 3e-3
      },
      async (folder) =>
        expect((await compare(folder)).filter(({ ok }) => !ok).map(({ name, at }) => [name, at])).toEqual([
          ["learning rates", "update 3"],
          ["losses of fine-tuning", "update 7"],
          ["logits after fine-tuning", "[2][1]"],
          ["norms of the parameters after fine-tuning", "classifier.bias"],
          ["r of the trajectory", "step 5"],
          ["φ of the trajectory", "step 9"],
        ]),
    ))

  test("because of another schedule show in learning rates, losses and trajectory", () =>
    changed(
      (json) => {
        json.warmup = 4
      },
      async (folder) => {
        const off = (await compare(folder)).filter(({ ok }) => !ok).map(({ name }) => name)
        expect(off).toContain("learning rates")
        expect(off).toContain("losses of fine-tuning")
        expect(off).toContain("r of the trajectory")
      },
    ))

  test.each<[string, (json: FineTuning) => void, string]>([
    ["too few losses", (json) => json.losses.pop(), "losses: expected 12, found 11"],
    ["too few logits", (json) => json.final_logits.pop(), "final_logits: expected [8, 2]"],
    [
      "a missing norm",
      (json) => delete json.final_param_norm["classifier.bias"],
      "classifier.bias is missing",
    ],
    ["a trajectory with a gap", (json) => json.trajectory.splice(4, 1), "the steps from 0 to 12"],
    [
      "too many steps",
      (json) => {
        json.steps = 1e9
      },
      "finetune.steps must be at most 1000",
    ],
  ])("refused: %s", (_, change, message) =>
    changed(change, async (folder) => {
      const before = tf.memory().numTensors
      const error = await Effect.runPromise(Effect.flip(comparison(folder)))
      expect(error.message).toContain(message)
      expect(tf.memory().numTensors).toBe(before)
    }),
  )
})
