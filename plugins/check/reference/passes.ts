/**
 * PyTorch's figures for a small model, computed in float64: a folder with `config.json` and `model.safetensors`, a
 * batch (`batch.json`) and the expected results (`expected.json`). They are compared with the float32 results of the
 * running backend.
 */
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect, type Scope } from "effect"
import type { Precision } from "../../../core/api/precision.ts"
import { type ComparedNumber, type Quantity, quantity } from "../../../core/api/quantity.ts"
import { packSequences, type Sequences } from "../../../core/artifacts/sequences.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { type FileError, readJson } from "../../../core/io/files.ts"
import { infoNCE } from "../../../core/tensor/ops/info-nce.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { disposeGradients, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { type EncoderModel, encode, type TrainableModel } from "../../model/encoder.ts"
import { loadModel } from "../../model/hugging-face.ts"
import { classify, clsIndices } from "../../model/output-heads.ts"

interface Tolerances {
  /** Absolute, for logits, hidden states and losses. */
  readonly value: number
  /** For gradients, relative to the norm of the parameter's gradient. */
  readonly gradient: number
}

/**
 * bfloat16 keeps 8 bits, so each factor of a product is off by up to 2⁻⁹ = 0.2 % of itself, where float32 is off by
 * 2⁻²⁴; in a sum the errors partly cancel, from layer to layer they add up. Its tolerances are twice the largest
 * deviation that a correct backend shows on the figures in `test/fixtures`. TF32 keeps three bits more: an eighth.
 */
const tolerances: Readonly<Record<Precision, Tolerances>> = {
  fp32: { value: 1e-4, gradient: 1e-3 },
  tf32: { value: 0.1 / 8, gradient: 0.2 / 8 },
  bf16: { value: 0.1, gradient: 0.2 },
}
/**
 * A gradient that vanishes (softmax does not depend on the keys' bias) is pure rounding error. Norms below this fraction
 * of the whole model's are treated as if they were that large. With factors rounded to bfloat16, also in attention, those
 * of the keys' biases in `test/fixtures` reach 6e-5 of it, and 3e-4 in PyTorch under autocast.
 */
const negligible: Readonly<Record<Precision, number>> = { fp32: 1e-4, tf32: 3e-4, bf16: 6e-4 }

const maximumBytes = 2 ** 28

const matrix = type("number[][]").narrow(
  (rows, context) =>
    (rows.length > 0 && rows.every((row) => row.length === rows[0]!.length && row.length > 0)) ||
    context.mustBe("rows of the same length, none empty"),
)
const ids = type("number.integer >= 0").array().atLeastLength(1).array().atLeastLength(1)

/** `batch.json`: sequences without padding. `input_ids` are ids in the fixture's own vocabulary. */
const BatchJson = type({
  input_ids: ids,
  token_type_ids: ids,
  labels: "(number.integer >= 0)[]",
}).narrow(
  ({ input_ids, token_type_ids, labels }, context) =>
    (labels.length === input_ids.length &&
      token_type_ids.length === input_ids.length &&
      input_ids.every((row, n) => row.length === token_type_ids[n]!.length)) ||
    context.mustBe("as many labels and token_type_ids as input_ids"),
)

/** The part of `expected.json` for forward and backward passes. */
const ExpectedJson = type({
  logits: matrix,
  cls_last_hidden: matrix,
  mean_ce: "number",
  grad_norm: "Record<string, number>",
  grad_sum: "Record<string, number>",
  infonce: {
    z1: matrix,
    z2: matrix,
    tau: "number > 0",
    loss: "number",
    grad_z1: matrix,
    grad_z2: matrix,
  },
})

/** A folder of reference figures, opened. */
export interface Reference {
  readonly folder: string
  /** With pooler and classifier; the scope disposes of it. */
  readonly model: TrainableModel
  readonly batch: Sequences
  readonly labels: Int32Array
}

/**
 * Opens a folder of reference figures; its model is disposed of when the scope closes.
 *
 * @throws InvalidInput if a file is invalid, or the batch does not fit the model
 * @throws FileError
 */
export const openReference: (
  folder: string,
) => Effect.Effect<Reference, InvalidInput | FileError, Scope.Scope> = Effect.fn("openReference")(function* (
  folder: string,
) {
  const path = join(folder, "batch.json")
  const { input_ids, token_type_ids, labels } = yield* readJson(path, BatchJson, maximumBytes)
  const model = yield* Effect.acquireRelease(
    loadModel(folder, { outputHeads: { pooler: "read", classifier: "read" } }),
    ({ parameters }) => Effect.sync(() => parameters.dispose()),
  )
  const { vocabularySize, tokenTypes, positions, labels: classes } = model.config
  const problems = [
    ...limit("input_ids", input_ids.flat(), vocabularySize, "vocab_size"),
    ...limit("token_type_ids", token_type_ids.flat(), tokenTypes, "type_vocab_size"),
    ...limit("labels", labels, classes.length, "the number of labels"),
    ...limit(
      "the last position",
      input_ids.map((row) => row.length - 1),
      positions,
      "max_position_embeddings",
    ),
  ]
  if (problems.length > 0) return yield* new InvalidInput({ what: path, problems })
  const batch = packSequences(input_ids.map((row, n) => ({ ids: row, tokenTypeIds: token_type_ids[n]! })))
  return { folder, model, batch, labels: Int32Array.from(labels) }
})

const limit = (name: string, values: readonly number[], bound: number, key: string): readonly string[] => {
  const largest = values.reduce((left, right) => Math.max(left, right), 0)
  return largest < bound
    ? []
    : [`${name}: expected less than ${bound}, ${key} of config.json, found ${largest}`]
}

/**
 * Compares logits, hidden states, loss and gradients of the reference's batch, and InfoNCE with its gradients, computed
 * on the running backend, with the expected ones.
 *
 * @throws InvalidInput if `expected.json` does not fit the batch or the model
 * @throws FileError
 */
export const comparePasses: (
  reference: Reference,
  precision: Precision,
) => Effect.Effect<readonly Quantity[], InvalidInput | FileError> = Effect.fn("comparePasses")(function* (
  { folder, model, batch, labels },
  precision,
) {
  const path = join(folder, "expected.json")
  const expected = yield* readJson(path, ExpectedJson, maximumBytes)
  const problems = misfits(expected, model, labels.length)
  if (problems.length > 0) return yield* new InvalidInput({ what: path, problems })
  const allowed = tolerances[precision]
  return [
    ...compareForward(expected, model, batch, allowed),
    ...compareBackward(expected, model, batch, labels, allowed, negligible[precision]),
    ...compareInfoNCE(expected.infonce, allowed),
  ]
})

type Expected = typeof ExpectedJson.infer

const misfits = (
  expected: Expected,
  { config, parameters }: EncoderModel,
  count: number,
): readonly string[] => {
  const problems: string[] = []
  const checkShape = (name: string, rows: readonly (readonly number[])[], height: number, width: number) => {
    if (rows.length === height && rows[0]!.length === width) return
    problems.push(`${name}: expected [${height}, ${width}], found [${rows.length}, ${rows[0]!.length}]`)
  }
  checkShape("logits", expected.logits, count, config.labels.length)
  checkShape("cls_last_hidden", expected.cls_last_hidden, count, config.hidden)
  const { z1, z2, grad_z1, grad_z2 } = expected.infonce
  for (const [name, rows] of Object.entries({ z2, grad_z1, grad_z2 })) {
    checkShape(`infonce.${name}`, rows, z1.length, z1[0]!.length)
  }
  for (const name of parameters.names) {
    for (const key of ["grad_norm", "grad_sum"] as const) {
      if (expected[key][name] === undefined) problems.push(`${key}: ${name} is missing`)
    }
  }
  return problems
}

function* elementwise(
  expected: readonly (readonly number[])[],
  found: tf.Tensor2D,
  scale = 1,
): Generator<ComparedNumber> {
  const values = found.dataSync()
  const width = found.shape[1]
  for (const [n, row] of expected.entries()) {
    for (const [i, value] of row.entries()) {
      yield { at: `[${n}][${i}]`, expected: value, found: values[n * width + i]!, scale }
    }
  }
}

const compareForward = (
  expected: Expected,
  model: EncoderModel,
  batch: Sequences,
  { value: tolerance }: Tolerances,
): readonly Quantity[] => {
  const first_NH = encode(model, batch, { indices: clsIndices(batch.offsets) })
  const logits_NC = classify(model, first_NH)
  const quantities = [
    quantity("logits", tolerance, elementwise(expected.logits, logits_NC)),
    quantity("last hidden states of [CLS]", tolerance, elementwise(expected.cls_last_hidden, first_NH)),
  ]
  tf.dispose([logits_NC, first_NH])
  return quantities
}

const compareBackward = (
  expected: Expected,
  model: EncoderModel,
  batch: Sequences,
  labels: Int32Array,
  allowed: Tolerances,
  negligible: number,
): readonly Quantity[] => {
  const { value, gradients } = valueAndGradients(() => {
    const first_NH = encode(model, batch, { indices: clsIndices(batch.offsets) })
    return softmaxCrossEntropy(classify(model, first_NH), labels)
  }, model.parameters)
  const loss = { at: "the batch", expected: expected.mean_ce, found: value.dataSync()[0]! }
  const whole = Math.sqrt(
    model.parameters.names.reduce(
      (sum, name) => sum + expected.grad_norm[name]! * expected.grad_norm[name]!,
      0,
    ),
  )
  const norms: ComparedNumber[] = []
  const sums: ComparedNumber[] = []
  for (const name of model.parameters.names) {
    const expectedNorm = expected.grad_norm[name]!
    const scale = Math.max(expectedNorm, negligible * whole)
    const { norm, sum } = normAndSum(gradients.get(name)?.dataSync() ?? [])
    norms.push({ at: name, expected: expectedNorm, found: norm, scale })
    sums.push({ at: name, expected: expected.grad_sum[name]!, found: sum, scale })
  }
  value.dispose()
  disposeGradients(gradients)
  return [
    quantity("mean cross-entropy", allowed.value, [loss]),
    quantity("norms of the gradients", allowed.gradient, norms),
    quantity("sums of the gradients", allowed.gradient, sums),
  ]
}

/** In float64, since the sum of a float32 gradient may be a small difference of large numbers. */
const normAndSum = (values: ArrayLike<number>): { readonly norm: number; readonly sum: number } => {
  let squares = 0
  let sum = 0
  for (let i = 0; i < values.length; i++) {
    squares += values[i]! ** 2
    sum += values[i]!
  }
  return { norm: Math.sqrt(squares), sum }
}

const compareInfoNCE = (
  { z1, z2, tau: temperature, loss, ...expected }: Expected["infonce"],
  allowed: Tolerances,
): readonly Quantity[] => {
  const z1_ND = tf.tensor2d(z1)
  const z2_ND = tf.tensor2d(z2)
  const [value, first_ND, second_ND] = tf.tidy(() => {
    const differentiate = tf.valueAndGrads((first, second) =>
      infoNCE(first.as2D(...z1_ND.shape), second.as2D(...z2_ND.shape), temperature),
    )
    const { value, grads } = differentiate([z1_ND, z2_ND])
    return [value, grads[0]!.as2D(...z1_ND.shape), grads[1]!.as2D(...z2_ND.shape)] as const
  })
  const quantities = [
    quantity("InfoNCE", allowed.value, [{ at: "the batch", expected: loss, found: value.dataSync()[0]! }]),
    quantity("gradient of InfoNCE", allowed.gradient, [
      ...elementwise(expected.grad_z1, first_ND, largestOf(expected.grad_z1)),
      ...elementwise(expected.grad_z2, second_ND, largestOf(expected.grad_z2)),
    ]),
  ]
  tf.dispose([z1_ND, z2_ND, value, first_ND, second_ND])
  return quantities
}

const largestOf = (rows: readonly (readonly number[])[]): number =>
  rows.flat().reduce((left, right) => Math.max(left, Math.abs(right)), 0)
