/**
 * The first key that stands twice in one object of a JSON text, if any. `JSON.parse` keeps the last of the two in
 * silence, so a file could say different things to different readers.
 *
 * @param json valid JSON: parse it first
 */
export function duplicateKey(json: string): string | undefined {
  // One entry an open bracket: the keys so far of an object, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  let keyNext = false
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g)) {
    switch (token) {
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
      default: {
        const keys = open.at(-1)
        if (!keyNext || keys === undefined) break
        // Escapes are resolved first: "a" and "\u0061" are the same key.
        const key: string = JSON.parse(token)
        if (keys.has(key)) return key
        keys.add(key)
        keyNext = false
      }
    }
  }
  return undefined
}
