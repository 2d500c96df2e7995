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
  "logs",
  "lock",
  "latest",
]

/** What the folder of a report holds beside those of its targets. */
export const takenInReport: readonly string[] = ["report.json", "summary.json", "publishing.lock"]

const longestName = 64
const valid = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i

/**
 * What a name must be that is none; undefined if it is one. A file system may not tell capitals from small letters, so
 * they are the same here.
 *
 * @param alsoTaken by other files of the folder that the name will be in
 */
export const expectedName = (name: unknown, alsoTaken: readonly string[] = []): string | undefined => {
  if (typeof name !== "string" || name.length > longestName || !valid.test(name))
    return `of letters and digits, with hyphens and dots inside, at most ${longestName} characters`
  const others = [...taken, ...alsoTaken]
  return others.includes(name.toLowerCase()) ? `another than ${others.join(", ")}` : undefined
}
