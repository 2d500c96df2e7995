/** What a store has that nothing needs. */
import { join } from "node:path"
import { Effect } from "effect"
import { attempt, type FileError, listNames, move, remove } from "../../io/files.ts"
import { damagedIn, type Item, inventory } from "./inventory.ts"
import { type Needs, needsOf } from "./needs.ts"
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
  const now = Date.now()
  const isOld = ({ made }: { readonly made: number }) => now - made > (older ?? youngest)
  const isNeeded = ({ name }: Item) => needs.by.has(name)
  const goes = new Set(items.filter((item) => isOld(item) && !isNeeded(item)))
  const garbage: Garbage[] = [...goes].map(({ name, label, bytes, made }) => ({
    path: `artifacts/${name}`,
    label,
    why: "nothing needs it",
    bytes,
    made,
  }))
  const named = new Set(items.filter((item) => !goes.has(item)).flatMap(({ codes }) => codes))
  for (const { path, bytes, made } of yield* entriesOf(root, "sources")) {
    if (!named.has(path) && isOld({ made }))
      garbage.push({ path, label: path, why: "no artifact names it", bytes, made })
  }
  const names = new Set(items.map(({ name }) => name))
  const original = new Map(damaged.map((each) => [each.folder, each.name]))
  for (const { path, name: folder, bytes, made } of yield* entriesOf(root, "damaged")) {
    const name = original.get(folder) ?? folder
    const again = names.has(name)
    // Until then, its record says what it is made from.
    if (!isOld({ made }) || (!again && needs.by.has(name))) continue
    garbage.push({ path, label: path, why: again ? "it was made again" : "nothing needs it", bytes, made })
  }
  const done = new Set(items.filter(({ state }) => state !== "failed").map(({ key }) => key))
  for (const { folder, label = folder, keys, bytes, made } of yield* unfinishedIn(root)) {
    const over = keys.length > 0 && keys.every((key) => done.has(key))
    if (now - made <= (older ?? (over ? youngest : longestStop))) continue
    const why = over ? "its unit is there" : "nobody has resumed it"
    garbage.push({ path: folder, label, why, bytes, made })
  }
  const stays = new Set(items.filter((item) => !goes.has(item)).map(({ name }) => name))
  // Units that have failed have nothing but their logs.
  const launchedUnits = new Set<string>()
  const launched = new Map(needs.launches.map((launch) => [launch.id, launch]))
  const codes = new Set<string>()
  for (const { path, name, bytes, made } of yield* entriesOf(root, "launches")) {
    const launch = launched.get(name)
    if (launch === undefined) continue
    if (launch.isOver && isOld({ made }) && !launch.names.some((each) => stays.has(each))) {
      garbage.push({ path, label: path, why: "nothing that it made is there", bytes, made })
      continue
    }
    if (launch.code !== undefined) codes.add(launch.code)
    for (const each of launch.names) launchedUnits.add(each)
  }
  for (const { path, name, bytes, made } of yield* entriesOf(root, join("launches", "code"))) {
    if (!codes.has(name) && isOld({ made }))
      garbage.push({ path, label: path, why: "no launch runs it", bytes, made })
  }
  for (const { path, name, bytes, made } of yield* entriesOf(root, "logs")) {
    const of = name.replace(/\.log$/, "")
    if (!stays.has(of) && !launchedUnits.has(of) && isOld({ made }))
      garbage.push({ path, label: path, why: "its unit is gone", bytes, made })
  }
  return { garbage, needs }
})

/** Removes garbage; what is half removed is not in its place any more. */
export const removeGarbage = Effect.fnUntraced(function* (root: string, garbage: readonly Garbage[]) {
  for (const { path } of garbage) {
    const away = join(root, "tmp", `${process.pid}-gone-${path.replaceAll("/", "-")}`)
    yield* move(join(root, path), away)
    yield* remove(away)
  }
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
