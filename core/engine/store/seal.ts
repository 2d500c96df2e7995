/**
 * Seals: a JSON file of the store begins with the SHA-256 of the rest of it, so that any change of it is noticed.
 * `sed 2d FILE | sha256sum` gives the same digits.
 */
import * as fs from "node:fs/promises"
import { type } from "arktype"
import { sha256 } from "../../io/digest.ts"
import { parseJson } from "../../io/json.ts"

const opening = '{\n "seal": "'
const closing = '",\n'
const digits = 64
const sealedLength = opening.length + digits + closing.length

/** The text of a sealed file with this content. */
export const sealedText = (content: object): string => {
  const text = `${JSON.stringify(content, null, 1)}\n`
  return `${opening}${sha256(text)}${closing}${text.slice("{\n".length)}`
}

/** What is wrong with a file of the store. */
export class Broken {
  constructor(
    readonly what: string,
    /** Whether it is of a version of this program that sealed nothing. */
    readonly earlier = false,
  ) {}
}

/** The content of a sealed file. */
export const unsealed = <T extends type.Any>(text: string, schema: T): T["infer"] | Broken => {
  const rest = `{\n${text.slice(sealedLength)}`
  if (text.slice(0, sealedLength) !== `${opening}${sha256(rest)}${closing}`) {
    if (/^\{\n "(key|sources)": /.test(text))
      return new Broken("it is of an earlier version of this program", true)
    return new Broken(text === "" ? "it is empty" : "its content has changed since it was written")
  }
  const content = schema(parseJson(rest))
  // The program that wrote it may have been another version than this one.
  return content instanceof type.errors ? new Broken(content.summary, true) : content
}

/** Of a launch of a million units, bytes. */
const longestSealed = 2 ** 28

/**
 * The content of a sealed file. Rejects with what `node:fs` throws if it cannot be read.
 *
 * @returns what is wrong with it, if something is
 */
export const readSealed = async <T extends type.Any>(
  path: string,
  schema: T,
): Promise<T["infer"] | Broken> => {
  const { size } = await fs.stat(path)
  if (size > longestSealed) return new Broken(`expected at most ${longestSealed} bytes, found ${size}`)
  return unsealed(await fs.readFile(path, "utf8"), schema)
}
