/** Sets the environment variables that the hub's part reads, for the tests of a file. */
import { afterEach, beforeEach } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const names = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_DISABLE_IMPLICIT_TOKEN",
  "HF_HUB_DISABLE_SYMLINKS",
  "HF_HUB_OFFLINE",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HUGGINGFACE_HUB_CACHE",
  "HUGGING_FACE_HUB_TOKEN",
  "TRANSFORMERS_OFFLINE",
  "XDG_CACHE_HOME",
]

/** Before each test makes a new folder the only one that caches are in, and clears the other variables. */
export const inNewCache = () => {
  const before = names.map((name) => [name, process.env[name]] as const)
  const cache = {
    /** What `XDG_CACHE_HOME` is. */
    root: "",
    /** The hub's cache. */
    get hub() {
      return join(this.root, "huggingface", "hub")
    },
  }
  beforeEach(() => {
    cache.root = mkdtempSync(join(tmpdir(), "kasosei-hub-"))
    for (const name of names) delete process.env[name]
    process.env["XDG_CACHE_HOME"] = cache.root
  })
  afterEach(() => {
    rmSync(cache.root, { recursive: true, force: true })
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  return cache
}
