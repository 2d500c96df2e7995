/**
 * Names on the Hugging Face hub, written as its own libraries write them:
 * `hf://owner/name`, `hf://datasets/owner/name`, with `@revision` after the name and a path behind it.
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
  /** The path of a file in the repository; null where the repository itself is meant. */
  readonly path: string | null
}

const name = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
// No segment of a path starts with a dot, so none is `..` and none hides beside the cache's own files.
const segment = "[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}"
const pattern = new RegExp(
  `^hf://(datasets/)?((?!datasets/)${name}/${name})(?:@(${name}))?(?:/(${segment}(?:/${segment})*))?$`,
)
const scheme = "hf://"

/** @returns what is wrong with the address where it is none */
const parse = (text: string): HubAddress | string => {
  const match = pattern.exec(text)
  if (match === null)
    return `${scheme}owner/name, ${scheme}datasets/owner/name, or either with @revision and /path`
  const [, datasets, id, revision = "main", path = null] = match
  return { repository: { type: datasets === undefined ? "model" : "dataset", id: id!, revision }, path }
}

/** The address that a {@link Source} is; null where it is a local path. */
export const hubAddress = (source: string): HubAddress | null => {
  const parsed = source.startsWith(scheme) ? parse(source) : null
  return typeof parsed === "string" ? null : parsed
}

/** Where data come from: a local path, or an address on the hub, which is checked. */
export const Source = type("string > 0").narrow((source, context) => {
  const parsed = source.startsWith(scheme) ? parse(source) : null
  return typeof parsed === "string" ? context.mustBe(parsed) : true
})

/** How a repository, or a file in it, is told to a person. */
export const describeRepository = ({ type, id, revision }: Repository, path?: string): string =>
  `${scheme}${type === "dataset" ? "datasets/" : ""}${id}@${revision}${path === undefined ? "" : `/${path}`}`

/** The local paths among sources, for a plugin's `reads`: what lies on the hub is known by its revision. */
export const localSources = (...sources: readonly string[]): readonly string[] =>
  sources.filter((source) => hubAddress(source) === null)
