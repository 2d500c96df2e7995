/** `bun run store ls`: every unit that the store has something of. */
import { join } from "node:path"
import { Effect } from "effect"
import { Command } from "effect/cli"
import type { Item } from "../../engine/store/inventory.ts"
import { type Unfinished, unfinishedIn } from "../../engine/store/scratch.ts"
import { formatBytes, plural } from "../../io/format.ts"
import {
  ageText,
  listingOf,
  neededText,
  printJson,
  printLines,
  storeAt,
  storeFlags,
  table,
} from "./listing.ts"

export const lsCommand = Command.make(
  "ls",
  storeFlags,
  Effect.fn("store ls")(function* ({ out, json }) {
    const root = yield* storeAt(out)
    const { items, needs } = yield* listingOf(root)
    const unfinished = yield* unfinishedIn(root)
    for (const problem of needs.unknown) process.stderr.write(`${problem}\n`)
    if (json) {
      const units = items.map(({ made, inputs: _, codes: __, files: ___, ...item }) => ({
        ...item,
        made: new Date(made).toISOString(),
        folder: join(root, "artifacts", item.name),
        neededBy: needs.by.get(item.name) ?? [],
      }))
      const stopped = unfinished.map(({ made, ...each }) => ({ ...each, made: new Date(made).toISOString() }))
      return printJson({ units, unfinished: stopped })
    }
    const rows = [
      ...items.map((item) => [
        stateText(item),
        formatBytes(item.bytes),
        ageText(item.made),
        neededText(item, needs),
        item.note === undefined ? item.label : `${item.label}: ${item.note}`,
      ]),
      ...unfinished.map((each) => [
        "unfinished",
        formatBytes(each.bytes),
        ageText(each.made),
        "",
        labelOf(each),
      ]),
    ]
    const bytes = [...items, ...unfinished].reduce((sum, each) => sum + each.bytes, 0)
    if (rows.length > 0)
      printLines(table([["state", "size", "age", "needed by", "unit"], ...rows], new Set([1, 2])))
    printLines([`${plural(items.length, "unit")}, ${formatBytes(bytes)}`])
  }),
).pipe(Command.withDescription("List all units with their state, size, age, and what needs them"))

const states: Readonly<Record<Item["state"], string>> = {
  done: "done",
  extra: "done, and more",
  diverged: "diverged",
  failed: "failed",
  damaged: "damaged",
  earlier: "earlier version",
}

export const stateText = ({ state }: Pick<Item, "state">): string => states[state]

const labelOf = ({ label, folder }: Unfinished): string => label ?? folder
