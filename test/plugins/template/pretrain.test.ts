import { beforeAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { templatePretrain } from "../../../plugins/template/pretrain.ts"
import { writeCheckpoint } from "../finetune/running.ts"
import { onCpu } from "../model/tiny-model.ts"
import { checkpointBy, refusal, withFolder } from "../pretrain/running.ts"

beforeAll(onCpu)

const moved = (folder: string, checkpoint: CheckpointTaken, options: Readonly<Record<string, unknown>>) => {
  const setting = { options, inputs: { checkpoint }, scratch: folder }
  return Effect.runPromise(checkpointBy(templatePretrain, folder, setting))
}

/** The values of all parameters in one list. */
const valuesOf = async ({ folder }: CheckpointTaken): Promise<readonly number[]> => {
  const model = await Effect.runPromise(loadModel(folder, { outputHeads: { pooler: "read" } }))
  const host = model.parameters.toHost()
  model.parameters.dispose()
  return [...host.values()].flatMap(({ values }) => [...values])
}

const deviation = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length)

test("shrinks every parameter and adds noise of the given standard deviation", () =>
  withFolder(async (folder) => {
    const start = await writeCheckpoint(join(folder, "start"))
    const before = await valuesOf(start)
    const shrunk = await valuesOf(await moved(join(folder, "a"), start, { shrink: 0.5, perturb: 0 }))
    expect(shrunk).toEqual(before.map((value) => value / 2))

    const after = await valuesOf(await moved(join(folder, "b"), start, { shrink: 0.5, perturb: 0.1 }))
    const added = after.map((value, i) => value - shrunk[i]!)
    // The standard error of a deviation over n values is σ / √(2n).
    expect(Math.abs(deviation(added) - 0.1)).toBeLessThan((4 * 0.1) / Math.sqrt(2 * added.length))
    expect(new Set(added).size).toBeGreaterThan(0.9 * added.length)
  }))

test("the same seed gives the same bits, another seed others", () =>
  withFolder(async (folder) => {
    const start = await writeCheckpoint(join(folder, "start"))
    const weights = async (name: string, seed: number) => {
      const { folder: made } = await moved(join(folder, name), start, { shrink: 1, perturb: 0.1, seed })
      return readFileSync(join(made, "model.safetensors"))
    }
    const first = await weights("a", 1)
    expect(first.equals(await weights("b", 1))).toBe(true)
    expect(first.equals(await weights("c", 2))).toBe(false)
  }))

test("a checkpoint without weights in one file is refused with its path", () =>
  withFolder(async (folder) => {
    const inputs = { checkpoint: { folder, config: {} } }
    const setting = { options: { shrink: 1, perturb: 0 }, inputs, scratch: folder }
    const message = await refusal(templatePretrain, setting)
    expect(message).toContain(join(folder, "model.safetensors"))
  }))
