import { afterAll, describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { cp, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Precision } from "../../../../core/api/precision.ts"
import { quantity } from "../../../../core/api/quantity.ts"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { cpu } from "../../../../plugins/backend/cpu.ts"
import { wasm } from "../../../../plugins/backend/wasm.ts"
import { comparePasses, openReference } from "../../../../plugins/check/reference/passes.ts"
import { onCpu, withFolder } from "../../model/tiny-model.ts"

const fixture = new URL("../../../fixtures/bert-2x32", import.meta.url).pathname
const larger = new URL("../../../../../shared/fixtures/bert-3x48", import.meta.url).pathname

const comparison = (folder: string, precision: Precision = "fp32") =>
  Effect.scoped(Effect.flatMap(openReference(folder), (opened) => comparePasses(opened, precision)))
const compare = (folder: string, precision?: Precision) => Effect.runPromise(comparison(folder, precision))

afterAll(onCpu)

describe.each([cpu, wasm])("on $name", (backend) => {
  test.each([fixture, larger].filter(existsSync))("%s", async (folder) => {
    await Effect.runPromise(startBackend(backend))
    const before = tf.memory().numTensors
    const quantities = await compare(folder)
    expect(quantities.filter(({ ok }) => !ok)).toEqual([])
    expect(quantities.map(({ name }) => name)).toEqual([
      "logits",
      "last hidden states of [CLS]",
      "mean cross-entropy",
      "norms of the gradients",
      "sums of the gradients",
      "InfoNCE",
      "gradient of InfoNCE",
    ])
    expect(tf.memory().numTensors).toBe(before)
  })
})

/** What the tests change in `batch.json` and `expected.json`. */
interface Fixture {
  input_ids: number[][]
  token_type_ids: number[][]
  labels: number[]
  logits: number[][]
  mean_ce?: number
  grad_norm: Record<string, number>
  infonce: { z1: number[][]; grad_z2: number[][] }
}

describe("figures that do not agree", () => {
  /** The fixture with one of its JSON files changed. */
  const changed = <A>(file: string, change: (json: Fixture) => void, body: (folder: string) => Promise<A>) =>
    withFolder(async (folder) => {
      await cp(fixture, folder, { recursive: true })
      const json: Fixture = JSON.parse(await readFile(join(folder, file), "utf8"))
      change(json)
      await writeFile(join(folder, file), JSON.stringify(json))
      return body(folder)
    })

  const failing = async (folder: string) => {
    await onCpu()
    return (await compare(folder)).filter(({ ok }) => !ok).map(({ name, at }) => [name, at])
  }
  const refusal = async (folder: string) => {
    await onCpu()
    const before = tf.memory().numTensors
    const error = await Effect.runPromise(Effect.flip(comparison(folder)))
    expect(tf.memory().numTensors).toBe(before)
    return error.message
  }

  test("are reported with their quantity and index", async () => {
    const name = "bert.encoder.layer.1.output.dense.bias"
    await changed(
      "expected.json",
      (json) => {
        json.logits[3]![1]! += 2e-4
        json.grad_norm[name]! *= 1.002
        json.infonce.grad_z2[1]![4]! += 1e-2
      },
      async (folder) =>
        expect(await failing(folder)).toEqual([
          ["logits", "[3][1]"],
          ["norms of the gradients", name],
          ["gradient of InfoNCE", "[1][4]"],
        ]),
    )
  })

  test("because of lost segments show in the logits", () =>
    changed(
      "batch.json",
      (json) => {
        json.token_type_ids = json.token_type_ids.map((row) => row.map(() => 0))
      },
      async (folder) => expect((await failing(folder)).map(([name]) => name)).toContain("logits"),
    ))

  test.each<[string, string, (json: Fixture) => void, string]>([
    [
      "an id beyond the vocabulary",
      "batch.json",
      (json) => {
        json.input_ids[0]![0] = 232
      },
      "input_ids: expected less than 232, vocab_size of config.json, found 232",
    ],
    [
      "a label beyond the classes",
      "batch.json",
      (json) => {
        json.labels[0] = 2
      },
      "labels: expected less than 2, the number of labels of config.json, found 2",
    ],
    ["a missing label", "batch.json", (json) => json.labels.pop(), "as many labels"],
    [
      "token types of another length",
      "batch.json",
      (json) => json.token_type_ids[0]!.pop(),
      "token_type_ids",
    ],
    [
      "an empty sequence",
      "batch.json",
      (json) => {
        json.input_ids[0] = []
      },
      "input_ids[0]",
    ],
    ["too few logits", "expected.json", (json) => json.logits.pop(), "logits: expected [8, 2], found [7, 2]"],
    [
      "a parameter without a gradient",
      "expected.json",
      (json) => delete json.grad_norm["classifier.bias"],
      "grad_norm: classifier.bias is missing",
    ],
    ["no loss", "expected.json", (json) => delete json.mean_ce, "mean_ce"],
    ["rows of different lengths", "expected.json", (json) => json.infonce.z1[0]!.pop(), "infonce.z1"],
  ])("refused: %s", (_, file, change, message) =>
    changed(file, change, async (folder) => expect(await refusal(folder)).toContain(message)),
  )

  test("refused: a folder that does not exist", async () => {
    expect(await refusal("/nowhere/at/all")).toContain("cannot read /nowhere/at/all/batch.json")
  })
})

test("InfoNCE of a single pair, whose gradients vanish, agrees with zeros", () =>
  withFolder(async (folder) => {
    await onCpu()
    await cp(fixture, folder, { recursive: true })
    const path = join(folder, "expected.json")
    const json = JSON.parse(await readFile(path, "utf8"))
    const { z1, z2, tau } = json.infonce
    const zeros = [z1[0].map(() => 0)]
    json.infonce = { z1: [z1[0]], z2: [z2[0]], tau, loss: 0, grad_z1: zeros, grad_z2: zeros }
    await writeFile(path, JSON.stringify(json))
    const found = (await compare(folder)).filter(({ name }) => name.includes("InfoNCE"))
    expect(found.map(({ worst, ok }) => [worst, ok])).toEqual([
      [0, true],
      [0, true],
    ])
  }))

test("a quantity reports its worst number, and is not ok if any number is not finite", () => {
  const at = (index: string, expected: number, found: number, scale?: number) => ({
    at: index,
    expected,
    found,
    ...(scale !== undefined && { scale }),
  })
  expect(quantity("q", 0.1, [at("a", 1, 1.05), at("b", 10, 10.4, 10), at("c", 0, 0.07)])).toEqual({
    name: "q",
    worst: 0.07,
    tolerance: 0.1,
    spread: false,
    ok: true,
    at: "c",
    expected: 0,
    found: 0.07,
  })
  expect(quantity("q", 0.1, [at("a", 1, 1), at("b", 1, Number.NaN), at("c", 1, 3)])).toMatchObject({
    ok: false,
    at: "b",
  })
  expect(() => quantity("q", 0.1, [])).toThrow("nothing to compare")
})

test("numbers that are equal do not deviate, also where the scale is 0, as 0/0 is for a single sample", () => {
  const zero = { at: "a", expected: 0, found: 0, scale: 0 }
  expect(quantity("q", 0.1, [zero])).toMatchObject({ worst: 0, ok: true })
  expect(quantity("q", 0, [zero])).toMatchObject({ worst: 0, ok: true })
  expect(quantity("q", 0.1, [zero, { ...zero, at: "b", found: 1e-9 }])).toMatchObject({ at: "b", ok: false })
})

test("a number may deviate as far as rounding moves it, and is then compared with that", () => {
  const a = { at: "a", expected: 10, found: 10.4, scale: 10 }
  const b = { at: "b", expected: 10, found: 12, scale: 10, spread: 3 }
  expect(quantity("q", 0.1, [a, b])).toMatchObject({
    at: "b",
    worst: 0.2,
    tolerance: 0.3,
    spread: true,
    ok: true,
  })
  // The one that uses most of what it is allowed is the worst, not the one that is furthest off.
  expect(quantity("q", 0.1, [{ ...a, found: 10.9 }, b])).toMatchObject({ at: "a", spread: false, ok: true })
  expect(quantity("q", 0.1, [a, { ...b, found: 14 }])).toMatchObject({ at: "b", spread: true, ok: false })
  // A spread that is not a number allows nothing, and one below the tolerance does not make it smaller.
  expect(quantity("q", 0.1, [{ ...b, spread: Number.NaN }])).toMatchObject({ tolerance: 0.1, ok: false })
  expect(quantity("q", 0.1, [{ ...a, spread: 0.1 }])).toMatchObject({ tolerance: 0.1, ok: true })
})
