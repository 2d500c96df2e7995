import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { Effect } from "effect"
import { openSafetensors, writeSafetensors } from "../../../core/tensor/safetensors.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { mlm } from "../../../plugins/pretrain/mlm.ts"
import { pretrained } from "../../../plugins/pretrain/pretrained.ts"
import { checkpointBy, corpusOf, onWasm, refusal, vocabulary, withFolder } from "./running.ts"

const size = { layers: 2, hidden: 16, heads: 2, intermediate: 24 }
const expected = { size, vocabularySize: 25, positions: 16 }
const root = mkdtempSync(join(tmpdir(), "released-"))
const source = join(root, "source")
const sharded = join(root, "sharded")
afterAll(() => rmSync(root, { recursive: true, force: true }))

beforeAll(async () => {
  await onWasm()
  await Effect.runPromise(
    checkpointBy(mlm, source, {
      options: { size, positions: 16, batchSize: 8, steps: 1 },
      inputs: { corpus: corpusOf(20), vocabulary },
      scratch: join(root, "scratch"),
    }),
  )
  writeFileSync(join(source, "optimizer.pt"), "not taken")
  writeFileSync(join(source, "tokenizer_config.json"), '{"do_lower_case": true}')
  await shard(sharded)
})

/** Writes the source as the hub stores large models: two shards of weights with an index, and a tokenizer.json. */
const shard = async (folder: string) => {
  mkdirSync(folder)
  cpSync(join(source, "config.json"), join(folder, "config.json"))
  writeFileSync(join(folder, "tokenizer.json"), "{}")
  const file = join(source, "model.safetensors")
  const weight_map: Record<string, string> = {}
  await Effect.runPromise(
    Effect.gen(function* () {
      const { entries, read } = yield* openSafetensors(file)
      const all = [...entries.values()]
      for (const [part, name] of [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
      ].entries()) {
        const tensors = all.filter((_, i) => i % 2 === part)
        const sources = yield* Effect.forEach(tensors, ({ name, shape }) =>
          Effect.map(read(name), (values) => ({ name, shape, values: () => Promise.resolve(values) })),
        )
        yield* writeSafetensors(join(folder, name), sources)
        for (const tensor of tensors) weight_map[tensor.name] = name
      }
    }).pipe(Effect.scoped),
  )
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }))
}

const taken = (folder: string, options: object) =>
  Effect.runPromise(
    checkpointBy(pretrained, join(folder, "out"), {
      options: { ...expected, ...options },
      inputs: {},
      scratch: folder,
    }),
  )
const refused = (options: object) =>
  withFolder((scratch) => refusal(pretrained, { options: { ...expected, ...options }, inputs: {}, scratch }))
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")

/** A copy of the source with a change. */
const changed = (name: string, change: (folder: string) => void): string => {
  const folder = join(root, name)
  cpSync(source, folder, { recursive: true })
  change(folder)
  return folder
}
const withConfig = (name: string, keys: object) =>
  changed(name, (folder) => {
    const path = join(folder, "config.json")
    const config: object = JSON.parse(readFileSync(path, "utf8"))
    writeFileSync(path, JSON.stringify({ ...config, ...keys }))
  })

describe("from a folder", () => {
  test("copies the model's files byte for byte, and is independent of the folder afterwards", () =>
    withFolder(async (folder) => {
      const original = changed("edited-later", () => {})
      const { folder: out } = await taken(folder, { source: original })
      const files = ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
      expect(readdirSync(out).sort()).toEqual(files)
      writeFileSync(join(original, "model.safetensors"), "edited in place")
      for (const file of files) expect(digest(join(out, file))).toBe(digest(join(source, file)))
      const model = await Effect.runPromise(loadModel(out, { outputHeads: { pooler: "read" } }))
      model.parameters.dispose()
    }))

  test("is known by the files that it reads, not by what else lies there", () => {
    const reads = pretrained.reads as unknown as (options: object) => readonly string[]
    const read = (folder: string) =>
      reads({ ...expected, source: folder }).map((path) => relative(folder, path))
    const logged = changed("logged", (folder) => {
      for (const name of ["train.log", "adapter.safetensors"]) writeFileSync(join(folder, name), "step 1")
    })
    expect(read(logged)).toEqual(["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"])
    expect(read(sharded)).toContain("model.safetensors.index.json")
    expect(read(sharded).filter((name) => /^model-.*safetensors$/.test(name)).length).toBeGreaterThan(1)
    expect(read(join(root, "absent"))).toEqual([""])
    expect(reads({ ...expected, source: "hf://owner/name" })).toEqual(["hf://owner/name@main"])
  })

  test("refuses a checkpoint whose sizes differ from the options, and names each option", async () => {
    const message = await refused({ source, size: "tiny", vocabularySize: 30522 })
    expect(message).toContain(
      "hidden_size: expected 128, by the option size tiny, found 16; correct the option or",
    )
    expect(message).toContain(
      "vocab_size: expected 30522, by the option vocabularySize, found 25; correct the option to 25",
    )
    expect(message).not.toContain("num_hidden_layers")
    expect(message).toContain(join(source, "config.json"))
  })

  test("refuses weights that contradict config.json, are cut off, or are missing", async () => {
    const wider = withConfig("wider", { intermediate_size: 32 })
    expect(await refused({ source: wider, size: { ...size, intermediate: 32 } })).toContain(
      "intermediate_size",
    )
    const deeper = withConfig("deeper", { num_hidden_layers: 3 })
    expect(await refused({ source: deeper, size: { ...size, layers: 3 } })).toContain("encoder.layer.2")
    const cut = changed("cut", (folder) => {
      const path = join(folder, "model.safetensors")
      truncateSync(path, statSync(path).size - 100)
    })
    expect(await refused({ source: cut })).toContain("cut off")
    const empty = changed("empty", (folder) => rmSync(join(folder, "model.safetensors")))
    expect(await refused({ source: empty })).toContain("neither model.safetensors")
    expect(await refused({ source: join(root, "nowhere") })).toContain("there is no such file or folder")
  })

  test.each([
    ["roberta", "num_hidden_layers", "hidden_size", "max_position_embeddings: expected 34", "found 22"],
    ["electra", "num_hidden_layers", "hidden_size", "max_position_embeddings: expected 32", "found 20"],
    ["distilbert", "n_layers", "dim", "max_position_embeddings: expected 32", "found 20"],
  ])("takes a %s, and names its own keys if its sizes differ", (layout, layers, hidden, positions, found) =>
    withFolder(async (folder) => {
      const source = join(import.meta.dir, "../../fixtures/layouts", `${layout}-2x32`)
      const own = { layers: 2, hidden: 32, heads: 4, intermediate: 48 }
      const { config } = await taken(folder, { source, size: own, vocabularySize: 96, positions: 20 })
      expect(config.model_type).toBe(layout)
      const message = await refused({ source, size: "tiny", vocabularySize: 96, positions: 32 })
      expect(message).toContain(`${hidden}: expected 128, by the option size tiny, found 32`)
      expect(message).toContain(`${positions}, by the option positions, ${found}; correct the option to 20`)
      expect(message).not.toContain(layers)
    }),
  )

  test("refuses weights with a value that is not finite, and names it", async () => {
    const damaged = changed("damaged", () => {})
    const path = join(damaged, "model.safetensors")
    const tensor = "bert.encoder.layer.1.output.dense.bias"
    await Effect.runPromise(
      Effect.gen(function* () {
        const { entries, read } = yield* openSafetensors(join(source, "model.safetensors"))
        const sources = yield* Effect.forEach([...entries.values()], ({ name, shape }) =>
          Effect.map(read(name), (values) => {
            if (name === tensor) values[7] = Number.NaN
            return { name, shape, values: () => values }
          }),
        )
        yield* writeSafetensors(path, sources)
      }).pipe(Effect.scoped),
    )
    expect(await refused({ source: damaged })).toContain(
      `${tensor} in model.safetensors: expected finite numbers, found NaN at [7]; the file is damaged`,
    )
  })

  test("refuses a model of another kind", async () => {
    expect(await refused({ source: withConfig("other", { model_type: "gpt2" }) })).toContain("model_type")
  })
})

describe("from the hub", () => {
  const variables = ["HF_ENDPOINT", "HF_TOKEN", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"] as const
  const kept = variables.map((name) => process.env[name])
  afterEach(() => {
    variables.forEach((name, i) => {
      if (kept[i] === undefined) delete process.env[name]
      else process.env[name] = kept[i]
    })
  })
  const commit = "0123456789abcdef0123456789abcdef01234567"

  /** A local hub with one repository, which has the files of the folder. */
  const withHub = async (body: (requested: string[]) => Promise<void>, folder = source) => {
    const requested: string[] = []
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        const { pathname } = new URL(request.url)
        requested.push(`${request.method} ${pathname}`)
        const file = /^\/someone\/tiny-bert\/resolve\/[^/]+\/([a-z0-9_.-]+)$/.exec(pathname)?.[1]
        const path = join(folder, file ?? "nothing")
        if (file === undefined || !readdirSync(folder).includes(file)) {
          const headers = file === undefined ? {} : { "x-repo-commit": commit }
          return new Response("", { status: 404, headers })
        }
        const content = readFileSync(path)
        const headers = {
          etag: `"${digest(path)}"`,
          "x-repo-commit": commit,
          "content-length": `${content.length}`,
        }
        return new Response(request.method === "HEAD" ? null : content, { headers })
      },
    })
    try {
      for (const variable of ["HF_TOKEN", "HF_HOME", "HF_HUB_CACHE"]) delete process.env[variable]
      process.env.HF_ENDPOINT = `http://127.0.0.1:${server.port}`
      await body(requested)
    } finally {
      await server.stop(true)
    }
  }

  test("fetches configuration, vocabulary and weights once", () =>
    withFolder(async (folder) => {
      process.env.XDG_CACHE_HOME = join(folder, "cache")
      await withHub(async (requested) => {
        const { folder: out } = await taken(folder, { source: "hf://someone/tiny-bert@v1" })
        const files = ["config.json", "model.safetensors", "vocab.txt"]
        expect(readdirSync(out).sort()).toEqual(files)
        for (const file of files) expect(digest(join(out, file))).toBe(digest(join(source, file)))
        const heads = [`${commit}/model.safetensors`, `${commit}/tokenizer.json`, `${commit}/vocab.txt`]
        expect(requested.filter((line) => line.startsWith("HEAD")).sort()).toEqual(
          [...heads, "v1/config.json"].map((path) => `HEAD /someone/tiny-bert/resolve/${path}`),
        )
        // A hard link to the cache's file, not a copy.
        expect(statSync(join(out, "model.safetensors")).nlink).toBe(2)
        const requests = requested.length
        await taken(join(folder, "again"), { source: "hf://someone/tiny-bert@v1" })
        expect(requested.length).toBe(requests)
      })
    }))

  test("takes the same files if more of the repository are cached", () =>
    withFolder(async (folder) => {
      process.env.XDG_CACHE_HOME = join(folder, "cache")
      await withHub(async () => {
        const { folder: before } = await taken(join(folder, "first"), { source: "hf://someone/tiny-bert@v1" })
        const cached = join(folder, "cache", "huggingface", "hub", "models--someone--tiny-bert")
        writeFileSync(join(cached, "snapshots", commit, "tokenizer_config.json"), '{"do_lower_case": true}')
        const { folder: after } = await taken(join(folder, "again"), { source: "hf://someone/tiny-bert@v1" })
        expect(readdirSync(after)).toEqual(readdirSync(before))
      })
    }))

  test("fetches weights in shards, and the tokenizer.json if there is one", () =>
    withFolder(async (folder) => {
      process.env.XDG_CACHE_HOME = join(folder, "cache")
      await withHub(async () => {
        const { folder: out } = await taken(folder, { source: "hf://someone/tiny-bert" })
        expect(readdirSync(out).sort()).toEqual(readdirSync(sharded).sort())
        const [whole, parts] = await Promise.all(
          [source, out].map((path) =>
            Effect.runPromise(loadModel(path, { outputHeads: { pooler: "read" } })),
          ),
        )
        for (const name of whole!.parameters.names) {
          expect(await parts!.parameters.get(name).data()).toEqual(await whole!.parameters.get(name).data())
        }
        whole!.parameters.dispose()
        parts!.parameters.dispose()
      }, sharded)
    }))

  test("requests no file outside the repository that an index names", () =>
    withFolder(async (folder) => {
      process.env.XDG_CACHE_HOME = join(folder, "cache")
      const path = join(sharded, "model.safetensors.index.json")
      const kept = readFileSync(path, "utf8")
      writeFileSync(path, kept.replaceAll("model-00002", "../model-00002"))
      try {
        await withHub(async (requested) => {
          const message = await refused({ source: "hf://someone/tiny-bert" })
          expect(message).toContain("expected a .safetensors file in the same folder")
          expect(requested.filter((line) => line.includes("-0000"))).toEqual([])
        }, sharded)
      } finally {
        writeFileSync(path, kept)
      }
    }))

  test("names a repository that does not exist", () =>
    withFolder(async (folder) => {
      process.env.XDG_CACHE_HOME = join(folder, "cache")
      await withHub(async () => {
        const message = await refused({ source: "hf://someone/other" })
        expect(message).toContain("hf://someone/other@main/config.json")
        expect(message).toContain("404")
      })
    }))

  test.each(["hf://someone", "hf://datasets/someone/words", "hf://someone/tiny-bert/model.safetensors"])(
    "refuses %s as a source before anything runs",
    (wrong) => {
      expect(pretrained({ ...expected, source: wrong }).problems.join()).toContain("hf://owner/name")
    },
  )
})

test("the estimate follows from the options alone", () => {
  const node = pretrained({ source: "hf://google-bert/bert-large-uncased", size: "large" })
  expect(node.problems).toEqual([])
  const estimate = pretrained.estimate as (options: object) => ReturnType<typeof pretrained.estimate>
  const { artifact, cost } = estimate(node.options)
  expect(artifact).toEqual({
    layers: 24,
    hidden: 1024,
    heads: 16,
    intermediate: 4096,
    vocabularySize: 30522,
    positions: 512,
    traits: { pooler: "as released", "token types": "as released" },
  })
  // Encoder, pooler and masked-language-model head: about 336 million parameters.
  expect(Math.abs(cost.disk / (4 * 336e6) - 1)).toBeLessThan(0.01)
})
