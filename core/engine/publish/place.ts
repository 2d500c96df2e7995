/**
 * Files in a folder where a user has files too: nothing of theirs is overwritten, removed or followed. What the
 * functions here throw is a `FileError` that says what to do.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { digestFile } from "../../io/digest.ts"
import { errorCode, FileError, fileError } from "../../io/files.ts"
import { flushFolder, writeFlushed } from "../../io/flush.ts"

/** What to do about something of a user's. */
export const moveAway = "Move it to another place"

const advices: Readonly<Record<string, string>> = {
  ENOSPC: "Free some space",
  EDQUOT: "Free some space",
  EROFS: "Make it writable",
  EACCES: "Make it writable",
  EPERM: "Make it writable",
  ENOTDIR: moveAway,
  EISDIR: moveAway,
  EEXIST: moveAway,
}

/** Runs `body`, which works on `path`; what it throws becomes a `FileError` with advice for a folder of reports. */
export const at = async <A>(doing: string, path: string, body: () => Promise<A>): Promise<A> => {
  try {
    return await body()
  } catch (cause) {
    if (cause instanceof FileError) throw cause
    const { found } = fileError(doing, path, cause)
    const advice = advices[errorCode(cause)]
    throw new FileError({ path, doing, found, ...(advice === undefined ? {} : { advice }) })
  }
}

/** What is at a path; a symbolic link is not followed. */
export type Standing = "nothing" | "folder" | "file" | "symbolic link" | "device"

export const standing = (path: string): Promise<Standing> =>
  at("read", path, async () => {
    try {
      const found = await fs.lstat(path)
      if (found.isSymbolicLink()) return "symbolic link"
      return found.isDirectory() ? "folder" : found.isFile() ? "file" : "device"
    } catch (cause) {
      if (["ENOENT", "ENOTDIR"].includes(errorCode(cause))) return "nothing"
      throw cause
    }
  })

/** Whether there is a folder; if something else is in its place, this is refused. */
export const isFolder = async (path: string): Promise<boolean> => {
  const found = await standing(path)
  if (found === "folder" || found === "nothing") return found === "folder"
  throw new FileError({ path, doing: "use", found: `expected a folder, found a ${found}`, advice: moveAway })
}

/** Makes a folder in one that exists, unless it is there. */
export const makeFolder = async (path: string): Promise<void> => {
  if (await isFolder(path)) return
  // Another process may make it at the same time.
  await at("make", path, () => fs.mkdir(path, { recursive: true }))
  await flushFolder(dirname(path))
}

/** The folders on the way from a folder to a path in it, the outermost first. */
export const foldersTo = (folder: string, path: string): readonly string[] => {
  const names = path.split("/").slice(0, -1)
  return names.map((_, i) => join(folder, ...names.slice(0, i + 1)))
}

/** What is at a path inside a folder. Throws if something on the way there is not a folder. */
export const standingIn = async (folder: string, path: string): Promise<Standing> => {
  for (const each of foldersTo(folder, path)) if (!(await isFolder(each))) return "nothing"
  return standing(join(folder, path))
}

/** SHA-256 of a file. */
export const digestAt = (path: string): Promise<string> => at("read", path, () => digestFile(path))

/** Removes a file of ours, then the folders that it leaves empty, up to `folder`. */
export const removeIn = async (folder: string, path: string): Promise<void> => {
  await at("remove", join(folder, path), () => fs.unlink(join(folder, path)))
  for (const each of [...foldersTo(folder, path)].reverse()) {
    const isEmptied = await fs.rmdir(each).then(
      () => true,
      () => false,
    )
    if (!isEmptied) return
  }
}

/** Removes something of ours that nobody needs; it is no error if that fails. */
export const discard = (path: string): Promise<void> =>
  fs.rm(path, { recursive: true, force: true }).catch(() => undefined)

/** A name for a file that makes room for another, at which there is nothing. */
export const spareName = async (path: string, why: string): Promise<string> => {
  const day = new Date().toISOString().slice(0, 10)
  for (let i = 1; ; i++) {
    const spare = `${path}.${why}-${day}${i === 1 ? "" : `-${i}`}`
    if ((await standing(spare)) === "nothing") return spare
  }
}

/** Where there can be no symbolic link: for this user, or on this file system. */
const cannotLink = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]

/**
 * Points a symbolic link to a folder beside it, atomically; where there can be none, a text file beside it gets the
 * folder's name.
 *
 * @param isOurs whether this is where an earlier call has pointed
 * @returns what is in its place and was left, if there is something
 */
export const pointTo = async (
  link: string,
  folder: string,
  isOurs: (name: string) => boolean,
): Promise<string | undefined> => {
  const temporary = `${link}.${randomBytes(4).toString("hex")}.tmp`
  const isLink = await at("make", link, () =>
    fs.symlink(folder, temporary).then(
      () => true,
      (cause) => {
        if (cannotLink.includes(errorCode(cause))) return false
        throw cause
      },
    ),
  )
  const path = isLink ? link : `${link}.txt`
  try {
    if (!isLink) await at("write", temporary, () => writeFlushed(temporary, `${folder}\n`))
    const name = await nameAt(path, isLink ? "symbolic link" : "file")
    if (name !== undefined && !isOurs(name)) return path
    await at("write", path, () => fs.rename(temporary, path))
    await flushFolder(dirname(path))
    return undefined
  } finally {
    await discard(temporary)
  }
}

/** The name that a link or a text file has in it; undefined if there is nothing, empty if it is something else. */
const nameAt = async (path: string, expected: "symbolic link" | "file"): Promise<string | undefined> => {
  const found = await standing(path)
  if (found === "nothing") return undefined
  if (found !== expected) return ""
  return at("read", path, async () =>
    found === "file" ? (await fs.readFile(path, "utf8")).trimEnd() : fs.readlink(path),
  )
}
