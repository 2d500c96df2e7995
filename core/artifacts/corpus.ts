import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { readJson, writeJson } from "../io/files.ts"
import type { ArtifactKind } from "./kind.ts"
import { readSequences, type Sequences, SequencesFile, writeSequences } from "./sequences.ts"
import { SpecialTokens } from "./vocabulary.ts"

/** Unlabelled text, one sequence for each sentence. */
export interface Corpus {
  readonly sequences: Sequences
  readonly special: SpecialTokens
  readonly vocabularySize: number
}

/** Counts that are known, or estimated, before the text is read. */
export interface CorpusEstimate {
  readonly sentences: number
  readonly tokensPerSentence: number
  readonly vocabularySize: number
  /** Whether its sequences are pairs of sentences; left out if that is not known. */
  readonly pairs?: boolean
}

const CorpusFile = type({
  "+": "reject",
  sequences: SequencesFile,
  special: SpecialTokens,
  vocabularySize: "number.integer > 0",
})

export const Corpus: ArtifactKind<"corpus", Corpus, Corpus, CorpusEstimate> = {
  name: "corpus",
  write: Effect.fnUntraced(function* (folder, given) {
    const sequences = yield* writeSequences(folder, "sentences", given.sequences)
    yield* writeJson(join(folder, "corpus.json"), { ...given, sequences })
  }),
  read: Effect.fnUntraced(function* (folder) {
    const file = yield* readJson(join(folder, "corpus.json"), CorpusFile)
    return { ...file, sequences: yield* readSequences(folder, file.sequences, file.vocabularySize) }
  }),
}
