import { existsSync } from "node:fs"
import { join } from "node:path"
import { FileError } from "../../../core/io/files.ts"
import { type BenchmarkName, benchmarks } from "./benchmarks.ts"

/** A set of sentence pairs in local files: one file of sentences with scores, or a file of each. */
export interface SetFiles {
  readonly name: string
  readonly sentences: string
  /** The file of the scores, if they are not beside the sentences. */
  readonly scores?: string
}

/**
 * The files in a local folder that a benchmark is read from. What else lies there does not count.
 *
 * @throws FileError if the one file of STS-B or SICK-R is not there
 */
export const localFiles = (benchmark: BenchmarkName, folder: string): readonly SetFiles[] => {
  const { subsets, files = [] } = benchmarks[benchmark]
  if (subsets !== undefined) {
    return subsets.map((name) => ({
      name,
      sentences: join(folder, `STS.input.${name}.txt`),
      scores: join(folder, `STS.gs.${name}.txt`),
    }))
  }
  const file = files.find((name) => existsSync(join(folder, name)))
  if (file !== undefined) return [{ name: benchmark, sentences: join(folder, file) }]
  throw new FileError({
    path: folder,
    doing: `find ${benchmark} in`,
    found: `there is no ${files.join(" or ")}`,
    advice: "Give the folder that contains it",
  })
}
