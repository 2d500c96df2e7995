/** Runs data plugins on their own: options are checked as in a pipeline, inputs are given as values. */
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import type { Node, PluginError } from "../../../core/api/plugin.ts"
import { Progress } from "../../../core/api/progress.ts"
import type { AnyArtifactKind, Given } from "../../../core/artifacts/kind.ts"
import { countOf, type Sequences } from "../../../core/artifacts/sequences.ts"
import type { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { vocabulary } from "../../../plugins/data/vocabulary.ts"
import { readVocabulary } from "../../../plugins/model/vocabulary.ts"
import { hubServer } from "../../core/hub/hub-server.ts"

export const fixture = (...path: readonly string[]) => join(import.meta.dir, "..", "..", "fixtures", ...path)
/** The real benchmarks' data, if available. */
export const shared = (...path: readonly string[]) => join(import.meta.dir, "../../../../shared", ...path)
export const haveShared = existsSync(shared("data", "glue", "RTE"))

/** BERT's own vocabulary. */
export const bertVocabulary = await Effect.runPromise(readVocabulary(fixture("vocab.txt")))
/** Takes the place of the input in a pipeline; {@link run} supplies the value. */
export const vocabularyNode = vocabulary({ source: fixture("vocab.txt") })

type OpenRun = (context: unknown) => Effect.Effect<unknown, PluginError, Progress>

const effectOf = (node: Node, taken: Vocabulary, report: (done: number, total: number) => void) => {
  if (node.problems.length > 0) throw new Error(node.problems.join("\n"))
  const open = node.plugin.run as unknown as OpenRun
  return open({ options: node.options, inputs: { vocabulary: taken } }).pipe(
    Effect.provide(
      Layer.succeed(Progress, { report: (done, total) => Effect.sync(() => report(done, total)) }),
    ),
  )
}

/** The artifact that the plugin gives. */
export const run = async <K extends AnyArtifactKind>(
  node: Node<K>,
  taken = bertVocabulary,
  report: (done: number, total: number) => void = () => {},
): Promise<Given<K>> => (await Effect.runPromise(effectOf(node, taken, report))) as Given<K>

/** The message with which the plugin fails. */
export const refusal = async (node: Node, taken = bertVocabulary): Promise<string> =>
  (await Effect.runPromise(Effect.flip(effectOf(node, taken, () => {})))).message

/** The plugin's estimate. */
export const estimate = (node: Node) =>
  (
    node.plugin.estimate as unknown as (
      options: unknown,
      inputs: unknown,
    ) => { artifact: unknown; cost: { disk: number; memory: number } }
  )(node.options, { vocabulary: { size: bertVocabulary.tokens.length } })

/** SHA-256 over one line per sequence: `ids|tokenTypeIds`. */
export const digestOf = ({ ids, tokenTypeIds, offsets }: Sequences): string => {
  const hash = createHash("sha256")
  for (let i = 0; i + 1 < offsets.length; i++) {
    const part = (array: Int32Array) => array.subarray(offsets[i]!, offsets[i + 1]!).join(" ")
    hash.update(`${part(ids)}|${part(tokenTypeIds)}\n`)
  }
  return hash.digest("hex")
}

/** Each sequence as text: its tokens, separated by spaces. */
export const wordsOf = (sequences: Sequences): readonly string[] =>
  Array.from({ length: countOf(sequences) }, (_, i) =>
    Array.from(
      sequences.ids.subarray(sequences.offsets[i]!, sequences.offsets[i + 1]!),
      (id) => bertVocabulary.tokens[id]!,
    ).join(" "),
  )

/** Runs `body` with a folder that contains these files, then deletes the folder. */
export const withFiles = async <A>(
  files: Readonly<Record<string, string | Uint8Array>>,
  body: (folder: string) => Promise<A>,
): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "kasosei-data-"))
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    return await body(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Runs `body` with an empty cache and a hub that serves these large files, each under its path such as
 * `datasets/owner/name/resolve/main/file`.
 *
 * @param body receives a function that takes the hub off the network
 */
export const withHub = async <A>(
  files: Readonly<Record<string, Uint8Array>>,
  body: (disconnect: () => void) => Promise<A>,
): Promise<A> => {
  const { HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME } = process.env
  const server = await hubServer(
    Object.fromEntries(Object.entries(files).map(([path, content]) => [path, { content, large: true }])),
  )
  try {
    return await withFiles({}, (cache) => {
      process.env.HF_ENDPOINT = server.endpoint
      process.env.HF_HOME = join(cache, "huggingface")
      delete process.env.HF_HUB_CACHE
      process.env.XDG_CACHE_HOME = cache
      return body(server.close)
    })
  } finally {
    server.close()
    for (const [name, value] of Object.entries({ HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME })) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}
