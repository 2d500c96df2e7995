/** `bun run store export UNIT... --to DIR`: copies of artifacts, usable as an `--out` elsewhere. */
import { resolve } from "node:path"
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { exportItem } from "../../engine/store/export.ts"
import { inventory } from "../../engine/store/inventory.ts"
import { InvalidInput } from "../../io/decode.ts"
import { formatBytes, plural } from "../../io/format.ts"
import { textFlag } from "../compute-flags.ts"
import { itemsNamed, printJson, printLines, storeAt, storeFlags } from "./listing.ts"
import { unitArgument } from "./show.ts"

export const exportCommand = Command.make(
  "export",
  {
    units: unitArgument.pipe(Argument.atLeast(1)),
    to: textFlag("to", "DIR").pipe(Flag.withDescription("The folder to copy to, an --out of its own")),
    ...storeFlags,
  },
  Effect.fn("store export")(function* ({ units, to, out, json }) {
    const root = yield* storeAt(out)
    const items = yield* inventory(root)
    const chosen = new Set<(typeof items)[number]>()
    for (const text of units) for (const item of yield* itemsNamed(items, text)) chosen.add(item)
    const problems = [...chosen]
      .filter(({ state }) => !["done", "extra", "diverged"].includes(state))
      .map(({ label, state, note }) => `${label} is ${state}${note === undefined ? "" : `: ${note}`}`)
    if (problems.length > 0) return yield* new InvalidInput({ what: "store export", problems })
    const target = resolve(to)
    let copied = 0
    for (const item of chosen) if (yield* exportItem(root, item, target)) copied++
    const bytes = [...chosen].reduce((sum, item) => sum + item.bytes, 0)
    if (json) {
      const list = [...chosen].map(({ name, key, label, bytes }) => ({ name, key, label, bytes }))
      return printJson({ to: target, copied, units: list })
    }
    printLines([
      `${plural(chosen.size, "unit")}, ${formatBytes(bytes)}, in ${target}: ${copied} copied, ${chosen.size - copied} there already; all compared with their digests`,
    ])
  }),
).pipe(
  Command.withDescription(
    "Copy units with their manifests to another folder, which is then an --out of its own",
  ),
  Command.withExamples([
    {
      command: "bun run store export 'arm=simcse' 3f2a9c01 --to shared",
      description: "All units of an arm, and one by its key",
    },
  ]),
)
