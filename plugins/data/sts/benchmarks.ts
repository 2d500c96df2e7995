import type { Lengths } from "../shared/lengths.ts"

/**
 * A benchmark of sentence embeddings: scored sentence pairs, composed as in SentEval (Conneau and Kiela 2018).
 * `pairs`: how many have a score.
 */
interface Benchmark {
  readonly pairs: number
  /** STS12–16: the subsets; `STS.input.NAME.txt` has the sentences, `STS.gs.NAME.txt` the scores. */
  readonly subsets?: readonly string[]
  /** STS-B and SICK-R: accepted names of the one file. */
  readonly files?: readonly string[]
  /** The file in the folder `stsb` of the hub's copy of GLUE, which lacks the scores of STS-B's test set. */
  readonly hub?: string
}

export const benchmarkNames = [
  "STS-B/train",
  "STS-B/dev",
  "STS-B/test",
  "STS12",
  "STS13",
  "STS14",
  "STS15",
  "STS16",
  "SICK-R",
] as const
export type BenchmarkName = (typeof benchmarkNames)[number]

export const benchmarks: Readonly<Record<BenchmarkName, Benchmark>> = {
  "STS-B/train": {
    pairs: 5749,
    files: ["sts-train.csv", "train.tsv"],
    hub: "train-00000-of-00001.parquet",
  },
  "STS-B/dev": {
    pairs: 1500,
    files: ["sts-dev.csv", "dev.tsv"],
    hub: "validation-00000-of-00001.parquet",
  },
  "STS-B/test": { pairs: 1379, files: ["sts-test.csv"] },
  STS12: { pairs: 3108, subsets: ["MSRpar", "MSRvid", "SMTeuroparl", "surprise.OnWN", "surprise.SMTnews"] },
  // SentEval omits SMT, the fourth subset, because of its licence.
  STS13: { pairs: 1500, subsets: ["FNWN", "headlines", "OnWN"] },
  STS14: {
    pairs: 3750,
    subsets: ["deft-forum", "deft-news", "headlines", "images", "OnWN", "tweet-news"],
  },
  STS15: {
    pairs: 3000,
    subsets: ["answers-forums", "answers-students", "belief", "headlines", "images"],
  },
  STS16: {
    pairs: 1186,
    subsets: ["answer-answer", "headlines", "plagiarism", "postediting", "question-question"],
  },
  "SICK-R": { pairs: 4927, files: ["SICK_test_annotated.txt"] },
}

/** Measured on STS-B's dev set; the longest sentence of STS-B, STS13 and STS14 has 93 tokens. */
export const lengths: Lengths = [8, 9, 10, 12, 13, 15, 18, 21, 24, 32]
