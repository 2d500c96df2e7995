/** Damaged copies of files, as disks, downloads, editors and bad intentions leave them; equal seeds give equal copies. */
import { integers, type Stream } from "../../../core/tensor/stream.ts"

const encoder = new TextEncoder()

/** Draws integers one after the other for one mutated input. */
export class Dice {
  private draws = 0

  constructor(
    private readonly source: Stream,
    private readonly iteration: number,
  ) {}

  /** An integer from 0 to `bound` − 1; 0 if there is none. */
  below(bound: number): number {
    return integers(
      { stream: this.source, site: this.draws++, iteration: this.iteration },
      1,
      Math.max(1, bound),
    )[0]!
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** `content` with `inserted` in the place of `removed` bytes. */
const spliced = (content: Uint8Array, dice: Dice, inserted: Uint8Array, removed = 0): Uint8Array => {
  const at = dice.below(content.length + 1)
  return joined(content.subarray(0, at), inserted, content.subarray(at + removed))
}

/** Numbers that a header or a cell should not have. */
const numbers = [
  "-1",
  "0",
  "2147483648",
  "4294967295",
  "9007199254740993",
  "1e308",
  "1e-400",
  "99999999999999999999999999",
  "-0.0",
  "NaN",
  "Infinity",
]

const texts = [
  "\0",
  "\0".repeat(5000),
  "\x1b[31m\x1b]0;title\x07",
  "\u009b2J\u202e\u2066",
  "\r",
  "\n",
  "\n".repeat(5000),
  "\t".repeat(100),
  "\ufeff",
  "\u2028",
  '"',
  "\\",
  '\\"',
  ",",
  "a".repeat(70_000),
  "日本語".repeat(30_000),
  "e\u0301".repeat(30_000),
  "{",
  "[".repeat(50),
  "[".repeat(100_000),
  '{"a":'.repeat(50_000),
  "__proto__",
  '"__proto__":{"polluted":1},',
  "../../etc/passwd",
  "'".repeat(1000),
  "((((((((((",
]

/** Values that a place in JSON should not have, as text, since some are too deep to be written. */
const values = [
  ...numbers.filter((number) => !/[a-z]$/i.test(number)),
  "null",
  "true",
  "{}",
  "[]",
  '""',
  `"${"x".repeat(70_000)}"`,
  '"\\u0000\\u001b[31m\\u202e"',
  `[${"0,".repeat(50_000)}0]`,
  `{${Array.from({ length: 5000 }, (_, i) => `"k${i}":${i}`).join()}}`,
  `${"[".repeat(90)}${"]".repeat(90)}`,
  `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
  `${'{"a":'.repeat(80)}0${"}".repeat(80)}`,
  '{"__proto__":{"length":1}}',
  '{"toString":1,"valueOf":2,"constructor":3}',
]

/** JSON with another value in one place. */
const revalued = (json: string, dice: Dice): string => {
  const marker = "the place of another value"
  const value: unknown = JSON.parse(json)
  let at = value
  for (;;) {
    if (typeof at !== "object" || at === null || Object.keys(at).length === 0) return dice.pick(values)
    const inside = at as Record<string, unknown>
    const key = dice.pick(Object.keys(inside))
    const next = inside[key]
    const isInner = typeof next === "object" && next !== null && Object.keys(next).length > 0
    if (isInner && dice.below(4) > 0) at = next
    else {
      inside[key] = marker
      return JSON.stringify(value).replace(JSON.stringify(marker), () => dice.pick(values))
    }
  }
}

/** JSON, or the header of a safetensors file, with another value in one place; otherwise as it is. */
const otherValue = (content: Uint8Array, dice: Dice): Uint8Array => {
  const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  try {
    return encoder.encode(revalued(text(content), dice))
  } catch {}
  try {
    const length = Number(new DataView(content.slice(0, 8).buffer).getBigUint64(0, true))
    const header = encoder.encode(revalued(text(content.subarray(8, 8 + length)), dice))
    const size = new Uint8Array(8)
    new DataView(size.buffer).setBigUint64(0, BigInt(header.length), true)
    return joined(size, header, content.subarray(8 + length))
  } catch {
    return content
  }
}

type Mutation = (content: Uint8Array, dice: Dice) => Uint8Array

const mutations: Readonly<Record<string, Mutation>> = {
  "flipped bits": (content, dice) => {
    const copy = Uint8Array.from(content)
    for (let n = 1 + dice.below(8); n > 0 && copy.length > 0; n--) {
      copy[dice.below(copy.length)]! ^= 1 << dice.below(8)
    }
    return copy
  },
  "extreme bytes": (content, dice) => {
    const copy = Uint8Array.from(content)
    const at = dice.below(copy.length + 1)
    copy.fill(dice.pick([0, 1, 0x7f, 0x80, 0xfe, 0xff]), at, at + 1 + dice.below(9))
    return copy
  },
  "extreme bytes at an end": (content, dice) => {
    const copy = Uint8Array.from(content)
    const at = Math.max(0, dice.pick([dice.below(80), copy.length - 1 - dice.below(400)]))
    return copy.fill(dice.pick([0, 0x7f, 0x80, 0xff]), at, at + 1 + dice.below(5))
  },
  "cut off": (content, dice) => content.subarray(0, dice.below(content.length + 1)),
  "cut at the start": (content, dice) => content.subarray(dice.below(content.length + 1)),
  "a part doubled": (content, dice) => {
    const at = dice.below(content.length)
    const part = content.subarray(at, at + 1 + dice.below(2000))
    return spliced(content, dice, joined(...new Array<Uint8Array>(dice.pick([1, 2, 50])).fill(part)))
  },
  "a part removed": (content, dice) => spliced(content, dice, new Uint8Array(0), 1 + dice.below(100)),
  "a number replaced": (content, dice) => {
    const text = new TextDecoder("latin1").decode(content)
    const found = [...text.matchAll(/-?\d+(\.\d+)?/g)]
    if (found.length === 0) return spliced(content, dice, encoder.encode(dice.pick(numbers)))
    const { index, 0: number } = dice.pick(found)
    const replaced = encoder.encode(dice.pick(numbers))
    return joined(content.subarray(0, index), replaced, content.subarray(index + number.length))
  },
  "a word replaced": (content, dice) => {
    const text = new TextDecoder("latin1").decode(content)
    const found = [...text.matchAll(/"[^"\n]*"|\w+/g)]
    if (found.length === 0) return content
    const { index, 0: word } = dice.pick(found)
    const replaced = dice.pick(["null", "true", "{}", "[]", '""', '"\\u0000"', "0", dice.pick(found)[0]])
    return joined(content.subarray(0, index), encoder.encode(replaced), content.subarray(index + word.length))
  },
  "text inserted": (content, dice) => spliced(content, dice, encoder.encode(dice.pick(texts)), dice.below(5)),
  "bytes that are not UTF-8": (content, dice) =>
    spliced(content, dice, Uint8Array.from(dice.pick([[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf8, 0x88]]))),
  "nothing but text": (_, dice) => encoder.encode(dice.pick(texts)),
  empty: () => new Uint8Array(0),
  "another value": otherValue,
}

/** Those that leave most of a file as it is get deepest into its reader. */
const often = [
  "flipped bits",
  "extreme bytes",
  "extreme bytes at an end",
  "another value",
  "a number replaced",
]
const names = [...Object.keys(mutations), ...often, ...often]

/** A damaged copy, and how it was damaged: once to three times. */
export const mutated = (
  content: Uint8Array,
  dice: Dice,
): { readonly how: string; readonly copy: Uint8Array } => {
  let copy = content
  const how: string[] = []
  for (let n = dice.pick([1, 1, 1, 2, 3]); n > 0; n--) {
    const name = dice.pick(names)
    how.push(name)
    copy = mutations[name]!(copy, dice)
  }
  return { how: how.join(", "), copy }
}
