import { describe, expect, test } from "bun:test"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Deferred, Effect, Fiber } from "effect"
import type { Row } from "../../../core/artifacts/observations.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"
import type { ClassifierView } from "../../../plugins/model/view.ts"
import { writeSnapshot } from "../../../plugins/probe/shared/snapshot.ts"
import { polarOf, productsOf } from "../../../plugins/probe/trajectory/polar.ts"
import { type TrajectoryRow, trajectory, trajectoryRows } from "../../../plugins/probe/trajectory.ts"
import { completed, fineTuning, observer, type Setting, withCheckpoint } from "../finetune/running.ts"

const { checkpoint, freshScratch } = await withCheckpoint("trajectory")

const watching = (options: Readonly<Record<string, unknown>> = {}) => ({
  key: "trajectory",
  options: completed(trajectory, options),
  probe: trajectory.probe!,
  gives: trajectory.gives,
})

const rowsOf = async (setting: Partial<Setting>): Promise<readonly TrajectoryRow[]> => {
  const { rows } = await Effect.runPromise(fineTuning({ checkpoint, scratch: freshScratch(), ...setting }))
  const found = rows.get("trajectory")
  if (!Array.isArray(found)) throw new Error(String(found))
  return found
}

describe("the trajectory of a fine-tuning run", () => {
  const options = { steps: { at: [1, 4, 11] }, scopes: ["all", "encoder", "layers"] }

  test("is that computed from copies of the parameters", async () => {
    const kept = new Map<number, { blocks: ReadonlyMap<string, Float64Array>; loss: number | null }>()
    const keep = observer("copies", [0, 1, 4, 11, 18], (view): Row => {
      const blocks = new Map(
        [...view.blocks].map(([block, names]) => {
          const values = names.flatMap((name) => [...view.parameters.get(name).dataSync()])
          return [block, Float64Array.from(values)]
        }),
      )
      kept.set(view.step, { blocks, loss: view.loss })
      return { step: view.step }
    })
    const rows = await rowsOf({ observers: [watching(options), keep] })

    const scopes: [string, number | null, (block: string) => boolean][] = [
      ["all", null, () => true],
      ["encoder", null, (block) => block.startsWith("layer.")],
      ["layer.0", 0, (block) => block === "layer.0"],
      ["layer.1", 1, (block) => block === "layer.1"],
    ]
    expect(rows.map(({ step, scope }) => [step, scope])).toEqual(
      [0, 1, 4, 11, 18].flatMap((step) => scopes.map(([scope]) => [step, scope])),
    )
    for (const row of rows) {
      const [, layer, belongs] = scopes.find(([scope]) => scope === row.scope)!
      const flat = (step: number) =>
        [...kept.get(step)!.blocks].flatMap(([block, values]) => (belongs(block) ? [...values] : []))
      const end = flat(18)
      const whole = flat(0).map((value, i) => value - end[i]!)
      const delta = flat(row.step).map((value, i) => value - end[i]!)
      expect(row.layer).toBe(layer)
      expect(row.loss).toBe(kept.get(row.step)!.loss)
      expect(row.r).toBeCloseTo(Math.hypot(...delta) / Math.hypot(...whole), 12)
      if (row.step === 18) expect(row).toMatchObject({ r: 0, phi: null })
      else {
        const cosine = delta.reduce((sum, value, i) => sum + value * whole[i]!, 0)
        const phi = Math.acos(Math.min(1, cosine / (Math.hypot(...delta) * Math.hypot(...whole))))
        expect(row.phi).toBeCloseTo(phi, 6)
      }
    }
    // The first update has learning rate 0, so the model after it is the one before.
    expect(rows.filter(({ step }) => step <= 1).map(({ r, phi }) => [r, phi])).toEqual(
      new Array(8).fill([1, 0]),
    )
  })

  test("has no rows of a frozen layer, and those of the others as they are", async () => {
    const rows = await rowsOf({ options: { frozen: 1 }, observers: [watching(options)] })
    expect(new Set(rows.map(({ scope }) => scope))).toEqual(new Set(["all", "encoder", "layer.1"]))
    const of = (scope: string) =>
      rows.flatMap((row) => (row.scope === scope ? [[row.step, row.r, row.phi]] : []))
    expect(of("layer.1")).toHaveLength(5)
    // Of the layers, it is the only one that moves.
    expect(of("encoder")).toEqual(of("layer.1"))
  })

  test("is by default observed at step 1 and multiples of the warm-up, over all parameters", async () => {
    const rows = await rowsOf({ observers: [watching()] })
    expect(rows.map(({ step }) => step)).toEqual([0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    expect(new Set(rows.map(({ scope }) => scope))).toEqual(new Set(["all"]))
    const distances = rows.slice(2).map(({ r }) => r)
    expect(distances).toEqual(distances.toSorted((a, b) => b - a))
  })

  test("is resumed after a stop, with the same bits", async () => {
    const whole = await rowsOf({ observers: [watching(options)] })
    const scratch = freshScratch()
    await Effect.runPromise(
      Effect.gen(function* () {
        const reached = yield* Deferred.make<void>()
        const report = (done: number) =>
          done === 9 ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
        const fiber = yield* Effect.forkChild(
          fineTuning({ checkpoint, scratch, observers: [watching(options)], report }),
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
      }),
    )
    const kept = (await readdir(join(scratch, "trajectory"))).filter((name) => name.startsWith("snapshot"))
    expect(kept.sort()).toEqual(["snapshot-0", "snapshot-1", "snapshot-4"])
    expect(await rowsOf({ scratch, observers: [watching(options)] })).toEqual(whole)
  })

  test("is refused for a step beyond the run's end, and the run continues", async () => {
    const { run, rows } = await Effect.runPromise(
      fineTuning({
        checkpoint,
        scratch: freshScratch(),
        observers: [watching({ steps: { at: [1, 19] } })],
      }),
    )
    expect(run.loss).toHaveLength(18)
    expect(String(rows.get("trajectory"))).toContain("must be from 0 to 18, the end of the run (was 19)")
  })
})

describe("geometry", () => {
  /** The trajectory of a walk, given by its positions. */
  const walked = async (positions: readonly Float32Array[]): Promise<readonly TrajectoryRow[]> => {
    const scratch = freshScratch()
    const steps = positions.length - 1
    const parameters = new Parameters()
    const observe = Effect.gen(function* () {
      for (const [step, position] of positions.entries()) {
        parameters.set("w", tf.tensor(position.slice()))
        if (step < steps) yield* writeSnapshot(scratch, { step, loss: step, parameters })
      }
      const view: Pick<ClassifierView, "blocks" | "parameters" | "loss"> = {
        blocks: new Map([["layer.0", ["w"]]]),
        parameters,
        loss: steps,
      }
      return yield* trajectoryRows(view, {
        options: { steps: { at: [], every: 1, last: true }, scopes: ["all"] },
        run: { steps, warmupSteps: 0 },
        scratch,
      })
    })
    return Effect.runPromise(
      Effect.ensuring(
        observe,
        Effect.sync(() => parameters.dispose()),
      ),
    )
  }

  test("a random walk in many dimensions follows r = cos φ", async () => {
    const size = 40_000
    const positions = [new Float32Array(size)]
    for (let step = 1; step <= 12; step++) {
      const stride = normal({ stream: stream(3, "walk"), site: 0, iteration: step }, size, 1e-3)
      positions.push(positions[step - 1]!.map((value, i) => value + stride[i]!))
    }
    const rows = await walked(positions)
    for (const { step, r, phi } of rows.slice(0, -1)) {
      expect(Math.abs(r - Math.cos(phi!))).toBeLessThan(0.01)
      // After t of T strides, the remaining ones have (T − t) / T of the variance.
      expect(Math.abs(r - Math.sqrt((12 - step) / 12))).toBeLessThan(0.01)
    }
    expect(rows.at(-1)).toEqual({ step: 12, scope: "all", layer: null, r: 0, phi: null, loss: 12 })
  })

  test("a straight path has angle 0, a detour a right angle, an overshoot angle π", async () => {
    const straight = [0, 1, 2, 4].map((t) => Float32Array.of(t, -2 * t))
    for (const [step, r] of [1, 0.75, 0.5].entries()) {
      expect((await walked(straight))[step]).toMatchObject({ r, phi: 0 })
    }
    // Seen from the end (0, 0), the start is on one axis and the next point on the other, twice as far.
    const around = [Float32Array.of(3, 0), Float32Array.of(0, 6), Float32Array.of(0, 0)]
    expect((await walked(around))[1]).toMatchObject({ r: 2, phi: Math.PI / 2 })
    const beyond = [Float32Array.of(3, 3), Float32Array.of(-3, -3), Float32Array.of(0, 0)]
    expect((await walked(beyond))[1]).toMatchObject({ r: 1, phi: Math.PI })
  })

  test("small moves of large parameters are not lost", () => {
    const large = 1000
    const move = 2 ** -13
    const start = new Float32Array(10_000).fill(large)
    const end = start.map((value) => value + 2 * move)
    const half = start.map((value) => value + move)
    expect(polarOf(productsOf(half, start, end))).toEqual({ r: 0.5, phi: 0 })
  })

  test("a path that ends where it started, or is not finite, is refused", async () => {
    const still = Float32Array.of(1, 2)
    const refusal = async (positions: readonly Float32Array[]) => {
      try {
        await walked(positions)
      } catch (error) {
        return String(error)
      }
      return "no refusal"
    }
    expect(await refusal([still, Float32Array.of(2, 2), still])).toContain("ended where they started")
    expect(await refusal([still, Float32Array.of(Number.NaN, 2), Float32Array.of(0, 0)])).toContain(
      "not finite",
    )
  })
})

test("the estimate counts the disk space of the snapshots", () => {
  const estimate = trajectory.estimate as unknown as (
    options: unknown,
    inputs: unknown,
  ) => { artifact: { rows: number }; cost: { scratch: number; memory: number } }
  const parameters = 335_143_938
  const run = { steps: 468, warmupSteps: 47, parameters, layers: 24, hidden: 1024, intermediate: 4096 }
  const { artifact, cost } = estimate(completed(trajectory, { scopes: ["all", "layers"] }), { run })
  // 0, 1, nine multiples of 47 and the end, which needs no snapshot.
  expect(artifact.rows).toBe(12 * 25)
  expect(cost.scratch).toBe(11 * 4 * parameters)
  // Three tensors at a time, of which the table of word embeddings is the largest.
  expect(cost.memory).toBeGreaterThan(3 * 4 * 30522 * 1024)
  expect(cost.memory).toBeLessThan(3 * 4 * 40_000 * 1024)
})
