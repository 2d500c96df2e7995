/** `bun run store gc`: what nothing needs, and removing it. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { beginCollecting } from "../../engine/store/entrance.ts"
import { type Garbage, garbageIn, removeGarbage } from "../../engine/store/garbage.ts"
import { describeOwner, Owners } from "../../engine/store/owners.ts"
import { formatBytes, plural, printable } from "../../io/format.ts"
import { exitWith } from "../exit.ts"
import { ageText, printJson, printLines, storeAt, storeFlags, table } from "./listing.ts"

const units = { s: 1, m: 60, h: 3600, d: 24 * 3600, w: 7 * 24 * 3600 } as const

export const gcCommand = Command.make(
  "gc",
  {
    delete: Flag.Boolean("delete").pipe(
      Flag.withDescription("Remove it; without this, it is only listed"),
      Flag.withDefault(false),
    ),
    older: Flag.String("older").pipe(
      Flag.withMetavar("AGE"),
      Flag.filterMap(
        (text) => {
          const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? []
          return unit === undefined
            ? Option.none()
            : Option.some(Number(count) * units[unit as keyof typeof units] * 1000)
        },
        () => "an age such as 7d, 12h or 30m",
      ),
      Flag.withDescription(
        "Only what is older than this, as 7d, 12h or 30m (default: 1d; for the state of units that were stopped, 30d)",
      ),
      Flag.optional,
    ),
    ...storeFlags,
  },
  Effect.fn("store gc")(function* ({ delete: remove, older, out, json }) {
    const root = yield* storeAt(out)
    const collect = Effect.gen(function* () {
      const [busy, ...others] = remove ? yield* beginCollecting : []
      if (busy !== undefined) {
        const more = others.length === 0 ? "" : ` and ${plural(others.length, "other")}`
        return yield* exitWith(
          2,
          `nothing was removed: ${describeOwner(busy)}${more} may be using it; try again later`,
        )
      }
      const { garbage, needs } = yield* garbageIn(root, Option.getOrUndefined(older))
      if (needs.unknown.length > 0) {
        const [first, ...others] = needs.unknown
        const more = others.length === 0 ? "" : ` (and ${others.length} more)`
        return yield* exitWith(
          2,
          `nothing can go, since it is not known what is needed: ${first}${more}. Run \`store verify --repair\` and its pipeline, or remove its folder if you do not need it`,
        )
      }
      if (remove) yield* removeGarbage(root, garbage)
      return garbage
    })
    const garbage = yield* collect.pipe(
      Effect.scoped,
      Effect.provide(Owners.layer(root, { role: "collector", command: "store gc" })),
    )
    const bytes = garbage.reduce((sum, each) => sum + each.bytes, 0)
    if (json) {
      const list = garbage.map(({ made, ...each }) => ({ ...each, made: new Date(made).toISOString() }))
      return printJson({ deleted: remove, bytes, garbage: list })
    }
    const what = `${plural(garbage.length, "item")}, ${formatBytes(bytes)}`
    printLines([
      ...table(garbage.map(rowOf), new Set([0, 1])),
      garbage.length === 0
        ? "there is nothing to remove"
        : remove
          ? `removed ${what}`
          : `${what} would go with --delete`,
    ])
  }),
).pipe(
  Command.withDescription("List what no report and no unfinished launch needs; with --delete, remove it"),
  Command.withExamples([
    { command: "bun run store gc --older 7d", description: "What nothing needs and is older than a week" },
    { command: "bun run store gc --delete", description: "Remove it, unless it is younger than a day" },
  ]),
)

const rowOf = ({ label, why, bytes, made }: Garbage) => [
  formatBytes(bytes),
  ageText(made),
  why,
  printable(label),
]
