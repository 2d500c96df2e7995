import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { decode, type InvalidInput } from "../io/decode.ts"

const Variables = type({
  "HF_ENDPOINT?": type(/^https?:\/\/[^\s/?#]+(\/[^\s?#]*)?$/).describe(
    "an address such as https://huggingface.co",
  ),
  // A token must never reach a message.
  "HF_TOKEN?": type(/^[\x21-\x7e]+$/).configure({
    message: () => "HF_TOKEN must be a token, without spaces",
  }),
  "HF_HUB_OFFLINE?": type(/^(1|on|yes|true|0|off|no|false)$/i).describe("1 or 0"),
  "XDG_CACHE_HOME?": type("string").narrow(
    (path, context) => isAbsolute(path) || context.mustBe("an absolute path"),
  ),
})

export interface HubEnvironment {
  /** The hub's address, without a trailing slash. */
  readonly endpoint: string
  readonly token: string | undefined
  /** Whether only cached files may be used. */
  readonly offline: boolean
  /** The folder of the cache. */
  readonly cache: string
}

/**
 * Reads `HF_ENDPOINT` (a mirror instead of huggingface.co), `HF_TOKEN` (for private or gated repositories),
 * `HF_HUB_OFFLINE` and `XDG_CACHE_HOME` from the environment. An empty variable counts as not set.
 *
 * @throws InvalidInput if a variable is invalid
 */
export const hubEnvironment: Effect.Effect<HubEnvironment, InvalidInput> = Effect.suspend(() => {
  const given = Object.fromEntries(
    ["HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "XDG_CACHE_HOME"].flatMap((variable) => {
      const value = process.env[variable]
      return value === undefined || value === "" ? [] : [[variable, value] as const]
    }),
  )
  return Effect.map(decode("environment variables", Variables)(given), (variables) => ({
    endpoint: (variables.HF_ENDPOINT ?? "https://huggingface.co").replace(/\/+$/, ""),
    token: variables.HF_TOKEN,
    offline: /^(1|on|yes|true)$/i.test(variables.HF_HUB_OFFLINE ?? ""),
    cache: join(variables.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "kasosei", "hub"),
  }))
})
