import { createHash, type Hash } from "node:crypto"
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs"
import { join } from "node:path"
import { FileError, fileError } from "../io/files.ts"

/** Files up to this size (bytes) are read whole, larger ones (weights) in part, so that planning takes no time. */
const readWhole = 2 ** 26
const pieces = 64
const pieceBytes = 2 ** 18

const digests = new Map<string, string>()

/**
 * A digest of the content of a file, or of a folder with everything in it. For a file of more than 64 MiB it covers the
 * size and 64 evenly spaced pieces of 256 KiB, from the first to the last. Each path is read once per process.
 *
 * @throws FileError naming the file that cannot be read, even inside a folder
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
      // A pipe or a device can be read only once, but its content is read here and again by the plugin.
      const found = "expected a file or a folder, found a pipe or a device"
      throw new FileError({ path, doing: "read", found, advice: "Save its output to a file first" })
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
