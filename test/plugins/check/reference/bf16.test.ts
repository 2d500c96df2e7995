import { afterAll, describe, expect, test } from "bun:test"
import { cp, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { reference } from "../../../../plugins/check/reference.ts"
import { nativeBuilds } from "../../../core/tensor/every-definition.ts"
import { onCpu, withFolder } from "../../model/tiny-model.ts"

const fixtures = new URL("../../../fixtures/", import.meta.url).pathname
const names = ["bert-2x32", "layouts/roberta-2x32", "layouts/electra-2x32", "layouts/distilbert-2x32"]

afterAll(onCpu)

describe.skipIf(!nativeBuilds)("in bf16", () => {
  const compare = async (folder: string, precision: "fp32" | "bf16") => {
    await Effect.runPromise(startBackend(native, { precision: "bf16" }))
    return Effect.runPromise(reference.compare(folder, precision))
  }
  const off = async (folder: string, precision: "fp32" | "bf16" = "bf16") =>
    (await compare(folder, precision)).filter(({ ok }) => !ok).map(({ name }) => name)

  test.each(names)("a correct backend agrees with %s by the tolerances of bf16", async (name) => {
    expect(await off(join(fixtures, name))).toEqual([])
  })

  test("it does not by those of fp32", async () => {
    expect(await off(join(fixtures, "bert-2x32"), "fp32")).toContain("logits")
  })

  test("figures that are wrong are off in bf16 too", () =>
    withFolder(async (folder) => {
      await cp(join(fixtures, "bert-2x32"), folder, { recursive: true })
      const path = join(folder, "expected.json")
      const json = JSON.parse(await readFile(path, "utf8"))
      json.logits[1][0] += 0.12
      json.grad_norm["bert.encoder.layer.0.output.dense.weight"] *= 1.3
      json.fisher["layer.1"].erank99 += 2
      json.finetune.lrs[4] *= 1.01
      json.finetune.losses[3] += 0.2
      await writeFile(path, JSON.stringify(json))
      expect(await off(folder)).toEqual([
        "logits",
        "norms of the gradients",
        "effective ranks",
        "learning rates",
        "losses of fine-tuning",
      ])
    }))
})
