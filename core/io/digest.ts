import { createHash, type Hash, hash } from "node:crypto"
import { createReadStream } from "node:fs"

/** JSON with the keys of every object sorted: the same value always gives the same text. */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  )

/** SHA-256 in hexadecimal. */
export const sha256 = (content: string | Uint8Array): string => hash("sha256", content)

/** Streams a file into a hash, since a checkpoint may exceed the largest buffer. Rejects with what `node:fs` throws. */
export const digestFile = async (path: string, digest: Hash = createHash("sha256")): Promise<string> => {
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk)
  return digest.digest("hex")
}
