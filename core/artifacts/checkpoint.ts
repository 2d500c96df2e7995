import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { type FileError, readJson } from "../io/files.ts"
import type { ArtifactKind } from "./kind.ts"

/**
 * A model on disk in the Hugging Face layout: `config.json`, `model.safetensors`, `vocab.txt` and whatever else
 * its maker adds. Weights are large, so a checkpoint is given as a function that streams it into its folder and
 * taken as that folder; the plugins in `plugins/model` know how to read what is in it.
 */
export interface CheckpointGiven {
  readonly write: (folder: string) => Effect.Effect<void, FileError>
}

export interface CheckpointTaken {
  readonly folder: string
  readonly config: Readonly<Record<string, unknown>>
}

/** The sizes that a transformer encoder's arithmetic and memory follow from. */
export interface CheckpointEstimate {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly intermediate: number
  readonly vocabularySize: number
  readonly positions: number
}

const Config = type("Record<string, unknown>")

export const Checkpoint: ArtifactKind<"checkpoint", CheckpointGiven, CheckpointTaken, CheckpointEstimate> = {
  name: "checkpoint",
  write: (folder, given) => given.write(folder),
  read: Effect.fnUntraced(function* (folder) {
    return { folder, config: yield* readJson(join(folder, "config.json"), Config) }
  }),
}
