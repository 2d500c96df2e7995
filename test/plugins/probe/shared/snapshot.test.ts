import { beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Deferred, Effect, Fiber } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import type { CudaAddon } from "../../../../plugins/backend/cuda/device.ts"
import type { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { trajectory } from "../../../../plugins/probe/trajectory.ts"
import { nativeBuilds } from "../../../core/tensor/every-definition.ts"
import { mayMount, smallDisk } from "../../../small-disk.ts"
import { emulated, startEmulated } from "../../backend/cuda/emulated.ts"
import { fineTuning, observer, type Setting, withCheckpoint } from "../../finetune/running.ts"
import { watcher } from "../watched.ts"

const { checkpoint, freshScratch } = await withCheckpoint("snapshot")

/** Nine updates. */
const options = { epochs: 1.5 }
const watching = (steps: readonly number[], key = "trajectory") => ({
  ...watcher(trajectory, { options: { steps: { at: steps } } }),
  key,
})

/** All snapshots below a folder, whose files are compared byte by byte. */
const bytesIn = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => /snapshot-\d+\/\w+\.\w+$/.test(name))
      .sort()
      .map((name) => [name, readFileSync(join(folder, name)).toString("base64")]),
  )

const run = (setting: Partial<Setting>) =>
  Effect.runPromise(fineTuning({ checkpoint, scratch: freshScratch(), options, ...setting }))

const targets = [
  ["native", nativeBuilds, () => Effect.runPromise(startBackend(native))],
  ["cuda, emulated", emulated !== undefined, startEmulated],
] as const

for (const [title, runs, start] of targets) {
  describe.skipIf(!runs)(`snapshots on ${title}`, () => {
    beforeAll(() => start())

    test("are the parameters of their step, of two probes in one run", async () => {
      const scratch = freshScratch()
      const kept = new Map<number, Buffer>()
      const keep = observer("copies", [0, 1, 2, 5], ({ step, parameters }) => {
        const values = parameters.names.map((name) => Buffer.from(parameters.get(name).dataSync().buffer))
        kept.set(step, Buffer.concat(values))
        return { step }
      })
      const { rows } = await run({
        scratch,
        observers: [watching([1, 2]), watching([2, 5], "second"), keep],
      })
      expect([...rows.values()].every(Array.isArray)).toBe(true)
      for (const [key, steps] of [
        ["trajectory", [0, 1, 2]],
        ["second", [0, 2, 5]],
      ] as const) {
        for (const step of steps) {
          const file = readFileSync(join(scratch, key, `snapshot-${step}`, "parameters.safetensors"))
          const expected = kept.get(step)!
          expect(file.subarray(-expected.length).equals(expected)).toBe(true)
        }
      }
    })

    test("are whole when a state is saved, and after an interruption while one is on its way", async () => {
      const observers = [watching([1, 4])]
      const scratch = freshScratch()
      const whole = await run({ scratch, observers })
      const expected = bytesIn(scratch)
      const stopped = freshScratch()
      let onItsWay = false
      await Effect.runPromise(
        Effect.gen(function* () {
          const reached = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(
            fineTuning({
              checkpoint,
              scratch: stopped,
              options,
              // Shown after the snapshot, in the same turn of the run.
              observers: [
                ...observers,
                observer("stop", [4], ({ step }) => {
                  onItsWay = !existsSync(join(stopped, "trajectory", "snapshot-4"))
                  Effect.runSync(Deferred.succeed(reached, undefined))
                  return { step }
                }),
              ],
            }),
          )
          yield* Deferred.await(reached)
          yield* Fiber.interrupt(fiber)
        }),
      )
      expect(onItsWay).toBe(title !== "native")
      const made = readdirSync(join(stopped, "trajectory")).filter((name) => name.startsWith("snapshot"))
      expect(made.sort()).toEqual(["snapshot-0", "snapshot-1", "snapshot-4"])
      // The run would be resumed behind a snapshot that a kill had prevented.
      const [state] = readdirSync(stopped, { recursive: true, encoding: "utf8" }).filter((name) =>
        name.endsWith(join("training-4", "tensors.safetensors")),
      )
      const writtenAt = (...names: readonly string[]) => statSync(join(stopped, ...names)).mtimeMs
      expect(writtenAt("trajectory", "snapshot-4", "snapshot.json")).toBeLessThanOrEqual(writtenAt(state!))
      const resumed = await run({ scratch: stopped, observers })
      expect(resumed.rows.get("trajectory")).toEqual(whole.rows.get("trajectory")!)
      expect(bytesIn(stopped)).toEqual(expected)
    })

    test.skipIf(!mayMount)("fail the probe where the disk is full, and the run goes on", async () => {
      // A snapshot takes five pages: three of parameters, one of its loss, one of the rows of the observation.
      const disk = smallDisk(7 * 4)!
      try {
        const scratch = join(disk.folder, "scratch")
        const { run: made, rows } = await run({ scratch, observers: [watching([1])] })
        expect(made.loss.length).toBeGreaterThan(5)
        expect(rows.get("trajectory")).toMatchObject({ _tag: "FileError", isOfDisk: true })
        const left = readdirSync(join(scratch, "trajectory"), { recursive: true, encoding: "utf8" })
        expect(left.filter((name) => name.includes("snapshot-1"))).toEqual([])
        expect(left).toContain(join("snapshot-0", "parameters.safetensors"))
      } finally {
        disk.remove()
      }
    })
  })
}

describe.skipIf(emulated === undefined)("a transfer from the GPU", () => {
  beforeAll(() => startEmulated())
  const device = () => (tf.backend() as DeviceBackend).device

  test("gives all numbers in order, of tensors smaller and larger than a window", async () => {
    const sizes = [3, 0, 9_000_000, 5, 70_000]
    const handles = sizes.map((size, n) => {
      const handle = device().allocate("float32", size)
      device().write(
        handle,
        Float32Array.from({ length: size }, (_, i) => n + (i % 1_000_003)),
      )
      return { handle, size }
    })
    const found: Float32Array[] = []
    for await (const piece of device().transfer!(() => handles)) found.push(piece.slice())
    expect(found.map(({ length }) => length)).toEqual([4_194_304, 4_194_304, 681_400])
    const all = new Float32Array(found.reduce((sum, { length }) => sum + length, 0))
    found.reduce((at, piece) => {
      all.set(piece, at)
      return at + piece.length
    }, 0)
    let at = 0
    for (const { handle, size } of handles) {
      const values = device().read(handle, "float32", size) as Float32Array
      expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(all.slice(at, at + size).buffer))).toBe(0)
      at += size
      device().release(handle)
    }
  })

  test("waits for its turn, and can be left in the middle", async () => {
    const handle = device().allocate("float32", 10)
    device().fill(handle, 7)
    const first = device().transfer!(() => [{ handle, size: 10 }])
    expect((await first.next()).value).toEqual(new Float32Array(10).fill(7))
    const second = device().transfer!(() => [{ handle, size: 4 }])
    const waiting = second.next()
    let came = false
    void waiting.then(() => {
      came = true
    })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(came).toBe(false)
    await first.return()
    expect((await waiting).value).toEqual(new Float32Array(4).fill(7))
    await second.return()
    device().release(handle)
  })

  test("is refused what is no piece, no window or under way", async () => {
    const handle = device().allocate("float32", 10)
    const addon = device() as unknown as CudaAddon
    addon.startTransfer()
    const fill = (index: number, ...pieces: readonly number[]) =>
      addon.fillWindow(index, Float64Array.from(pieces))
    expect(() => fill(0, handle, 8, 3)).toThrow("expected a piece of a tensor")
    expect(() => fill(0, handle, 8)).toThrow("expected three numbers for each piece")
    expect(() => fill(2, handle, 0, 3)).toThrow("expected one of the windows")
    fill(0, handle, 0, 10)
    expect(() => fill(0, handle, 0, 10)).toThrow("expected a window that is not being filled")
    while (addon.isFilled(0) === 0) await Promise.resolve()
    const large = device().allocate("float32", 4_194_305)
    expect(() => fill(0, large, 0, 4_194_305)).toThrow("expected pieces that fit into a window")
    for (const each of [handle, large]) device().release(each)
  })
})
