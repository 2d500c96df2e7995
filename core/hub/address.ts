/**
 * Addresses on the Hugging Face hub, in the form that its own libraries use:
 * `hf://owner/name` or `hf://datasets/owner/name`, optionally with `@revision` and then `/path`.
 */
import { type } from "arktype"

export interface Repository {
  readonly type: "model" | "dataset"
  /** `owner/name` */
  readonly id: string
  /** A branch, a tag or a commit. */
  readonly revision: string
}

export interface HubAddress {
  readonly repository: Repository
  /** The path of a file in the repository; null for the repository itself. */
  readonly path: string | null
}

const name = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
// No segment of a path starts with a dot: none is `..`, and none collides with the cache's own hidden files.
const segment = "[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}"
const pattern = new RegExp(
  `^hf://(datasets/)?((?!datasets/)${name}/${name})(?:@(${name}))?(?:/(${segment}(?:/${segment})*))?$`,
)
const scheme = "hf://"

/** @returns the address, or the expected form if the text does not have it */
const parse = (text: string): HubAddress | string => {
  const match = pattern.exec(text)
  if (match === null)
    return `${scheme}owner/name, ${scheme}datasets/owner/name, or either with @revision and /path`
  const [, datasets, id, revision = "main", path = null] = match
  return { repository: { type: datasets === undefined ? "model" : "dataset", id: id!, revision }, path }
}

/** The hub address in a {@link Source}; null if it is a local path. */
export const hubAddress = (source: string): HubAddress | null => {
  const parsed = source.startsWith(scheme) ? parse(source) : null
  return typeof parsed === "string" ? null : parsed
}

/** Where data come from: a local path or a hub address, whose form is checked. */
export const Source = type("string > 0").narrow((source, context) => {
  const parsed = source.startsWith(scheme) ? parse(source) : null
  return typeof parsed === "string" ? context.mustBe(parsed) : true
})

/** A repository, or a file in it, as messages name it. */
export const describeRepository = ({ type, id, revision }: Repository, path?: string): string =>
  `${scheme}${type === "dataset" ? "datasets/" : ""}${id}@${revision}${path === undefined ? "" : `/${path}`}`

/** The local paths among sources, for a plugin's `reads`. Files on the hub are identified by their revision. */
export const localSources = (...sources: readonly string[]): readonly string[] =>
  sources.filter((source) => hubAddress(source) === null)
