/** What the commands of `store` have in common. */
import * as fs from "node:fs/promises"
import { resolve } from "node:path"
import { Effect } from "effect"
import { CliOutput, Flag } from "effect/cli"
import { type Damaged, damagedIn, type Item, inventory } from "../../engine/store/inventory.ts"
import { type Needs, needsOf } from "../../engine/store/needs.ts"
import { unitsNamed } from "../../engine/unit-name.ts"
import { InvalidInput } from "../../io/decode.ts"
import { attempt } from "../../io/files.ts"
import { formatSeconds, printable } from "../../io/format.ts"
import { textFlag } from "../compute-flags.ts"
import { exitWith } from "../exit.ts"

export const storeFlags = {
  out: textFlag("out", "DIR").pipe(
    Flag.withDescription("The folder that pipelines wrote to (default: out)"),
    Flag.withDefault("out"),
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print JSON on standard output"),
    Flag.withDefault(false),
  ),
}

/** The absolute path of `--out`, which must be a folder that pipelines have written to, or nothing else. */
export const storeAt = Effect.fnUntraced(function* (out: string) {
  const root = resolve(out)
  const names = yield* attempt("list", root, () => fs.readdir(root))
  if (names.length === 0 || ["artifacts", "launches"].some((name) => names.includes(name))) return root
  return yield* exitWith(
    2,
    `${root}: no pipeline has written to this folder; expected one that was its --out`,
  )
})

export interface Listing {
  readonly items: readonly Item[]
  readonly damaged: readonly Damaged[]
  readonly needs: Needs
}

/** All artifacts, and what needs them. */
export const listingOf = Effect.fnUntraced(function* (root: string) {
  const items = yield* inventory(root)
  const damaged = yield* damagedIn(root)
  return { items, damaged, needs: yield* needsOf(root, items, damaged) } satisfies Listing
})

/** Labels that a message lists. */
const mostListed = 8

/**
 * The items that a text stands for.
 *
 * @throws InvalidInput if there are none
 */
export const itemsNamed = (
  items: readonly Item[],
  text: string,
): Effect.Effect<readonly Item[], InvalidInput> => {
  const found = unitsNamed(items, text)
  const problem = "expected a part of a label, the start of a key or an artifact's folder; no unit has that"
  return found.length > 0
    ? Effect.succeed(found)
    : Effect.fail(new InvalidInput({ what: text, problems: [problem] }))
}

/** @throws InvalidInput unless the text stands for one item */
export const itemNamed = Effect.fnUntraced(function* (items: readonly Item[], text: string) {
  const [item, ...others] = yield* itemsNamed(items, text)
  if (others.length === 0) return item!
  const labels = [item!, ...others].map(({ label, name }) => `${label} (${name})`)
  const listed = [...labels.slice(0, mostListed), ...(labels.length > mostListed ? ["…"] : [])].join("; ")
  return yield* new InvalidInput({
    what: text,
    problems: [`expected the name of one unit, found ${labels.length}: ${listed}`],
  })
})

/** How long ago something was made: `3 d 4 h`. */
export const ageText = (made: number): string => formatSeconds(Math.max(0, (Date.now() - made) / 1000))

/** Rows in columns, two spaces apart; numbers' columns are right-aligned. The last column is as wide as it likes. */
export const table = (
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): readonly string[] => {
  const shown = rows.map((row) => row.map((cell) => printable(cell)))
  const widths: number[] = []
  for (const row of shown) {
    for (const [i, cell] of row.entries()) {
      widths[i] = Math.max(widths[i] ?? 0, CliOutput.displayWidth(cell))
    }
  }
  return shown.map((row) =>
    row
      .map((cell, i) => {
        const space = " ".repeat(widths[i]! - CliOutput.displayWidth(cell))
        return right.has(i) ? `${space}${cell}` : `${cell}${space}`
      })
      .join("  ")
      .trimEnd(),
  )
}

export const printLines = (lines: readonly string[]): void => {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""))
}

export const printJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, null, 1)}\n`)
}

/** What needs an item, in a few words. */
export const neededText = (item: Item, { by }: Needs): string => {
  const [first, ...others] = by.get(item.name) ?? []
  if (first === undefined) return "nothing"
  return others.length === 0 ? first : `${first} and ${others.length} more`
}
