import { readdirSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { hubAddress } from "../../../../core/hub/address.ts"
import { download } from "../../../../core/hub/download.ts"
import { FileError, fileError } from "../../../../core/io/files.ts"
import type { GlueParquet, GlueTask, GlueTsv } from "./task.ts"

/** The two files that a task is read from. */
export interface GlueFiles {
  readonly layout: GlueTsv | GlueParquet
  readonly train: string
  readonly dev: string
}

const largestFile = 2 ** 28

/**
 * The files in a local folder that a task is read from, or in the task's own folder in it. What else lies there does
 * not count.
 *
 * @throws FileError if the folder has no two files that belong together
 */
export const localFiles = (task: GlueTask, given: string): GlueFiles => {
  const accepted = acceptedFiles(task)
  const all = namesIn(given)
  const isThere = ({ train, dev }: GlueFiles, names: readonly string[]) =>
    names.includes(train) && names.includes(dev)
  // GLUE's own folders are SST-2 and STS-B, and its hub's copy has sst2 and stsb.
  const own = all.find((name) => name.toLowerCase().replaceAll("-", "") === task.parquet.folder)
  const inGiven = own === undefined || accepted.some((files) => isThere(files, all))
  const folder = inGiven ? given : join(given, own)
  const present = inGiven ? all : namesIn(folder)
  const found = accepted.find((files) => isThere(files, present))
  if (found !== undefined) return { ...found, train: join(folder, found.train), dev: join(folder, found.dev) }
  throw new FileError({
    path: folder,
    doing: "find the data in",
    found: `it contains ${present.slice(0, 8).join(", ") || "nothing"}`,
    advice: `Give the folder with ${accepted.map(({ train, dev }) => `${train} and ${dev}`).join(", or with ")}`,
  })
}

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder).sort()
  } catch (cause) {
    throw fileError("list", folder, cause)
  }
}

/** By preference: the task's own files, and those of the hub's copy under short names or the hub's. */
const acceptedFiles = ({ tsv, parquet }: GlueTask): readonly GlueFiles[] => [
  ...tsv.map((layout) => ({ layout, train: layout.train, dev: layout.dev })),
  { layout: parquet, train: "train.parquet", dev: `${parquet.dev}.parquet` },
  { layout: parquet, train: hubName("train"), dev: hubName(parquet.dev) },
]

const hubName = (split: string) => `${split}-00000-of-00001.parquet`

/** The files of a task, from a local folder or downloaded from a copy of GLUE on the hub. */
export const filesOf = Effect.fnUntraced(function* (task: GlueTask, source: string) {
  const address = hubAddress(source)
  if (address === null) {
    return yield* Effect.try({
      try: () => localFiles(task, source),
      catch: (cause) => fileError("list", source, cause),
    })
  }
  const { parquet } = task
  const from = (split: string) =>
    download(address.repository, `${address.path ?? parquet.folder}/${hubName(split)}`, largestFile)
  return { layout: parquet, train: yield* from("train"), dev: yield* from(parquet.dev) } satisfies GlueFiles
})
