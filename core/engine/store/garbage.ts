/** What a store has that nothing needs. */
import { join, relative } from "node:path"
import { Effect } from "effect"
import { attempt, type FileError, listNames, move, remove } from "../../io/files.ts"
import { copiesFolder } from "../freeze.ts"
import { isLaunchId } from "../launch.ts"
import { unitOfLog } from "../logs.ts"
import { type Damaged, damagedIn, type Item, inventory } from "./inventory.ts"
import { type Launched, type Needs, needsOf } from "./needs.ts"
import { unfinishedIn } from "./scratch.ts"
import { sizeOf } from "./size.ts"

/** Something that can go. */
export interface Garbage {
  /** Its path in the store. */
  readonly path: string
  readonly label: string
  readonly why: string
  readonly bytes: number
  /** When it was made, ms since 1970. */
  readonly made: number
}

const day = 24 * 3600 * 1000
/** What is younger than this is kept, ms. */
const youngest = day
/** So long is the state of a stopped unit kept, unless a person says otherwise, ms. */
const longestStop = 30 * day

/**
 * What nothing needs and is old enough: artifacts that no report and no unfinished launch needs, the code that only
 * such ones name, what was set aside and has been made again or is not needed, the state of units that nobody has
 * resumed, and the records of launches, with their code and logs, of which nothing is there any more.
 *
 * @param older what was made before that, ms; undefined for a day, and 30 days for the state of stopped units
 */
export const garbageIn = Effect.fnUntraced(function* (
  root: string,
  older: number | undefined,
): Effect.fn.Return<{ readonly garbage: readonly Garbage[]; readonly needs: Needs }, FileError> {
  const items = yield* inventory(root)
  const damaged = yield* damagedIn(root)
  const needs = yield* needsOf(root, items, damaged)
  if (needs.unknown.length > 0) return { garbage: [], needs }
  const isOld: IsOld = ({ made }, least = youngest) => Date.now() - made > (older ?? least)
  const goes = (item: Item) => isOld(item) && !needs.by.has(item.name)
  const stay = items.filter((item) => !goes(item))
  const garbage = [
    ...items.filter(goes).map(
      ({ name, label, bytes, made }): Garbage => ({
        path: `artifacts/${name}`,
        label,
        why: "nothing needs it",
        bytes,
        made,
      }),
    ),
    ...(yield* sourcesOfNone(root, stay, isOld)),
    ...(yield* needlesslyAside(root, items, damaged, needs, isOld)),
    ...(yield* forsaken(root, items, isOld)),
    ...(yield* launchesOfNothing(root, stay, needs.launches, isOld)),
  ]
  return { garbage, needs }
})

/** Whether something may go by its age: `least` ms, unless a person says otherwise. */
type IsOld = (of: Pick<Garbage, "made">, least?: number) => boolean

/** The code that no artifact names. */
const sourcesOfNone = Effect.fnUntraced(function* (root: string, stay: readonly Item[], isOld: IsOld) {
  const named = new Set(stay.flatMap(({ codes }) => codes))
  return (yield* entriesOf(root, "sources"))
    .filter((entry) => !named.has(entry.path) && isOld(entry))
    .map((entry) => garbageOf(entry, "no artifact names it"))
})

/** What was set aside and has been made again, or is not needed. */
const needlesslyAside = Effect.fnUntraced(function* (
  root: string,
  items: readonly Item[],
  damaged: readonly Damaged[],
  needs: Needs,
  isOld: IsOld,
) {
  const names = new Set(items.map(({ name }) => name))
  const original = new Map(damaged.map((each) => [each.folder, each.name]))
  return (yield* entriesOf(root, "damaged")).flatMap((entry) => {
    const name = original.get(entry.name) ?? entry.name
    const again = names.has(name)
    // Until then, its record says what it is made from.
    if (!isOld(entry) || (!again && needs.by.has(name))) return []
    return [garbageOf(entry, again ? "it was made again" : "nothing needs it")]
  })
})

/** The state of units that are there, or that nobody has resumed. */
const forsaken = Effect.fnUntraced(function* (root: string, items: readonly Item[], isOld: IsOld) {
  const done = new Set(items.filter(({ state }) => state !== "failed").map(({ key }) => key))
  return (yield* unfinishedIn(root)).flatMap(({ folder, label = folder, keys, bytes, made }) => {
    const over = keys.length > 0 && keys.every((key) => done.has(key))
    if (!isOld({ made }, over ? youngest : longestStop)) return []
    return [{ path: folder, label, why: over ? "its unit is there" : "nobody has resumed it", bytes, made }]
  })
})

/** The records of launches of which nothing is there, copies of code that no launch runs, and logs of neither. */
const launchesOfNothing = Effect.fnUntraced(function* (
  root: string,
  stay: readonly Item[],
  launches: readonly Launched[],
  isOld: IsOld,
) {
  const there = new Set(stay.map(({ name }) => name))
  const launched = new Map(launches.map((launch) => [launch.id, launch]))
  const copies = new Set<string>()
  /** Units that have failed have nothing but their logs. */
  const units = new Set<string>()
  const garbage: Garbage[] = []
  for (const entry of yield* entriesOf(root, "launches")) {
    if (!isLaunchId(entry.name)) continue
    const launch = launched.get(entry.name)
    const needless = launch === undefined || (launch.isOver && !launch.names.some((name) => there.has(name)))
    if (needless && isOld(entry)) {
      const why = launch === undefined ? "it was cut off before it began" : "nothing that it made is there"
      garbage.push(garbageOf(entry, why))
      continue
    }
    if (launch?.code !== undefined) copies.add(launch.code)
    for (const name of launch?.names ?? []) units.add(name)
  }
  for (const entry of yield* entriesOf(root, relative(root, copiesFolder(root)))) {
    if (!copies.has(entry.name) && isOld(entry)) garbage.push(garbageOf(entry, "no launch runs it"))
  }
  for (const entry of yield* entriesOf(root, "logs")) {
    const unit = unitOfLog(entry.name)
    if (unit !== undefined && !there.has(unit) && !units.has(unit) && isOld(entry))
      garbage.push(garbageOf(entry, "its unit is gone"))
  }
  return garbage
})

/** Removes garbage; what is half removed is not in its place any more. */
export const removeGarbage = Effect.fnUntraced(function* (root: string, garbage: readonly Garbage[]) {
  for (const { path } of garbage) {
    const away = join(root, "tmp", `${process.pid}-gone-${path.replaceAll("/", "-")}`)
    yield* move(join(root, path), away)
    yield* remove(away)
  }
})

interface Entry {
  /** Relative to the store, with forward slashes. */
  readonly path: string
  readonly name: string
  readonly bytes: number
  readonly made: number
}

const garbageOf = ({ path, bytes, made }: Entry, why: string): Garbage => ({
  path,
  label: path,
  why,
  bytes,
  made,
})

/** The entries of a folder of the store. */
const entriesOf = Effect.fnUntraced(function* (root: string, folder: string) {
  const names = yield* listNames(join(root, folder))
  return yield* Effect.forEach(
    names,
    (name) =>
      attempt("read", join(root, folder, name), async () => {
        const { bytes, newest: made } = await sizeOf(join(root, folder, name))
        return { path: `${folder}/${name}`, name, bytes, made }
      }),
    { concurrency: 16 },
  )
})
