import { endOfString } from "./json.ts"

/**
 * The first key that appears twice in one object of a JSON text, if any. `JSON.parse` silently keeps the second, so
 * different readers of a file could see different values.
 *
 * @param json valid JSON: parse it first
 */
export function duplicateKey(json: string): string | undefined {
  // One entry per open bracket: the keys seen so far of an object, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  let keyNext = false
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case "{":
        open.push(new Set())
        keyNext = true
        break
      case "[":
        open.push(undefined)
        keyNext = false
        break
      case "}":
      case "]":
        open.pop()
        keyNext = false
        break
      case ",":
        keyNext = open.at(-1) !== undefined
        break
      case '"': {
        const start = at
        at = endOfString(json, start)
        const keys = open.at(-1)
        if (!keyNext || keys === undefined) break
        // Escapes are resolved before comparing: "a" and "\u0061" are the same key.
        const key: string = JSON.parse(json.slice(start, at + 1))
        if (keys.has(key)) return key
        keys.add(key)
        keyNext = false
      }
    }
  }
  return undefined
}
