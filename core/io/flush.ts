/**
 * Having the disk keep what is written, whatever happens next: a file once its content is there, a name once the folder
 * that holds it is flushed too. All reject with what `node:fs` throws.
 */
import * as fs from "node:fs/promises"
import { dirname, join, resolve } from "node:path"

/** Writes a file that the disk then keeps. */
export const writeFlushed = async (path: string, content: string | Uint8Array): Promise<void> => {
  const handle = await fs.open(path, "w")
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Has the disk keep what was written to a file. */
const flushFile = async (path: string): Promise<void> => {
  const handle = await fs.open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const refusals = ["EINVAL", "ENOTSUP", "EISDIR", "EPERM", "EBADF"]

/** Has the disk keep the names in a folder. Some file systems keep them anyway and refuse to be asked. */
export const flushFolder = (path: string): Promise<void> =>
  flushFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (!refusals.includes(cause.code ?? "")) throw cause
  })

/** Makes a folder with those above it, each of which the disk then keeps. */
export const makeFolder = async (path: string): Promise<void> => {
  const first = await fs.mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = resolve(path); ; made = dirname(made)) {
    await flushFolder(dirname(made))
    if (made === resolve(first)) return
  }
}

/** Has the disk keep all of a folder: files first, then the folders that name them. */
export const flushTree = async (folder: string): Promise<void> => {
  const entries = await fs.readdir(folder, { withFileTypes: true })
  await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return flushTree(path)
      return entry.isFile() ? flushFile(path) : undefined
    }),
  )
  await flushFolder(folder)
}
