import { createHash, type Hash, hash } from "node:crypto"
import { createReadStream } from "node:fs"

/**
 * JSON with the keys of every object sorted: the same value always gives the same text, and equal texts parse to equal
 * values. What JSON cannot hold is treated as `JSON.stringify` treats it.
 */
export const canonicalJson = (value: unknown): string => JSON.stringify(value, sorted)

const sorted = (_name: string, value: unknown): unknown => {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value
  const names = Object.keys(value)
  // Most are in order: a plan of many units would copy millions otherwise.
  if (names.every((name, index) => index === 0 || names[index - 1]! < name)) return value
  return Object.fromEntries(names.sort().map((name) => [name, (value as Record<string, unknown>)[name]]))
}

/** SHA-256 in hexadecimal. */
export const sha256 = (content: string | Uint8Array): string => hash("sha256", content)

/** Streams a file into a hash, since a checkpoint may exceed the largest buffer. Rejects with what `node:fs` throws. */
export const digestFile = async (path: string, digest: Hash = createHash("sha256")): Promise<string> => {
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk)
  return digest.digest("hex")
}
