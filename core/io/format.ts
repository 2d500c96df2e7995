/** Quantities formatted for people. */

/** `3.2 s`, `4 min`, `2 h 5 min`, `3 d 4 h`. */
export const formatSeconds = (seconds: number): string => {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 90) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

const scaled = (value: number, unit: string, names: readonly string[], step: number): string => {
  let scale = 0
  while (value >= step * 0.9995 && scale < names.length - 1) {
    value /= step
    scale++
  }
  const digits = scale === 0 || value >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${names[scale]}${unit}`
}

/** `1.3 GB`: powers of 1000. */
export const formatBytes = (bytes: number): string => scaled(bytes, "B", ["", "k", "M", "G", "T", "P"], 1000)

/** `3.1 PFLOP`. */
export const formatFlops = (flops: number): string =>
  scaled(flops, "FLOP", ["", "k", "M", "G", "T", "P", "E", "Z"], 1000)

/** `1 run`, `3 runs`, `2 processes`. */
export const plural = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`

/** `0.00001` as `1e-5`. */
export const shortNumber = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value)

/** Control characters, and those that turn the direction of writing or end a line, which a terminal would obey. */
const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/**
 * `text` with control characters escaped, as `\\x1b` and `\\u009b`; `kept` are left as they are. JSON stays JSON: it has
 * only such in it as are escaped in its own way.
 */
export const printable = (text: string, kept = ""): string =>
  text.replaceAll(controls, (character) => {
    if (kept.includes(character)) return character
    const code = character.codePointAt(0)!
    const escapes = { "\n": "\\n", "\r": "\\r", "\t": "\\t" } as Readonly<Record<string, string>>
    const hex = code.toString(16)
    return escapes[character] ?? (code < 32 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`)
  })

/** A word of a command line as a POSIX shell takes it, quoted if it must be: `'a b'`. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
