import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Deferred, Effect, Fiber } from "effect"
import { UnitFailure } from "../../../core/api/failure.ts"
import type { AnyProbe } from "../../../core/api/plugin.ts"
import type { Guard, Watch } from "../../../core/api/watch.ts"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { type Observer, watching } from "../../../core/engine/watch.ts"

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-watch-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

let observers = 0

/** An observer whose rows have a step and a norm; of steps 0 and 1 by default. */
const observing = (
  observe: (view: never) => unknown,
  {
    key = "norm",
    ...others
  }: { key?: string; steps?: () => number[]; finish?: (view: never) => unknown } = {},
) => ({
  key,
  gives: observationsOf(type({ "+": "reject", step: "number", norm: "number | null" })),
  options: {},
  inputs: {},
  scratch: join(root, String(++observers)),
  probe: { steps: () => [0, 1], observe, ...others } as unknown as AnyProbe,
})

/** The guard of a run in which there is nothing to change. */
const nothing: Guard = {
  digests: Effect.succeed(new Map()),
  enclose: (observation) => Effect.map(Effect.exit(observation), (ended) => ({ ended, left: 0 })),
}

/** What the observer of a run of one step gave. */
const observed = async (observe: (step: number) => unknown, started = true) => {
  const { watch, observations } = watching(true, [observing(observe)])
  const all = Effect.gen(function* () {
    if (started) yield* watch.start({ steps: 1, warmupSteps: 0 }, nothing)
    for (const step of [0, 1]) yield* watch.at(step, step)
    yield* watch.end(1)
    return (yield* observations(undefined)).get("norm")!
  })
  const result = await Effect.runPromise(all)
  return result._tag === "Success" ? result.success : result.failure
}

test("an observer's rows are those of its steps, in their order", async () => {
  expect(await observed((step) => [{ step, norm: step === 0 ? null : 2.5 }])).toEqual([
    { step: 0, norm: null },
    { step: 1, norm: 2.5 },
  ])
})

describe("rows that could not be read again are refused at their step", () => {
  test.each([
    ["NaN", { norm: Number.NaN }, "norm must be finite (was NaN)"],
    ["Infinity", { norm: Number.POSITIVE_INFINITY }, "norm must be finite (was Infinity)"],
    ["a wrong type", { norm: "2" }, "norm must be a number or null (was a string)"],
    ["a missing column", {}, "norm must be a number or null (was missing)"],
    ["an unknown column", { norm: 1, layer: 0 }, "layer must be removed"],
  ])("%s", async (_, cells, problem) => {
    const seen: number[] = []
    const failure = await observed((step) => {
      seen.push(step)
      return [
        { step, norm: 1 },
        { step, ...cells },
      ]
    })
    expect(failure).toMatchObject({
      _tag: "UnitFailure",
      outcome: "failed",
      step: 0,
      reason: `row 2 of the observations: ${problem}`,
    })
    // It observes no more.
    expect(seen).toEqual([0])
  })

  test("anything but a list of rows", async () => {
    expect(await observed(() => undefined)).toMatchObject({
      _tag: "UnitFailure",
      reason: "expected a list of rows, found undefined",
    })
  })
})

describe("what an observer is given to choose its steps by", () => {
  test("is a copy, which it cannot write to", async () => {
    const length = { steps: 1, warmupSteps: 0 }
    const { watch, observations } = watching(true, [
      observing((step) => [{ step, norm: 1 }], {
        steps: ((_: unknown, run: { steps: number }) => {
          run.steps = 9
          return [0]
        }) as () => number[],
      }),
    ])
    const all = Effect.andThen(watch.start(length, nothing), observations(undefined))
    expect((await Effect.runPromise(all)).get("norm")).toMatchObject({
      failure: { reason: expect.stringContaining("cannot choose the steps to observe: TypeError") },
    })
    expect(length).toEqual({ steps: 1, warmupSteps: 0 })
  })
})

test("an observer that interrupts itself fails, and the run goes on", async () => {
  expect(await observed(() => Effect.interrupt)).toMatchObject({
    _tag: "UnitFailure",
    outcome: "failed",
    step: 0,
    reason: "it interrupted itself",
  })
})

test("an observer that failed is not asked again when its run is resumed, and keeps its reason", async () => {
  const seen: number[] = []
  const observer = observing((step: number) => {
    seen.push(step)
    return Effect.fail(new UnitFailure({ outcome: "failed", reason: "no sentence has three tokens", step }))
  })
  const stopped = watching(true, [observer])
  const resumed = watching(true, [observer])
  const all = Effect.gen(function* () {
    yield* stopped.watch.start({ steps: 1, warmupSteps: 0 }, nothing)
    yield* stopped.watch.at(0, 0)
    yield* resumed.watch.start({ steps: 1, warmupSteps: 0 }, nothing)
    yield* resumed.watch.at(1, 1)
    yield* resumed.watch.end(1)
    return (yield* resumed.observations(undefined)).get("norm")!
  })
  expect(await Effect.runPromise(all)).toMatchObject({
    failure: { _tag: "UnitFailure", outcome: "failed", step: 0, reason: "no sentence has three tokens" },
  })
  expect(seen).toEqual([0])
})

describe("a plugin that declares that it can be watched must show itself", () => {
  test("at all", async () => {
    expect(await observed((step) => [{ step, norm: 1 }], false)).toMatchObject({
      _tag: "UnitFailure",
      reason:
        "the plugin that it watches declares `watchable`, but never showed itself: Watch in core/api/watch.ts says what it must call",
    })
  })

  test("at every step that is observed, and at the end if the probe has a finish", async () => {
    const { watch, observations } = watching(true, [observing(() => [], { finish: () => [] })])
    const all = Effect.gen(function* () {
      yield* watch.start({ steps: 1, warmupSteps: 0 }, nothing)
      yield* watch.at(0, 0)
      return (yield* observations(undefined)).get("norm")!
    })
    expect(await Effect.runPromise(all)).toMatchObject({
      failure: {
        reason: expect.stringContaining("declares `watchable`, but did not show itself at step 1, the end:"),
      },
    })
  })
})

test("the rows of the end are refused as they are given, too", async () => {
  const finish = () => [{ step: 1, norm: 1 }, { step: 1 }]
  const { watch, observations } = watching(true, [observing((step) => [{ step, norm: 1 }], { finish })])
  const all = Effect.gen(function* () {
    yield* watch.start({ steps: 1, warmupSteps: 0 }, nothing)
    for (const step of [0, 1]) yield* watch.at(step, step)
    yield* watch.end(1)
    return (yield* observations(undefined)).get("norm")!
  })
  expect(await Effect.runPromise(all)).toMatchObject({
    failure: {
      step: 1,
      reason: "row 2 of the observations: norm must be a number or null (was missing)",
    },
  })
})

/** A run of four steps that writes down its walk from 1, doubling; it saves nothing before step 2. */
class Doubling {
  readonly walk: number[] = []
  saved: readonly number[] = []
  made = 0

  readonly guard: Guard = {
    digests: Effect.sync(() => new Map([["the walk", String(this.walk)]])),
    enclose: nothing.enclose,
  }

  readonly run = Effect.fnUntraced({ self: this }, function* (this: Doubling, watch: Watch<number[]>) {
    this.made++
    this.walk.splice(0, this.walk.length, ...this.saved)
    if (this.walk.length === 0) this.walk.push(1)
    yield* watch.start({ steps: 4, warmupSteps: 0 }, this.guard)
    const loop = Effect.gen({ self: this }, function* () {
      for (;;) {
        const step = this.walk.length - 1
        yield* watch.at(step, this.walk)
        if (step >= 2) this.saved = [...this.walk]
        if (step === 4) break
        this.walk.push(2 * this.walk.at(-1)!)
      }
      yield* watch.end(this.walk)
    })
    yield* Effect.onInterrupt(loop, () => Effect.sync(() => (this.saved = [...this.walk])))
    return [...this.walk]
  })
}

describe("an observer that changes its run", () => {
  const row = (step: number) => [{ step, norm: step }]
  const walkOf = (observers: readonly Observer[]) => {
    const doubling = new Doubling()
    const { watch, make, observations } = watching(true, observers)
    const discard = Effect.sync(() => (doubling.saved = []))
    const all = Effect.gen(function* () {
      const walk = yield* make(doubling.run(watch as Watch<number[]>), discard)
      return { walk, made: doubling.made, rows: yield* observations(undefined) }
    })
    return { all, doubling }
  }
  const vandalAt = (step: number, harm: (walk: number[]) => unknown) =>
    observing(
      (walk: number[]) => {
        if (walk.length === step + 1) harm(walk)
        return row(walk.length - 1)
      },
      { key: "vandal", steps: () => [0, 1, 2, 3, 4] },
    )
  const honest = () => {
    const seen: number[] = []
    const observe = (walk: number[]) => {
      seen.push(walk.length - 1)
      return row(walk.length - 1)
    }
    const rows = { success: [0, 1, 2, 3, 4].map((step) => ({ step, norm: step })) }
    return { observer: observing(observe, { key: "honest", steps: () => [0, 1, 2, 3, 4] }), seen, rows }
  }

  test.each([0, 1, 3, 4])(
    "fails at that step (%p), and the run is what it would be without it",
    async (step) => {
      const { observer, seen, rows: expected } = honest()
      const vandal = vandalAt(step, (walk) => (walk[0] = 7))
      const { walk, made, rows } = await Effect.runPromise(walkOf([vandal, observer]).all)
      expect(walk).toEqual([1, 2, 4, 8, 16])
      expect(made).toBe(2)
      expect(rows.get("vandal")).toMatchObject({
        failure: {
          _tag: "UnitFailure",
          outcome: "failed",
          step,
          reason:
            "it changed the walk: a probe only reads, so it writes into copies, such as dataSync().slice(). The run was made again without it",
        },
      })
      // Another observer's rows are those of the run that counts, each observed once.
      expect(rows.get("honest")).toMatchObject(expected)
      expect(seen).toEqual([0, 1, 2, 3, 4])
    },
  )

  test("fails if it does so at the end", async () => {
    const finish = (walk: number[]) => walk.splice(0, 5, 0) && []
    const vandal = observing(() => [], { key: "vandal", steps: () => [], finish })
    const { walk, rows } = await Effect.runPromise(walkOf([vandal]).all)
    expect(walk).toEqual([1, 2, 4, 8, 16])
    expect(rows.get("vandal")).toMatchObject({ failure: { step: 4 } })
  })

  test("fails for that, even if it then throws", async () => {
    const vandal = vandalAt(1, (walk) => {
      walk.push(1)
      throw new Error("and now this")
    })
    const { walk, rows } = await Effect.runPromise(walkOf([vandal]).all)
    expect(walk).toEqual([1, 2, 4, 8, 16])
    expect(rows.get("vandal")).toMatchObject({
      failure: { reason: expect.stringContaining("changed the walk") },
    })
  })

  test("fails even if it does so in a function that it does not wait for", async () => {
    const vandal = vandalAt(1, (walk) => {
      setTimeout(() => (walk[0] = 7), 0)
    })
    const { walk, rows } = await Effect.runPromise(walkOf([vandal]).all)
    expect(walk).toEqual([1, 2, 4, 8, 16])
    expect(rows.get("vandal")).toMatchObject({ failure: { step: 1 } })
  })

  test("is not the only one that may: each is left out in turn", async () => {
    const observers = [1, 3].map((step) => ({ ...vandalAt(step, (walk) => walk.push(0)), key: `${step}` }))
    const { walk, made, rows } = await Effect.runPromise(walkOf(observers).all)
    expect([walk, made]).toEqual([[1, 2, 4, 8, 16], 3])
    expect(rows.get("1")).toMatchObject({ failure: { step: 1 } })
    expect(rows.get("3")).toMatchObject({ failure: { step: 3 } })
  })

  test("has no say in what is saved when the run is stopped during its observation", async () => {
    const reached = Deferred.makeUnsafe<void>()
    const vandal = observing(
      (walk: number[]) => {
        if (walk.length < 4) return []
        walk[0] = 7
        return Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
      },
      { key: "vandal", steps: () => [3] },
    )
    const { all, doubling } = walkOf([vandal])
    const fiber = Effect.runFork(all)
    await Effect.runPromise(Deferred.await(reached))
    await Effect.runPromise(Fiber.interrupt(fiber))
    // It had saved what the observer changed.
    expect(doubling.saved).toEqual([])
  })
})

describe("work that an observation hands over", () => {
  type Work = Effect.Effect<void, UnitFailure>
  /** An observer of steps 0 and 1 with such work at each, or at those for which there is some. */
  const handingOver = (workOf: (step: number) => Work | undefined, key = "norm") => {
    const observe = (step: number, { beside }: { beside: (work: Work) => void }) => {
      const work = workOf(step)
      if (work !== undefined) beside(work)
      return [{ step, norm: 1 }]
    }
    return observing(observe as never, { key })
  }
  const rows = [0, 1].map((step) => ({ step, norm: 1 }))
  const length = { steps: 1, warmupSteps: 0 }

  test("begins at once and goes on beside the run; its observation is made when it has ended", async () => {
    const done: string[] = []
    const gate = Deferred.makeUnsafe<void>()
    const observer = handingOver((step) =>
      Effect.gen(function* () {
        done.push(`begun at ${step}`)
        yield* Deferred.await(gate)
        done.push(`ended at ${step}`)
      }),
    )
    const { watch, make, observations } = watching(true, [observer])
    const folder = (step: number) => existsSync(join(observer.scratch, `observation-000000${step}`))
    const all = Effect.gen(function* () {
      yield* watch.start(length, nothing)
      yield* watch.at(0, 0)
      expect([done, watch.wants(0), folder(0)]).toEqual([["begun at 0"], false, false])
      const second = yield* Effect.forkChild(watch.at(1, 1))
      yield* Effect.sleep(5)
      // One at a time.
      expect(done).toEqual(["begun at 0"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(second)
      expect(folder(0)).toBe(true)
      yield* watch.settled
      expect([done.at(-1), folder(1)]).toEqual(["ended at 1", true])
      yield* watch.end(1)
    })
    await Effect.runPromise(make(all, Effect.void))
    expect((await Effect.runPromise(observations(undefined))).get("norm")).toMatchObject({ success: rows })
  })

  test("that fails is why, though another was waiting for its turn", async () => {
    const observer = handingOver((step) =>
      Effect.andThen(
        Effect.sleep(5),
        Effect.fail(new UnitFailure({ outcome: "failed", reason: `no room at ${step}` })),
      ),
    )
    const { watch, make, observations } = watching(true, [observer])
    const all = Effect.gen(function* () {
      yield* watch.start(length, nothing)
      for (const step of [0, 1]) yield* watch.at(step, step)
    })
    await Effect.runPromise(make(all, Effect.void))
    const found = await Effect.runPromise(observations(undefined))
    expect(found.get("norm")).toMatchObject({ failure: { reason: "no room at 0" } })
  })

  test.each([
    ["fails", Effect.fail(new UnitFailure({ outcome: "failed", reason: "no room" })), "no room"],
    ["throws", Effect.die(new Error("no room")), "no room"],
    ["interrupts itself", Effect.interrupt, "it interrupted itself"],
  ])("that %s fails its observer alone", async (_, ends: Work, reason) => {
    const failing = handingOver((step) => (step === 0 ? Effect.andThen(Effect.yieldNow, ends) : undefined))
    const other = handingOver(() => Effect.sleep(1), "other")
    const { watch, make, observations } = watching(true, [failing, other])
    const all = Effect.gen(function* () {
      yield* watch.start(length, nothing)
      for (const step of [0, 1]) yield* watch.at(step, step)
    })
    await Effect.runPromise(make(all, Effect.void))
    const found = await Effect.runPromise(observations(undefined))
    expect(found.get("norm")).toMatchObject({ failure: { reason: expect.stringContaining(reason) } })
    expect(found.get("other")).toMatchObject({ success: rows })
    // It is not asked again.
    const resumed = watching(true, [failing])
    await Effect.runPromise(resumed.watch.start(length, nothing))
    expect(resumed.watch.wants(1)).toBe(false)
  })

  test("is ended before a run that is stopped has ended", async () => {
    const reached = Deferred.makeUnsafe<void>()
    let ended = false
    const observer = handingOver(() =>
      Effect.andThen(
        Effect.sleep(5),
        Effect.sync(() => {
          ended = true
        }),
      ),
    )
    const { watch, make } = watching(true, [observer])
    const all = Effect.gen(function* () {
      yield* watch.start(length, nothing)
      yield* watch.at(0, 0)
      yield* Deferred.succeed(reached, undefined)
      yield* Effect.never
    })
    const fiber = Effect.runFork(make(all, Effect.void))
    await Effect.runPromise(Deferred.await(reached))
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(ended).toBe(true)
    const resumed = watching(true, [observer])
    await Effect.runPromise(resumed.watch.start(length, nothing))
    expect([resumed.watch.wants(0), resumed.watch.wants(1)]).toEqual([false, true])
  })

  test("is compared with the run as the observation is, and dropped if that has changed it", async () => {
    let model = 1
    let [released, written] = [false, false]
    const observer = handingOver(() =>
      Effect.acquireUseRelease(
        Effect.sync(() => model++),
        () =>
          Effect.andThen(
            Effect.sleep(1000),
            Effect.sync(() => (written = true)),
          ),
        () => Effect.sync(() => (released = true)),
      ),
    )
    const guard: Guard = { ...nothing, digests: Effect.sync(() => new Map([["the model", model]])) }
    const { watch, make, observations } = watching(true, [observer])
    const all = Effect.gen(function* () {
      yield* watch.start(length, guard)
      yield* watch.at(0, 0)
    })
    await Effect.runPromise(make(all, Effect.void))
    expect([released, written]).toEqual([true, false])
    expect((await Effect.runPromise(observations(undefined))).get("norm")).toMatchObject({
      failure: { step: 0, reason: expect.stringContaining("it changed the model") },
    })
  })

  test("is one work at most", async () => {
    const observe = (step: number, { beside }: { beside: (work: Work) => void }) => {
      beside(Effect.void)
      beside(Effect.void)
      return [{ step, norm: 1 }]
    }
    expect(await observed(observe as never)).toMatchObject({
      reason: expect.stringContaining("an observation hands over one work at most"),
    })
  })
})
