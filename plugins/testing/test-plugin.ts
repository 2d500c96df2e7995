import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import type { AnyPlugin, Node } from "../../core/api/plugin.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { describeOptions } from "../../core/io/options.ts"
import { startBackend } from "../../core/tensor/backend.ts"
import { wasm } from "../backend/wasm.ts"
import { Making } from "./making.ts"
import { matrixProductFlops } from "./matrix-products.ts"
import { inputsFor } from "./toy-study.ts"

/** How a plugin is tested. */
export interface PluginTest<S> {
  /** Its options as a pipeline gives them; those with a default may be left out. Small ones keep the test fast. */
  readonly options?: Partial<S>
  /** Nodes for its inputs. In the place of those left out there is a toy study's; see `toyStudy`. */
  readonly inputs?: Partial<S>
  /** By which factor the estimated flops and bytes may differ from what is measured; by default 2. */
  readonly costFactor?: number
}

/** The most places at which a plugin is stopped and resumed. */
const mostStops = 6
/** Bytes of an artifact that no estimate need count, such as names and brackets in JSON. */
const uncountedBytes = 4096
/** Floating-point operations that no estimate need count. */
const uncountedFlops = 1e4

/**
 * Registers tests that every plugin must pass, to be called at the top of a test file. They run the plugin by the
 * engine, on the backend `wasm`, within a toy study in miniature:
 *
 * - its name, version, summary and module are well formed;
 * - its options survive JSON with their defaults filled in, and an unknown one is refused;
 * - made twice, its artifact has the same bits, and no tensor is left over;
 * - stopped at several reports of its progress and resumed each time, it gives the same bits;
 * - it changes nothing: its inputs stay as they were and, if it is a probe, the run that it watches too;
 * - its estimate is honest: exactly the rows that a probe gives; bytes, and flops of matrix products, up to a factor.
 *
 * ```ts
 * testPlugin(weightNorm, { options: { steps: { at: [0], last: true } } })
 * ```
 *
 * What it computes is for further tests of your own: compare that with a closed form, or with another computation.
 */
export const testPlugin = <S extends object>(
  plugin: AnyPlugin & ((settings: S) => Node),
  { options = {}, inputs = {}, costFactor = 2 }: PluginTest<S> = {},
): void => {
  describe(`${plugin.name} keeps what plugins promise:`, () => {
    const given = options as Readonly<Record<string, unknown>>
    let root: string
    let stores = 0
    let node: Node
    let run: Node | undefined

    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), `kasosei-${plugin.name}-`))
      await Effect.runPromise(startBackend(wasm))
      const wired = inputsFor(plugin, inputs as Readonly<Record<string, unknown>>)
      node = plugin({ ...wired, ...given } as S)
      run = plugin.watches === undefined ? undefined : (wired[plugin.watches] as Node)
    })
    afterAll(() => rmSync(root, { recursive: true, force: true }))

    const out = () => join(root, String(++stores))
    /** The plugin's node, with the run that it watches beside it. */
    const targets = () => ({ made: node, ...(run === undefined ? {} : { run }) })
    const making = (nodes: Readonly<Record<string, Node>>, folder = out()) =>
      Effect.runPromise(Making.of(nodes, folder, wasm.name))

    test("its name, version, summary and module are well formed", () => {
      expect(plugin.name).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/)
      expect(Number.isSafeInteger(plugin.version) && plugin.version >= 1).toBe(true)
      expect(plugin.summary).toMatch(/^\S.*\S$/)
      expect(existsSync(fileURLToPath(plugin.module))).toBe(true)
    })

    test("its options survive JSON with their defaults, and an unknown one is refused", () => {
      const filled = decoded(plugin, given)
      for (const { name, fallback } of describeOptions(plugin.options)) {
        if (typeof fallback === "string") expect(Object.keys(filled)).toContain(name)
      }
      expect(decoded(plugin, JSON.parse(JSON.stringify(filled)))).toEqual(filled)
      expect(plugin.options({ ...given, "no-such-option": 1 })).toBeInstanceOf(type.errors)
    })

    test("made again, it has the same bits, no tensor is left over, and its inputs are as they were", async () => {
      const all = await making(targets())
      await Effect.runPromise(all.make())
      const first = await Effect.runPromise(all.read("made"))
      await Effect.runPromise(all.forget("made"))
      const before = tf.memory().numTensors
      await Effect.runPromise(all.make())
      expect(tf.memory().numTensors - before).toBe(0)
      expect((await Effect.runPromise(all.read("made"))).digest).toBe(first.digest)
      await Effect.runPromise(all.verify())
    })

    if (plugin.watches !== undefined) {
      test("the run that it watches is the same to the bit without it", async () => {
        const folder = out()
        const alone = await making({ run: run! }, folder)
        await Effect.runPromise(alone.make())
        const { digest } = await Effect.runPromise(alone.read("run"))
        await Effect.runPromise(alone.forget("run"))
        const both = await making(targets(), folder)
        await Effect.runPromise(both.make())
        expect((await Effect.runPromise(both.read("run"))).digest).toBe(digest)
      })
    }

    test("stopped and resumed, it gives the same bits", async () => {
      const all = await making(targets())
      let reports = 0
      const forget = async () => {
        for (const target of Object.keys(targets())) await Effect.runPromise(all.forget(target))
      }
      await Effect.runPromise(all.make())
      const { digest } = await Effect.runPromise(all.read("made"))
      await forget()
      await Effect.runPromise(all.make(() => Effect.sync(() => ++reports)))
      const count = Math.min(reports, mostStops)
      const stops = Array.from({ length: count }, (_, i) =>
        Math.round(1 + (i * (reports - 1)) / (count - 1 || 1)),
      )
      for (const stop of stops) {
        await forget()
        expect(await Effect.runPromise(all.stopAt(stop))).toBe(true)
        await Effect.runPromise(all.make())
        expect([stop, (await Effect.runPromise(all.read("made"))).digest]).toEqual([stop, digest])
      }
    })

    test(`its estimate is honest: its rows exactly, bytes and flops up to a factor of ${costFactor}`, async () => {
      const folder = out()
      const all = await making(targets(), folder)
      const { cost, estimate } = all.unit("made")
      for (const part of Object.values(cost)) expect(Number.isFinite(part) && part >= 0).toBe(true)
      await Effect.runPromise(all.make())
      const { bytes, folder: data } = await Effect.runPromise(all.read("made"))
      expectWithin("disk", bytes, cost.disk, costFactor, uncountedBytes)
      if (plugin.watches !== undefined) {
        const rows = (await Effect.runPromise(plugin.gives.read(data))) as readonly unknown[]
        expect(estimate).toEqual({ rows: rows.length })
      }
      if (!plugin.usesBackend) return

      const restore = () => Effect.runPromise(startBackend(wasm))
      const flopsOf = (making: Making) => matrixProductFlops(() => Effect.runPromise(making.make()), restore)
      for (const target of Object.keys(targets())) await Effect.runPromise(all.forget(target))
      const both = await flopsOf(all)
      let alone = 0
      if (run !== undefined) {
        await Effect.runPromise(all.forget("run"))
        alone = await flopsOf(await making({ run }, folder))
      }
      const flops = both - alone
      expectAtMost("flops", flops, costFactor * cost.flops + uncountedFlops)
      // A plugin without matrix products has its flops elsewhere, where they are not measured.
      if (flops > 0) expectAtMost("estimated flops", cost.flops, costFactor * flops + uncountedFlops)
    })
  })
}

const decoded = (plugin: AnyPlugin, given: unknown): Readonly<Record<string, unknown>> => {
  const options: unknown = plugin.options(given)
  if (options instanceof type.errors)
    throw new InvalidInput({ what: `the options of ${plugin.name}`, problems: [options.summary] })
  return options as Readonly<Record<string, unknown>>
}

/** Shows both numbers if it fails. */
const expectAtMost = (what: string, found: number, most: number): void =>
  expect(found <= most ? "" : `${what}: expected at most ${most}, found ${found}`).toBe("")

const expectWithin = (
  what: string,
  measured: number,
  estimated: number,
  factor: number,
  uncounted: number,
): void => {
  expectAtMost(what, measured, factor * estimated + uncounted)
  expectAtMost(`estimated ${what}`, estimated, factor * measured + uncounted)
}
