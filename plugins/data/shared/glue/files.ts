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
 * The files in a local folder that a task is read from. What else lies there does not count.
 *
 * @throws FileError if the folder has no two files that belong together
 */
export const localFiles = (task: GlueTask, folder: string): GlueFiles => {
  const present = namesIn(folder)
  const accepted = acceptedFiles(task)
  const found = accepted.find(({ train, dev }) => present.includes(train) && present.includes(dev))
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
