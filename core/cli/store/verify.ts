/** `bun run store verify`: reads every file, and compares it with its digest. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { damageLine } from "../../engine/store/damage.ts"
import { Owners } from "../../engine/store/owners.ts"
import { Store } from "../../engine/store/store.ts"
import { setProblemAside, verifyStore } from "../../engine/store/verify.ts"
import { formatBytes, plural, printable } from "../../io/format.ts"
import { showing } from "../display.ts"
import { exitWith } from "../exit.ts"
import { printJson, printLines, storeAt, storeFlags } from "./listing.ts"

export const verifyCommand = Command.make(
  "verify",
  {
    repair: Flag.Boolean("repair").pipe(
      Flag.withDescription(
        "Set aside in DIR/damaged what is damaged, so that the next run that needs it makes it again; remove what killed processes left half written",
      ),
      Flag.withDefault(false),
    ),
    ...storeFlags,
  },
  Effect.fn("store verify")(function* ({ repair, out, json }) {
    const root = yield* storeAt(out)
    const { problems, ...checked } = yield* showing(process.stderr, `verifying ${out} …`, verifyStore(root))
    const lines: string[] = []
    let left = 0
    for (const problem of problems) {
      const aside = repair ? yield* setProblemAside(root, problem) : undefined
      if (aside === undefined) left++
      lines.push(aside === undefined ? `damaged: ${problem.of}: ${problem.found}` : damageLine(aside))
    }
    if (repair) {
      yield* Effect.gen(function* () {
        yield* (yield* Owners).sweep
        yield* (yield* Store).removeHalfWritten
      }).pipe(
        Effect.provide([
          Store.layer(root),
          Owners.layer(root, { role: "supervisor", command: "store verify" }),
        ]),
        Effect.scoped,
      )
    }
    if (json) printJson({ ...checked, problems: problems.map(({ of, found }) => ({ of, found })), left })
    else {
      const { artifacts, files, bytes } = checked
      const result = problems.length === 0 ? "all as written" : `${plural(problems.length, "problem")}`
      printLines([
        ...lines.map((line) => printable(line)),
        `${plural(artifacts, "unit")}, ${plural(files, "file")}, ${formatBytes(bytes)}: ${result}`,
      ])
    }
    if (left > 0) return yield* exitWith(1)
  }),
).pipe(
  Command.withDescription("Compare every file with its digest; exit code 1 if something is damaged"),
  Command.withExamples([
    {
      command: "bun run store verify --repair",
      description: "Set aside what is damaged; the next run makes it again",
    },
  ]),
)
