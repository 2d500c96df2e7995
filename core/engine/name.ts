/** Names that become names of files and folders in `--out`: those of pipelines, of their targets, and of plugins. */

/** What `--out` holds beside the folders of reports, which have the names of their pipelines. */
const taken: readonly string[] = [
  "artifacts",
  "sources",
  "scratch",
  "damaged",
  "tmp",
  "owners",
  "leases",
  "launches",
  "lock",
  "latest",
]

const longestName = 64
const valid = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i

/**
 * Why something cannot be such a name; undefined if it can. A file system may not tell capitals from small letters, so
 * they are the same here.
 *
 * @param alsoTaken by other files of the folder that the name will be in
 */
export const nameProblem = (name: unknown, alsoTaken: readonly string[] = []): string | undefined => {
  if (typeof name !== "string") return `expected a name, found ${name === null ? "null" : `a ${typeof name}`}`
  if (name.length > longestName || !valid.test(name))
    return `expected a name of letters and digits, with hyphens and dots inside, of at most ${longestName} characters, found ${JSON.stringify(name)}`
  const all = [...taken, ...alsoTaken]
  return all.includes(name.toLowerCase())
    ? `expected another name than ${all.join(", ")}, which the folder of results has for itself, found ${JSON.stringify(name)}`
    : undefined
}
