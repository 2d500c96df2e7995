import { createHash, type Hash } from "node:crypto"
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs"
import { join } from "node:path"
import { FileError, fileError } from "../io/files.ts"

/** Files up to this size are read whole; of larger ones (weights) pieces are, so that a plan is made at once. */
const readWhole = 2 ** 26
const pieces = 64
const pieceBytes = 2 ** 18

const digests = new Map<string, string>()

/**
 * A digest of the content of a file, or of a folder with all that is in it. A file of more than 64 MiB is known by its
 * size and 64 pieces of 256 KiB, evenly spread, the first and the last ones among them. Read once in a process.
 *
 * @throws FileError naming what cannot be read, in a folder too
 */
export const contentDigest = (path: string): string => {
  const known = digests.get(path)
  if (known !== undefined) return known
  const hash = createHash("sha256")
  addContent(hash, path)
  const digest = hash.digest("hex")
  digests.set(path, digest)
  return digest
}

const addContent = (hash: Hash, path: string): void => {
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) {
      for (const name of readdirSync(path).sort()) {
        hash.update(`${name}\0`)
        addContent(hash, join(path, name))
      }
    } else if (stat.isFile()) addFile(hash, path)
    else {
      // What comes out of a pipe or a device can be read once; its content is read here and again by its plugin.
      const found = "it is a pipe or a device, a file or a folder was expected"
      throw new FileError({ path, doing: "read", found, advice: "Save what it gives to a file first" })
    }
  } catch (cause) {
    throw fileError("read", path, cause)
  }
}

const addFile = (hash: Hash, path: string): void => {
  const file = openSync(path, "r")
  try {
    const { size } = fstatSync(file)
    hash.update(`${size}\0`)
    const buffer = Buffer.alloc(size <= readWhole ? size : pieceBytes)
    const count = size <= readWhole ? 1 : pieces
    for (let i = 0; i < count; i++) {
      const start = count === 1 ? 0 : Math.floor((i * (size - buffer.length)) / (count - 1))
      hash.update(buffer.subarray(0, readSync(file, buffer, 0, buffer.length, start)))
    }
  } finally {
    closeSync(file)
  }
}
