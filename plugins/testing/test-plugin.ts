import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import { isComponent } from "../../core/api/component.ts"
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
/** The longest that a test may take, in milliseconds: a plugin may be slow, and a machine busy. */
const longest = 120_000
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

    const promise = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)
    /** The plugin's node, with the run that it watches beside it. */
    const both = () => ({ made: node, ...(run === undefined ? {} : { run }) })
    /** In one store for all tests, which holds the inputs but none of these nodes. */
    const making = async (nodes: Readonly<Record<string, Node>> = both()) => {
      const unmade = await promise(Making.of(nodes, root, wasm))
      await promise(unmade.forget())
      return unmade
    }
    const digestOf = async (making: Making, target: string) => (await promise(making.read(target))).digest

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
      expect(decoded(plugin, throughJson(filled) as typeof filled)).toEqual(filled)
      expect(plugin.options({ ...given, "no-such-option": 1 })).toBeInstanceOf(type.errors)
    })

    test(
      "made again, it has the same bits, no tensor is left over, and its inputs are as they were",
      async () => {
        const all = await making()
        await promise(all.make())
        const digest = await digestOf(all, "made")
        await promise(all.forget())
        const before = tf.memory().numTensors
        await promise(all.make())
        expect(tf.memory().numTensors - before).toBe(0)
        expect(await digestOf(all, "made")).toBe(digest)
        await promise(all.verify())
      },
      longest,
    )

    if (plugin.watches !== undefined) {
      test(
        "the run that it watches is the same to the bit without it",
        async () => {
          const alone = await making({ run: run! })
          await promise(alone.make())
          const digest = await digestOf(alone, "run")
          const all = await making()
          await promise(all.make())
          expect(await digestOf(all, "run")).toBe(digest)
        },
        longest,
      )
    }

    test(
      "stopped and resumed, it gives the same bits",
      async () => {
        const all = await making()
        // The first one makes the inputs, and reports on them too.
        await promise(all.make())
        const digest = await digestOf(all, "made")
        await promise(all.forget())
        let reports = 0
        await promise(all.make(() => Effect.sync(() => ++reports)))
        for (const stop of spread(Math.min(reports, mostStops), reports)) {
          await promise(all.forget())
          expect(await promise(all.stopAt(stop))).toBe(true)
          await promise(all.make())
          expect([stop, await digestOf(all, "made")]).toEqual([stop, digest])
        }
      },
      longest,
    )

    test(
      `its estimate is honest: its rows exactly, bytes and flops up to a factor of ${costFactor}`,
      async () => {
        const all = await making()
        const { cost, estimate } = all.unit("made")
        for (const part of Object.values(cost)) expect(Number.isFinite(part) && part >= 0).toBe(true)
        await promise(all.make())
        const { bytes, folder } = await promise(all.read("made"))
        expectWithin("disk", bytes, cost.disk, costFactor, uncountedBytes)
        if (plugin.watches !== undefined) {
          const rows = (await promise(plugin.gives.read(folder))) as readonly unknown[]
          expect(estimate).toMatchObject({ rows: rows.length })
        }
        if (!plugin.usesBackend) return

        const restore = () => promise(startBackend(wasm))
        const flopsOf = async (nodes: Readonly<Record<string, Node>>) => {
          const unmade = await making(nodes)
          return matrixProductFlops(() => promise(unmade.make()), restore)
        }
        const flops = (await flopsOf(both())) - (run === undefined ? 0 : await flopsOf({ run }))
        expectAtMost("flops", flops, costFactor * cost.flops + uncountedFlops)
        // A plugin without matrix products has its flops elsewhere, where they are not measured.
        if (flops > 0) expectAtMost("estimated flops", cost.flops, costFactor * flops + uncountedFlops)
      },
      longest,
    )
  })
}

const decoded = (plugin: AnyPlugin, given: unknown): Readonly<Record<string, unknown>> => {
  const options: unknown = plugin.options(given)
  if (options instanceof type.errors)
    throw new InvalidInput({ what: `the options of ${plugin.name}`, problems: [options.summary] })
  return options as Readonly<Record<string, unknown>>
}

/**
 * Options as they are read back from JSON. A component is written there as its name and its options, from which only its
 * own file makes it again, so it stays itself, and its options go through JSON.
 */
const throughJson = (value: unknown): unknown => {
  if (isComponent(value)) {
    expect(JSON.parse(JSON.stringify(value))).toEqual({ [value.name]: value.options })
    return value
  }
  if (Array.isArray(value)) return value.map(throughJson)
  if (typeof value !== "object" || value === null || "toJSON" in value) {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, throughJson(inner)]))
}

/** `count` whole numbers from 1 to `last`, evenly spread, both ends among them. */
const spread = (count: number, last: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => Math.round(1 + (i * (last - 1)) / Math.max(1, count - 1)))

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
