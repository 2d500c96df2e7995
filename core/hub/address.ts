/**
 * Addresses on the Hugging Face hub, in the form that its own libraries use:
 * `hf://owner/name` or `hf://datasets/owner/name`, optionally with `@revision` and then `/path`.
 */
import { type } from "arktype"

export interface Repository {
  readonly type: "model" | "dataset"
  /** `owner/name` */
  readonly id: string
  /** A branch, a tag or a commit, such as `main`, `v1.0` or `refs/pr/1`. */
  readonly revision: string
}

export interface HubAddress {
  readonly repository: Repository
  /** The path of a file in the repository; null for the repository itself. */
  readonly path: string | null
}

// As the hub has them: no `--`, which separates owner and name in the cache's folders, and no `..`.
const name = "(?!datasets/)(?![^/@]*(?:--|\\.\\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
const refPart = "(?![^/%]*\\.\\.)[A-Za-z0-9_][A-Za-z0-9._+=-]{0,95}"
// A slash in a branch's name is written %2F, but not in those that the hub itself makes.
const revision = `refs/(?:pr/\\d{1,9}|convert/${refPart})|${refPart}(?:%2[Ff]${refPart}){0,9}`
// No part of a path starts with a dot: none is `..`, and none collides with the cache's own hidden files.
const segment = "[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}"
const filePath = `${segment}(?:/${segment}){0,19}`
const pattern = new RegExp(`^hf://(datasets/)?(${name}/${name})(?:@(${revision}))?(?:/(${filePath}))?$`)
const pathPattern = new RegExp(`^${filePath}$`)
const commitPattern = /^[0-9a-f]{40}$/
const scheme = "hf://"

/** @returns the address, or the expected form if the text does not have it */
const parse = (text: string): HubAddress | string => {
  const match = pattern.exec(text)
  if (match === null)
    return `${scheme}owner/name, ${scheme}datasets/owner/name, or either with @revision and /path (a / in a revision is %2F)`
  const [, datasets, id, given = "main", path = null] = match
  const revision = given.replaceAll(/%2f/gi, "/")
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

/** Whether a path of a file in a repository can be one on the disk: it may come from a server. */
export const isFilePath = (path: string): boolean => pathPattern.test(path)

/** Whether a revision is a commit, whose content never changes. */
export const isCommit = (revision: string): boolean => commitPattern.test(revision)

/** A repository, or a file in it, as an address. */
export const describeRepository = ({ type, id, revision }: Repository, path?: string): string => {
  const at = /^refs\/(pr|convert)\//.test(revision) ? revision : revision.replaceAll("/", "%2F")
  return `${scheme}${type === "dataset" ? "datasets/" : ""}${id}@${at}${path === undefined ? "" : `/${path}`}`
}

/** The local paths among sources, for a plugin's `reads`. */
export const localSources = (...sources: readonly string[]): readonly string[] =>
  sources.filter((source) => hubAddress(source) === null)

/** The repositories among sources, for a plugin's `reads`: the commits that they stand for count in keys. */
export const hubSources = (...sources: readonly string[]): readonly string[] => {
  const addresses = sources.flatMap((source) => hubAddress(source) ?? [])
  return [...new Set(addresses.map(({ repository }) => describeRepository(repository)))]
}
