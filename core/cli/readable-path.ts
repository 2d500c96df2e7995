import { relative } from "node:path"

/** A path as a person reads it: from the current folder, if it is in there. */
export const readablePath = (path: string): string => {
  const inside = relative("", path)
  return inside === "" || inside.startsWith("..") ? path : inside
}
