/** Gram matrices and ranks against PyTorch's figures in float64 (`fisher` in `expected.json`). */
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import type { Precision } from "../../../core/api/precision.ts"
import { type ComparedNumber, type Quantity, quantity } from "../../../core/api/quantity.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { type FileError, readJson } from "../../../core/io/files.ts"
import { blocksOf, layerOf, parametersOf } from "../../model/parameters.ts"
import { type Blocks, blockGrams, encoder, parameterGrams } from "../../probe/shared/gram/block-grams.ts"
import { effectiveRank, entropyRank, spectralRank } from "../../probe/shared/rank.ts"
import { eigenvalues } from "../../probe/shared/spectrum.ts"
import type { Reference } from "./passes.ts"

interface Tolerances {
  /** For a Gram matrix and its eigenvalues, relative to the largest expected value; for the entropy rank, relative. */
  readonly gram: number
  /** For ranks, which are counts. */
  readonly rank: number
}

/**
 * In the reference figures no rank is so close to its threshold that float32 could change it; bfloat16 moves about one in
 * twenty, by one, and TF32 may. Its other tolerance is twice the largest deviation on the figures in `test/fixtures`: 0.12,
 * of the sample with the largest gradient of `distilbert-2x32`, if attention's factors are rounded too, as on a GPU.
 * PyTorch's fused attention is off by 0.51 there under autocast, its eager one by 0.02.
 */
const tolerances: Readonly<Record<Precision, Tolerances>> = {
  fp32: { gram: 2e-3, rank: 0 },
  tf32: { gram: 0.1 / 8, rank: 1 },
  bf16: { gram: 0.25, rank: 1 },
}
/** For the normalised ranks and their sum, which follow from the ranks, exactly up to rounding. */
const rounding = 1e-12

const maximumBytes = 2 ** 28

const BlockJson = type({
  gram: "number[][]",
  eigenvalues: "number[]",
  erank99: "number",
  normalised: "number",
  srank99: "number",
  entropy_rank: "number",
})
const ExpectedJson = type({
  fisher: type({ sum_normalised: "number", "[string]": "unknown" }),
})

/** A block's name in `expected.json`, where all layers together have another name. */
const fileName = (block: string): string => (block === encoder ? "encoder_full" : block)

/**
 * Compares the Gram matrix, the eigenvalues and the ranks of every block, computed on the running backend, with the
 * expected ones.
 *
 * @throws InvalidInput if `expected.json` does not fit the batch or the model
 * @throws FileError
 */
export const compareFisher: (
  reference: Reference,
  precision: Precision,
) => Effect.Effect<readonly Quantity[], InvalidInput | FileError> = Effect.fn("compareFisher")(function* (
  { folder, model, batch, labels },
  precision,
) {
  const path = join(folder, "expected.json")
  const { fisher: expected } = yield* readJson(path, ExpectedJson, maximumBytes)
  const blocks: Blocks = blocksOf(parametersOf(model.config, ["pooler", "classifier"]))
  const grams = blockGrams(blocks, parameterGrams(model, blocks, { sequences: batch, labels }))
  const problems: string[] = []
  const found = [...grams].flatMap(([block, gram]) => {
    const figures = BlockJson(expected[fileName(block)])
    if (figures instanceof type.errors) {
      problems.push(`fisher.${fileName(block)}: ${figures.summary}`)
      return []
    }
    if (figures.eigenvalues.length !== labels.length || figures.gram.flat().length !== gram.length) {
      problems.push(`fisher.${fileName(block)}: expected figures of ${labels.length} samples`)
    }
    return [{ block, gram, figures }]
  })
  if (problems.length > 0) return yield* new InvalidInput({ what: path, problems })

  const entries: ComparedNumber[] = []
  const spectra: ComparedNumber[] = []
  const eranks: ComparedNumber[] = []
  const sranks: ComparedNumber[] = []
  const entropyRanks: ComparedNumber[] = []
  const normalised: ComparedNumber[] = []
  let sum = 0
  for (const { block, gram, figures } of found) {
    const spectrum = eigenvalues(gram, labels.length)
    entries.push(...relative(block, figures.gram.flat(), gram))
    spectra.push(...relative(block, figures.eigenvalues, spectrum))
    const erank = effectiveRank(spectrum, 0.99)
    const srank = spectralRank(spectrum, 0.99)
    const entropy = entropyRank(spectrum)
    const normalisedRank = erank / labels.length
    eranks.push({ at: block, expected: figures.erank99, found: erank })
    normalised.push({ at: block, expected: figures.normalised, found: normalisedRank })
    sranks.push({ at: block, expected: figures.srank99, found: srank })
    entropyRanks.push({
      at: block,
      expected: figures.entropy_rank,
      found: entropy,
      scale: figures.entropy_rank,
    })
    if (layerOf(block) !== undefined) sum += normalisedRank
  }
  const { gram: tolerance, rank } = tolerances[precision]
  const total = { at: "all layers", expected: expected.sum_normalised, found: sum }
  return [
    quantity("Gram matrices", tolerance, entries),
    quantity("eigenvalues", tolerance, spectra),
    quantity("effective ranks", rank, eranks),
    quantity("normalised effective ranks", rounding + rank / labels.length, normalised),
    quantity("sum of the normalised ranks", rounding + (rank * model.config.layers) / labels.length, [total]),
    quantity("sranks", rank, sranks),
    quantity("entropy ranks", tolerance, entropyRanks),
  ]
})

/** Compares entry by entry, relative to the largest expected entry. */
const relative = (
  block: string,
  expected: readonly number[],
  found: Float64Array,
): readonly ComparedNumber[] => {
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
  return expected.map((value, i) => ({ at: `${block}[${i}]`, expected: value, found: found[i]!, scale }))
}
