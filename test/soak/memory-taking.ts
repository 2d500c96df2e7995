/** A pipeline whose units take as much memory as they are told, for `memory.ts`. */
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { pipeline } from "../../core/api/pipeline.ts"
import { plugin } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"

/** Bytes. */
const megabyte = 1e6

const taking = plugin({
  name: "soak-memory",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Takes memory, and gives a page",
  options: type({ "+": "reject", megabytes: "number.integer >= 0" }),
  takes: {},
  gives: Page,
  usesBackend: false,
  // Much less than it takes: a plan that knew would run fewer jobs at a time.
  estimate: () => ({ artifact: {}, cost: cost({ memory: megabyte }) }),
  run: ({ options: { megabytes } }) =>
    Effect.promise(async () => {
      const kept: Uint8Array[] = []
      for (let taken = 0; taken < megabytes; taken++) {
        kept.push(new Uint8Array(megabyte).fill(taken))
        // So that several jobs grow at the same time.
        if (taken % 10 === 0) await Bun.sleep(20)
      }
      return new Map([["index.html", `${kept.length} MB`]])
    }),
})

export default pipeline({
  name: "memory-taking",
  summary: "Takes memory",
  parameters: type({ "+": "reject", megabytes: type("number").array() }),
  build: ({ megabytes }) =>
    Object.fromEntries(megabytes.map((each) => [`page-${each}`, taking({ megabytes: each })])),
})
