/** A pipeline of one unit that writes where its process prints, in ways that no redirection of `console` sees. */
import { spawnSync } from "node:child_process"
import { writeSync } from "node:fs"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { pipeline } from "../../../core/api/pipeline.ts"
import { plugin } from "../../../core/api/plugin.ts"
import { source } from "./plugins.ts"

const options = type({
  "+": "reject",
  /** Written by another program to the output that it inherits. */
  program: "string = ''",
  /** Written to the descriptor of standard output. */
  output: "string = ''",
  /** Written to the descriptor that is for replies. */
  replies: "string = ''",
  /** Why it fails. */
  reason: "string = ''",
})

const printing = plugin({
  name: "sample-printing",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Prints, and fails if it has a reason",
  options,
  takes: {},
  gives: source.gives,
  usesBackend: false,
  estimate: () => ({ artifact: { count: 1 }, cost: cost({}) }),
  run: Effect.fnUntraced(function* ({ options: { program, output, replies, reason } }) {
    spawnSync("printf", ["%s", program], { stdio: "inherit" })
    writeSync(1, output)
    if (replies !== "") writeSync(3, replies)
    if (reason !== "") return yield* new UnitFailure({ outcome: "failed", reason })
    return [1]
  }),
})

export default pipeline({
  name: "printing",
  summary: "One unit that prints",
  parameters: options,
  build: (given) => ({ printed: printing(given) }),
})
