import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { type FileError, readJson } from "../io/files.ts"
import type { ArtifactKind } from "./kind.ts"
import type { TrainingLength, Traits } from "./traits.ts"

/**
 * A model on disk in the Hugging Face layout: `config.json`, `model.safetensors`, `vocab.txt` or `tokenizer.json`, and
 * any other files of the plugin that makes it. Weights are large, so a plugin gives a function that streams the
 * checkpoint into a folder, and others take that folder; `plugins/model` reads what is in it.
 */
export interface CheckpointGiven {
  readonly write: (folder: string) => Effect.Effect<void, FileError>
}

export interface CheckpointTaken {
  readonly folder: string
  readonly config: Readonly<Record<string, unknown>>
}

/** The sizes of a transformer encoder, from which its arithmetic and memory follow, and what it has of its past. */
export interface CheckpointEstimate {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly intermediate: number
  readonly vocabularySize: number
  readonly positions: number
  readonly traits?: Traits
  readonly training?: TrainingLength
}

const Config = type("Record<string, unknown>")

export const Checkpoint: ArtifactKind<"checkpoint", CheckpointGiven, CheckpointTaken, CheckpointEstimate> = {
  name: "checkpoint",
  write: (folder, given) => given.write(folder),
  read: Effect.fnUntraced(function* (folder) {
    return { folder, config: yield* readJson(join(folder, "config.json"), Config) }
  }),
}
