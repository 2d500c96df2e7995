import { describe, expect, test } from "bun:test"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { Agenda, type Ready } from "../../../core/engine/agenda.ts"
import type { UnitOutcome } from "../../../core/engine/job.ts"
import { type Job, jobsThatMake, type Plan } from "../../../core/engine/plan.ts"
import type { Stored } from "../../../core/engine/store/stored.ts"
import { inputsOf, type Unit } from "../../../core/engine/unit.ts"

/** A unit that takes `one` as single inputs and `many` as the members of a cohort. */
const unit = (
  name: string,
  one: readonly Unit[] = [],
  many: readonly Unit[] = [],
  watched: Unit | null = null,
): Unit => ({
  key: name,
  label: name,
  watched,
  inputs: {
    ...Object.fromEntries(one.map((each) => [each.key, { one: each }])),
    ...(many.length === 0
      ? {}
      : { members: { cohorts: [{ labels: {}, members: many.map((value, seed) => ({ seed, value })) }] } }),
  },
  cost: cost({}),
  replay: undefined,
  parts: { read: {} } as Unit["parts"],
  ...({} as Pick<Unit, "plugin" | "options" | "estimate">),
})

const diverged: Stored = {
  status: "diverged",
  failure: new UnitFailure({ outcome: "diverged", reason: "NaN", step: 1 }),
  record: {} as Extract<Stored, { status: "diverged" }>["record"],
}

/** The plan that makes what targets need, apart from what the store has. */
const planOf = (
  units: readonly Unit[],
  targets: readonly Unit[],
  stored: ReadonlyMap<string, Stored> = new Map(),
): Plan => {
  const wanted = new Set<Unit>()
  const want = (each: Unit): void => {
    if (wanted.has(each) || stored.has(each.key)) return
    wanted.add(each)
    for (const from of [each, ...(each.watched === null ? [] : [each.watched])].flatMap(inputsOf)) want(from)
  }
  targets.forEach(want)
  const graph = { units, targets: { targets }, origins: new Map() }
  return {
    graph,
    stored,
    jobs: jobsThatMake(graph, wanted),
    ...({} as Pick<Plan, "backend" | "reasons" | "speeds" | "estimate">),
  }
}

const done = (key: string): UnitOutcome => ({ key, status: "done", seconds: 1 })
const failed = (key: string): UnitOutcome => ({ key, status: "failed", kind: "plugin", reason: "no" })

/** An agenda with short names for what happens. */
const following = (plan: Plan) => {
  const agenda = new Agenda(plan)
  const running = new Map<string, Ready>()
  return {
    /** Begins all that can begin. */
    begin: (): readonly string[] => {
      const begun: string[] = []
      for (let ready = agenda.next(); ready !== undefined; ready = agenda.next()) {
        begun.push(ready.job.unit.key)
        running.set(ready.job.unit.key, ready)
      }
      return begun
    },
    end: (name: string, outcome: (key: string) => UnitOutcome = done) => {
      const { planned, job } = running.get(name)!
      running.delete(name)
      const keys = [...(job.wanted ? [name] : []), ...job.observers.map(({ key }) => key)]
      agenda.settle(planned, keys.map(outcome))
    },
    /** The jobs that were dropped, `stop x` for one that runs. */
    dropped: () =>
      agenda.takeDropped().map(({ planned, runs }) => (runs ? `stop ${planned.unit.key}` : planned.unit.key)),
    missing: (name: string) => [...running.get(name)!.missing.keys()],
    observers: (name: string) => running.get(name)!.job.observers.map(({ key }) => key),
    how: (key: string) => {
      const outcome = agenda.outcomes.get(key)
      return outcome?.status === "failed" ? [outcome.kind, outcome.without] : outcome?.status
    },
  }
}

test("what reads files begins first, and what was put off begins once it is resumed", () => {
  const [a, b] = [unit("a"), unit("b")]
  const reader = { ...unit("reader"), parts: { read: { "x.tsv": "digest" } } as unknown as Unit["parts"] }
  const later = { ...unit("later", [a]), parts: reader.parts }
  const plan = planOf([a, b, reader, later], [a, b, reader, later])
  const agenda = new Agenda(plan)
  const next = () => agenda.next()?.planned.unit.key
  expect([next(), next()]).toEqual(["reader", "a"])
  agenda.settle(plan.jobs.find(({ unit }) => unit === a)!, [done("a")])
  expect(next()).toBe("later")
  const put = plan.jobs.find(({ unit }) => unit === later)!
  agenda.putOff(put)
  expect([next(), next()]).toEqual(["b", undefined])
  agenda.resume(put)
  expect([next(), next()]).toEqual(["later", undefined])
})

describe("when the data of all runs fails while what they start from is trained", () => {
  const data = unit("data")
  const corpus = unit("corpus")
  const trained = [1, 2, 3].map((seed) => unit(`trained ${seed}`, [corpus]))
  const runs = trained.map((each, i) => unit(`run ${i + 1}`, [data, each]))
  const rest = [data, corpus, ...trained, ...runs]

  const failing = (report: Unit, others: readonly Unit[] = []) => {
    const agenda = following(planOf([...rest, report], [report, ...others]))
    expect(agenda.begin()).toEqual(["data", "corpus"])
    agenda.end("corpus")
    expect(agenda.begin()).toEqual(["trained 1", "trained 2", "trained 3"])
    agenda.end("trained 1")
    agenda.end("data", failed)
    return agenda
  }

  test("trainings that only those runs need are stopped, and a report is made without the runs", () => {
    const agenda = failing(unit("report", [], runs))
    expect([...agenda.dropped()].sort()).toEqual([
      "run 1",
      "run 2",
      "run 3",
      "stop trained 2",
      "stop trained 3",
    ])
    expect(agenda.how("run 3")).toEqual(["blocked", "data"])
    expect(agenda.begin()).toEqual(["report"])
    expect(agenda.missing("report")).toEqual(["run 1", "run 2", "run 3"])
  })

  test("trainings that the report also takes go on", () => {
    const agenda = failing(unit("report", [], [...runs, ...trained]))
    expect(agenda.dropped()).toEqual(["run 1", "run 2", "run 3"])
    expect(agenda.begin()).toEqual([])
    agenda.end("trained 2")
    agenda.end("trained 3")
    expect(agenda.begin()).toEqual(["report"])
  })

  test("a report that cannot be made itself needs nothing", () => {
    const agenda = failing(unit("report", [data], trained))
    expect([...agenda.dropped()].sort()).toEqual(["report", "stop trained 2", "stop trained 3"])
    expect(agenda.begin()).toEqual([])
  })

  test("a target that is one of the trainings goes on by itself", () => {
    const agenda = failing(unit("report", [data], runs), [trained[1]!])
    expect(agenda.dropped()).toContain("stop trained 3")
    expect(agenda.how("report")).toEqual(["blocked", "data"])
    agenda.end("trained 2")
    expect(agenda.how("trained 2")).toBe("done")
  })
})

test("what is needed through several units is given up through all of them, each once", () => {
  const [data, a] = [unit("data"), unit("a")]
  const b = unit("b", [a])
  const c = unit("c", [b, data])
  const report = unit("report", [], [c])
  const agenda = following(planOf([data, a, b, c, report], [report]))
  expect(agenda.begin()).toEqual(["data", "a"])
  agenda.end("data", failed)
  expect(agenda.dropped()).toEqual(["c", "b", "stop a"])
  expect([agenda.how("c"), agenda.how("b")]).toEqual([
    ["blocked", "data"],
    ["unneeded", "data"],
  ])
  agenda.end("a", (key) => ({ key, status: "failed", kind: "unneeded", reason: "", without: "data" }))
  expect(agenda.begin()).toEqual(["report"])
})

describe("a probe whose own input fails", () => {
  const [given, data] = [unit("given"), unit("data")]
  const run = unit("run", [data])
  const seen = unit("seen", [given], [], run)
  const other = unit("other", [], [], run)

  test("is left out of its run, which goes on without it", () => {
    const report = unit("report", [], [seen, other])
    const agenda = following(planOf([given, data, run, seen, other, report], [report]))
    expect(agenda.begin()).toEqual(["given", "data"])
    agenda.end("data")
    expect(agenda.begin()).toEqual([])
    agenda.end("given", failed)
    expect(agenda.begin()).toEqual(["run"])
    expect(agenda.observers("run")).toEqual(["other"])
    expect(agenda.how("seen")).toEqual(["blocked", "given"])
  })

  test("leaves a run that only it watches unneeded, with all that this run takes", () => {
    const report = unit("report", [], [seen])
    const agenda = following(planOf([given, data, run, seen, report], [report]))
    agenda.begin()
    agenda.end("given", failed)
    expect(agenda.dropped()).toEqual(["run", "stop data"])
  })
})

test("a probe that nobody needs any more goes on where its run does, and its run stops where nothing else needs it", () => {
  const x = unit("x")
  const [kept, lone] = [unit("kept"), unit("lone")]
  const [seen, alone] = [unit("seen", [], [], kept), unit("alone", [], [], lone)]
  const figure = unit("figure", [x], [seen, alone])
  const report = unit("report", [], [kept, figure])
  const agenda = following(planOf([x, kept, lone, seen, alone, figure, report], [report]))
  expect(agenda.begin()).toEqual(["x", "kept", "lone"])
  agenda.end("x", failed)
  expect(agenda.dropped()).toEqual(["figure", "stop lone"])
  agenda.end("kept")
  expect([agenda.how("kept"), agenda.how("seen")]).toEqual(["done", "done"])
})

test("what diverged in an earlier execution is known before anything begins", () => {
  const source = unit("source")
  const run = unit("run", [source])
  const after = unit("after", [run, source])
  const report = unit("report", [], [after])
  const plan = planOf([source, run, after, report], [report], new Map([["run", diverged]]))
  const agenda = following(plan)
  expect(agenda.dropped()).toEqual(["after", "source"])
  expect(agenda.how("after")).toEqual(["blocked", "run"])
  expect(agenda.begin()).toEqual(["report"])
})

test("a run in the store that is replayed for a probe is not waited for", () => {
  const run = unit("run")
  const seen = unit("seen", [], [], run)
  const report = unit("report", [], [run, seen])
  const manifest = {} as Extract<Stored, { status: "done" }>["manifest"]
  const plan = planOf([run, seen, report], [report], new Map([["run", { status: "done", manifest }]]))
  const agenda = following(plan)
  expect(agenda.begin()).toEqual(["run"])
  agenda.end("run")
  expect(agenda.begin()).toEqual(["report"])
})

/** Small random numbers that are the same in every run of the tests. */
const numbers = (seed: number) => {
  let state = seed * 2654435761 + 1
  return (below: number) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) >>> 0
    return state % below
  }
}

test("on random graphs, what begins and what is dropped follows from the definition", () => {
  let stops = 0
  for (let seed = 0; seed < 500; seed++) {
    const pick = numbers(seed)
    const units: Unit[] = []
    const plain: Unit[] = []
    for (let i = 0; i < 14; i++) {
      const some = (count: number, from: readonly Unit[] = units) =>
        from.length === 0 ? [] : Array.from({ length: pick(count + 1) }, () => from[pick(from.length)]!)
      const watched = pick(4) === 0 ? some(1, plain)[0] : undefined
      if (watched === undefined) plain.push(unit(`u${i}`, some(2), some(2)))
      // What a probe takes must not need the run that it watches: it takes units without inputs.
      const roots = units.filter(
        (each) => each.watched === null && inputsOf(each).length === 0 && each !== watched,
      )
      units.push(watched === undefined ? plain.at(-1)! : unit(`u${i}`, some(1, roots), [], watched))
    }
    const targets = [units[pick(14)]!, units.at(-1)!, units.at(-2)!]
    const stored = new Map(units.slice(0, pick(4)).map(({ key }) => [key, diverged] as const))
    const plan = planOf(units, targets, stored)
    const given = new Set(
      plan.jobs.flatMap((job) => (job.wanted ? [job.unit, ...job.observers] : job.observers)),
    )
    const jobOf = new Map(
      plan.jobs.flatMap((job) => [job.unit, ...job.observers].map((each) => [each, job] as const)),
    )

    /** From nothing but how units have ended. */
    const expected = (agenda: Agenda) => {
      const has = ({ key }: Unit) => agenda.outcomes.has(key)
      const isBad = (each: Unit) => has(each) && agenda.outcomes.get(each.key)!.status !== "done"
      const cannot = (each: Unit): boolean =>
        isBad(each) ||
        (each.watched !== null && !has(each) && singles(each.watched).some(cannot)) ||
        (!has(each) && singles(each).some(cannot))
      const needed = (each: Unit): boolean =>
        !(given.has(each) && cannot(each)) &&
        ((targets.includes(each) && given.has(each)) ||
          [...jobOf.keys()].some(
            (taker) =>
              !has(taker) &&
              ((inputsOf(taker).includes(each) && given.has(each)) || taker.watched === each) &&
              needed(taker),
          ))
      return { cannot, needed, has }
    }

    const agenda = new Agenda(plan)
    const running = new Map<Job, Ready>()
    const stopped = new Set<Job>()
    for (;;) {
      for (const { planned, runs } of agenda.takeDropped()) if (runs) stopped.add(planned)
      for (let ready = agenda.next(); ready !== undefined; ready = agenda.next())
        running.set(ready.planned, ready)
      const { cannot, needed, has } = expected(agenda)
      for (const job of plan.jobs) {
        const state = running.has(job)
          ? "runs"
          : keys(job).every((key) => agenda.outcomes.has(key))
            ? "ended"
            : "waits"
        const useful = needed(job.unit)
        if (state === "runs") expect([job.unit.key, stopped.has(job)]).toEqual([job.unit.key, !useful])
        if (state === "waits") {
          const takes = [job.unit, ...job.observers.filter((each) => !has(each))].flatMap(inputsOf)
          expect([job.unit.key, useful, takes.some((each) => given.has(each) && !has(each))]).toEqual([
            job.unit.key,
            true,
            true,
          ])
          for (const each of job.observers)
            if (!has(each)) expect([cannot(each), needed(each)]).toEqual([false, true])
        }
      }
      const next = [...running.values()][pick(Math.max(1, running.size))]
      if (next === undefined) break
      running.delete(next.planned)
      if (stopped.has(next.planned)) stops++
      agenda.settle(next.planned, keys(next.job).map(pick(4) === 0 ? failed : done))
    }
    expect([...given].filter(({ key }) => !agenda.outcomes.has(key))).toEqual([])
  }
  expect(stops).toBeGreaterThan(20)
})

const keys = ({ unit: own, wanted, observers }: Job) => [
  ...(wanted ? [own.key] : []),
  ...observers.map(({ key }) => key),
]

const singles = ({ inputs }: Unit) =>
  Object.values(inputs).flatMap((input) => ("one" in input ? [input.one] : []))
