/** The artifacts and divergences of a store, whatever pipeline they were made for. */
import { join } from "node:path"
import { Effect } from "effect"
import { type FileError, listNames } from "../../io/files.ts"
import type { KeyParts } from "../key.ts"
import type { Codes } from "./codes.ts"
import { Divergence, Manifest } from "./manifest.ts"
import { partsOfName } from "./record.ts"
import { Broken, readSealed } from "./seal.ts"
import type { Entry } from "./stored.ts"

/**
 * Those of some plugins, newest first. What is damaged or of an earlier version is left out.
 *
 * @param known the names of folders that are not read
 */
export const entriesIn = Effect.fnUntraced(function* (
  artifacts: string,
  codes: Codes,
  plugins: ReadonlySet<string>,
  known: ReadonlySet<string>,
): Effect.fn.Return<readonly Entry[], FileError> {
  if (plugins.size === 0) return []
  const names = (yield* listNames(artifacts)).filter(
    (name) => plugins.has(partsOfName(name)?.plugin ?? "") && !known.has(name),
  )
  const all = yield* Effect.forEach(names, (name) => entryIn(join(artifacts, name), codes), {
    concurrency: 32,
  })
  return all.flat().sort(newestFirst)
})

const entryIn = Effect.fnUntraced(function* (folder: string, codes: Codes) {
  const record = yield* Effect.promise(() => readEntry(folder))
  if (record === undefined) return []
  const { code: codeDigest, backend, ...others } = record.parts
  const code = yield* codes.read(codeDigest)
  const backendCode = backend === null ? null : yield* codes.read(backend.code)
  if (code === undefined || backendCode === undefined) return []
  const parts: KeyParts = {
    plugin: { name: record.plugin, version: record.version },
    ...code,
    options: record.options,
    ...others,
    backend: backend === null ? null : { arithmetic: backend.arithmetic, ...backendCode! },
  }
  return [{ folder, record, parts }]
})

/** The record of an entry; undefined if it has none, or a damaged one. */
const readEntry = async (folder: string): Promise<Manifest | Divergence | undefined> => {
  for (const [name, schema] of [
    ["manifest.json", Manifest],
    ["divergence.json", Divergence],
  ] as const) {
    const record = await readSealed(join(folder, name), schema).catch(() => undefined)
    if (record !== undefined && !(record instanceof Broken)) return record
  }
  return undefined
}

/** When an entry got its key. */
const keyedAt = ({ made, accepted }: Entry["record"]): string => accepted?.at(-1)?.when ?? made

const newestFirst = ({ record: a }: Entry, { record: b }: Entry): number => {
  const [first, second] = [keyedAt(a), keyedAt(b)]
  return first === second ? (a.key < b.key ? -1 : 1) : first > second ? -1 : 1
}
