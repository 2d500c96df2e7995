/** How people name a unit: by a part of its label, the start of its key, or the folder of its artifact. */
import { basename } from "node:path"
import { shortNumber } from "../io/format.ts"

/** What a unit can be named by. */
export interface Named {
  readonly label: string
  readonly key: string
  /** The name of its plugin. */
  readonly plugin: string
}

/** Numbers as labels have them, so that lr=0.001 is lr=1e-3. */
export const wordsOf = (text: string): readonly string[] =>
  text.split(/\s+/).map((word) => {
    const [, name, value] = /^([^=]+=)(.+)$/.exec(word) ?? []
    return value !== undefined && Number.isFinite(Number(value))
      ? `${name}${shortNumber(Number(value))}`
      : word
  })

/** How a text can stand for a unit; the first way that finds one counts. */
const ways: readonly ((unit: Named, text: string) => boolean)[] = [
  ({ label }, text) => label === text,
  ({ key, plugin }, text) => {
    const [, name, start] = /^(.+)-([0-9a-f]{8,})$/.exec(basename(text)) ?? []
    return name === plugin && key.startsWith(start!)
  },
  ({ key }, text) => /^[0-9a-f]{6,}$/.test(text) && key.startsWith(text),
  ({ label, plugin }, text) => {
    const [given, words] = [new Set([plugin, ...wordsOf(text)]), new Set(label.split(" "))]
    return given.size === words.size && given.isSubsetOf(words)
  },
  ({ label }, text) => new Set(wordsOf(text)).isSubsetOf(new Set(label.split(" "))),
  ({ label }, text) => label.includes(text),
]

/** All units that a text stands for, in the first way that finds one. */
export const unitsNamed = <T extends Named>(units: readonly T[], text: string): readonly T[] =>
  ways.map((way) => units.filter((unit) => way(unit, text))).find(({ length }) => length > 0) ?? []
