import { afterAll, describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { cp, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { cpu } from "../../../../plugins/backend/cpu.ts"
import { wasm } from "../../../../plugins/backend/wasm.ts"
import { compareFisher } from "../../../../plugins/check/reference/fisher.ts"
import { openReference } from "../../../../plugins/check/reference/passes.ts"
import { onCpu, withFolder } from "../../model/tiny-model.ts"

const fixture = new URL("../../../fixtures/bert-2x32", import.meta.url).pathname
const larger = new URL("../../../../../shared/fixtures/bert-3x48", import.meta.url).pathname

const comparison = (folder: string) =>
  Effect.scoped(Effect.flatMap(openReference(folder), (opened) => compareFisher(opened, "fp32")))

afterAll(onCpu)

describe.each([cpu, wasm])("on $name", (backend) => {
  test.each([fixture, larger].filter(existsSync))("%s", async (folder) => {
    await Effect.runPromise(startBackend(backend))
    const before = tf.memory().numTensors
    const quantities = await Effect.runPromise(comparison(folder))
    expect(quantities.filter(({ ok }) => !ok)).toEqual([])
    expect(quantities.map(({ name }) => name)).toEqual([
      "Gram matrices",
      "eigenvalues",
      "effective ranks",
      "normalised effective ranks",
      "sum of the normalised ranks",
      "sranks",
      "entropy ranks",
    ])
    // Far below the tolerance: in other data ranks may be closer to their thresholds.
    expect(quantities[0]!.worst).toBeLessThan(1e-5)
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe("changed figures", () => {
  interface Figures {
    [block: string]: { gram: number[][]; erank99: unknown; eigenvalues: number[] }
  }
  const withFigures = (change: (fisher: Figures) => void) =>
    withFolder(async (folder) => {
      await onCpu()
      await cp(fixture, folder, { recursive: true })
      const path = join(folder, "expected.json")
      const expected = JSON.parse(await readFile(path, "utf8"))
      change(expected.fisher)
      await writeFile(path, JSON.stringify(expected))
      return Effect.runPromise(Effect.result(comparison(folder)))
    })
  const problemsWith = async (change: (fisher: Figures) => void) => {
    const result = await withFigures(change)
    return result._tag === "Failure" ? result.failure.message : result.success
  }

  test("are refused by name if they do not fit the batch or the model", async () => {
    expect(await problemsWith((fisher) => delete fisher["encoder_full"])).toContain("fisher.encoder_full: ")
    expect(
      await problemsWith((fisher) => {
        fisher["pooler"]!.erank99 = "many"
      }),
    ).toContain("fisher.pooler: erank99 must be a number")
    expect(await problemsWith((fisher) => fisher["layer.1"]!.gram.pop())).toContain(
      "fisher.layer.1: expected figures of 8 samples",
    )
  })

  test("are off if one entry or one rank differs", async () => {
    const result = await withFigures((fisher) => {
      fisher["layer.0"]!.gram[1]![2]! += 0.1
      fisher["layer.1"]!.erank99 = 6
    })
    const off = result._tag === "Success" ? result.success.filter(({ ok }) => !ok) : []
    expect(off.map(({ name, at }) => [name, at])).toEqual([
      ["Gram matrices", "layer.0[10]"],
      ["effective ranks", "layer.1"],
    ])
  })
})
