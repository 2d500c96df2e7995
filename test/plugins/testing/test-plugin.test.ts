/** Plugins with one defect each, to see that `testPlugin` finds it and nothing else. */
import { beforeAll, expect, test } from "bun:test"
import { templateProbe } from "../../../plugins/template/probe.ts"
import { inputsFor, toyStudy } from "../../../plugins/testing/toy-study.ts"
import { withArtifacts } from "../../../plugins/testing/with-artifacts.ts"
import { listing, source } from "../../core/sample/plugins.ts"
import { defectsFound, type Found, from } from "./defects.ts"

const defects = `
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { cost, Effect, observationsOf, Page, plugin, probe, Progress, tf, type } from ${from("core/entry/kasosei.ts")}
import { testPlugin } from ${from("plugins/testing/testing.ts")}

const Row = type({ "+": "reject", step: "number", value: "number" })
const none = type({ "+": "reject" })
const look = (name, change) =>
  testPlugin(probe()({
    name, version: 1, module: import.meta.url, summary: "A probe",
    options: none, gives: observationsOf(Row),
    steps: () => [0, 2],
    observe: ({ step }) => [{ step, value: 1 }],
    estimate: () => ({ rows: 2, cost: cost({ disk: 100 }) }),
    ...change,
  }))
const page = (name, change) =>
  testPlugin(plugin({
    name, stage: "report", version: 1, module: import.meta.url, summary: "A page",
    options: none, takes: {}, gives: Page, usesBackend: false,
    estimate: () => ({ artifact: {}, cost: cost({ disk: 100 }) }),
    run: () => Effect.succeed(new Map([["index.html", "text"]])),
    ...change,
  }))

look("sound", {})
page("sound-too", {})
page("bad-Name", {})
page("no-summary", { summary: "" })
page("any-option", { options: type({}) })
page("json-less", { options: type({ "+": "reject", at: type("Date").default(() => new Date(0)) }) })
page("by-chance", { run: () => Effect.sync(() => new Map([["index.html", String(Math.random())]])) })
page("forgetful", {
  run: ({ scratch }) => Effect.gen(function* () {
    mkdirSync(scratch, { recursive: true })
    const path = join(scratch, "state")
    const progress = yield* Progress
    for (let step = 1; step <= 3; step++) {
      appendFileSync(path, String(step))
      yield* progress.report(step, 3)
    }
    return new Map([["index.html", readFileSync(path, "utf8")]])
  }),
})
page("large", { run: () => Effect.succeed(new Map([["index.html", "x".repeat(20000)]])) })
page("small", { estimate: () => ({ artifact: {}, cost: cost({ disk: 20000 }) }) })
look("leaky", { observe: ({ step }) => { tf.scalar(1); return [{ step, value: 1 }] } })
look("meddling", {
  observe: ({ step, parameters, blocks }) => {
    const [name] = blocks.get("classifier")
    parameters.set(name, tf.tidy(() => tf.mul(parameters.get(name), 2)))
    return [{ step, value: 1 }]
  },
})
look("miscounted", { estimate: () => ({ rows: 3, cost: cost({ disk: 100 }) }) })
look("idle", {
  observe: ({ step }) => { tf.tidy(() => { tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])) }); return [{ step, value: 1 }] },
})
look("busy", {
  observe: ({ step }) => { tf.tidy(() => { tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])) }); return [{ step, value: 1 }] },
  estimate: () => ({ rows: 2, cost: cost({ disk: 100, flops: 1e8 }) }),
})
`

let failed: Found["failed"]
let sound: Found["sound"]
let said: string
beforeAll(() => {
  ;({ failed, sound, said } = defectsFound(defects, /^(\S+) keeps what plugins promise: > (.*)$/))
}, 120_000)

test.each([
  ["bad-Name", "its name, version"],
  ["no-summary", "its name, version"],
  ["any-option", "its options survive JSON"],
  ["json-less", "its options survive JSON"],
  ["by-chance", "made again"],
  ["forgetful", "stopped and resumed"],
  ["large", "its estimate is honest"],
  ["small", "its estimate is honest"],
  ["leaky", "made again"],
  ["meddling", "the run that it watches"],
  ["miscounted", "its estimate is honest"],
  ["idle", "its estimate is honest"],
  ["busy", "its estimate is honest"],
])("%s fails where it should: %s", (name, title) => {
  const found = failed.get(name) ?? []
  expect(found.filter((full) => full.startsWith(title))).toHaveLength(1)
})

test("a plugin without a defect passes, and the numbers of an estimate are shown", () => {
  expect([...sound].sort()).toEqual(["sound", "sound-too"])
  expect(said).toMatch(/disk: expected at most \d+, found 20000/)
})

test("an input of a kind that the toy study lacks is asked for by name", () => {
  expect(() => inputsFor(listing, {})).toThrow(
    "runs: the toy study has no cohorts of walk; give inputs: { runs: … }",
  )
  expect(inputsFor(templateProbe, {})).toEqual({ run: toyStudy.run })
  expect(inputsFor(templateProbe, { run: toyStudy.examples })).toEqual({ run: toyStudy.examples })
})

test("artifacts are those that the plugins give; a failure rejects with its reason", () =>
  withArtifacts(async (artifactOf) => {
    expect(await artifactOf(source({ count: 3 }))).toEqual([1, 2, 3])
    await expect(artifactOf(source({ count: 3, broken: true }))).rejects.toThrow(
      "sample-source failed: the source is broken",
    )
    await expect(artifactOf(source({ count: 0 }))).rejects.toThrow("sample-source: count must be")
  }))
