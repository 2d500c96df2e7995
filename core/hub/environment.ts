import { existsSync, readFileSync, statSync } from "node:fs"
import { homedir } from "node:os"
import { isAbsolute, join, resolve } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { decode, InvalidInput } from "../io/decode.ts"
import { errorCode } from "../io/files.ts"

// A token must never reach a message.
const token = /^[\x21-\x7e]{1,4096}$/
const tokenNamed = (name: string) =>
  type(token).configure({ message: () => `${name} must be a token, without spaces` })
const Switch = type(/^(1|on|yes|true|0|off|no|false)$/i).describe("1 or 0")

/** What Python's huggingface_hub reads too, with the same meaning. */
const Variables = type({
  "HF_ENDPOINT?": type(/^https?:\/\/[^\s/?#]+(\/[^\s?#]*)?$/).describe(
    "an address such as https://huggingface.co",
  ),
  "HF_TOKEN?": tokenNamed("HF_TOKEN"),
  "HUGGING_FACE_HUB_TOKEN?": tokenNamed("HUGGING_FACE_HUB_TOKEN"),
  "HF_TOKEN_PATH?": "string",
  "HF_HUB_DISABLE_IMPLICIT_TOKEN?": Switch,
  "HF_HUB_OFFLINE?": Switch,
  "TRANSFORMERS_OFFLINE?": Switch,
  "HF_HOME?": "string",
  "HF_HUB_CACHE?": "string",
  "HUGGINGFACE_HUB_CACHE?": "string",
  "HF_HUB_DISABLE_SYMLINKS?": Switch,
  "XDG_CACHE_HOME?": type("string").narrow(
    (path, context) => isAbsolute(path) || context.mustBe("an absolute path"),
  ),
})
const names = Variables.props.map(({ key }) => String(key))

export interface HubEnvironment {
  /** The hub's address, without a trailing slash. */
  readonly endpoint: string
  readonly token: string | undefined
  /** Whether only cached files may be used. */
  readonly offline: boolean
  /** The folder of the cache, that of Python's huggingface_hub. */
  readonly cache: string
  /** Whether files that several commits have in common are stored once, with symbolic links to them. */
  readonly links: boolean
}

const isOn = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? "")

/** A path with `~` and `$NAME` replaced, as Python does. */
const expanded = (path: string): string =>
  resolve(
    path
      .replace(/^~(?=\/|$)/, homedir())
      .replace(/\$(?:(\w+)|\{(\w+)\})/g, (whole, a, b) => process.env[a ?? b] ?? whole),
  )

/** Where the cache is. */
const cacheFolder = (variables: typeof Variables.infer) => {
  const home = expanded(
    variables.HF_HOME ?? join(variables.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "huggingface"),
  )
  const cache = variables.HF_HUB_CACHE ?? variables.HUGGINGFACE_HUB_CACHE ?? join(home, "hub")
  return { home, cache: expanded(cache) }
}

const largestToken = 4096

/** The token that Python's `hf auth login` has stored; undefined if there is none. */
const storedToken = (path: string): Effect.Effect<string | undefined, InvalidInput> =>
  Effect.try({
    try: () => {
      if (!existsSync(path)) return undefined
      const stat = statSync(path)
      if (!stat.isFile() || stat.size > largestToken) {
        throw new Error(`expected a file of at most ${largestToken} bytes with a token`)
      }
      const stored = readFileSync(path, "utf8").trim()
      if (stored === "") return undefined
      if (!token.test(stored)) throw new Error("expected a token, without spaces")
      return stored
    },
    catch: (cause) => {
      const found = errorCode(cause) === "EACCES" ? "permission denied" : (cause as Error).message
      const advice = "log in again with Python's hf auth login, set HF_TOKEN, or delete it"
      return new InvalidInput({ what: path, problems: [`${found}; ${advice}`] })
    },
  })

/**
 * Reads the environment variables of Python's huggingface_hub: `HF_ENDPOINT` (a mirror instead of huggingface.co),
 * `HF_TOKEN` (for private or gated repositories; without it the token of `hf auth login`, in `HF_TOKEN_PATH` or
 * `$HF_HOME/token`), `HF_HUB_OFFLINE`, and where the cache is: `HF_HUB_CACHE`, `HF_HOME` or `XDG_CACHE_HOME`. An empty
 * variable counts as not set.
 *
 * @throws InvalidInput if a variable, or the file with the token, is invalid
 */
export const hubEnvironment: Effect.Effect<HubEnvironment, InvalidInput> = Effect.gen(function* () {
  const given = Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name]
      return value === undefined || value === "" ? [] : [[name, value] as const]
    }),
  )
  const variables = yield* decode("environment variables", Variables)(given)
  const { home, cache } = cacheFolder(variables)
  const offline = isOn(variables.HF_HUB_OFFLINE ?? variables.TRANSFORMERS_OFFLINE)
  const unsent = offline || isOn(variables.HF_HUB_DISABLE_IMPLICIT_TOKEN)
  const token = unsent
    ? undefined
    : (variables.HF_TOKEN ??
      variables.HUGGING_FACE_HUB_TOKEN ??
      (yield* storedToken(expanded(variables.HF_TOKEN_PATH ?? join(home, "token")))))
  return {
    endpoint: (variables.HF_ENDPOINT ?? "https://huggingface.co").replace(/\/+$/, ""),
    token,
    offline,
    cache,
    links: !isOn(variables.HF_HUB_DISABLE_SYMLINKS),
  }
})
