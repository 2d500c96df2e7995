/**
 * The device that tensors live on: memory behind opaque handles, and one table of kernels over them. Kernels run in the
 * order in which they are called; a device may run behind the caller, and be waited for only when something is read.
 */
import { createRequire } from "node:module"
import type { Precision } from "../../../core/api/precision.ts"

/** A tensor's memory. A released handle never becomes valid again. */
export type Handle = number

/** Of tensors. */
export type ElementType = "float32" | "int32" | "bool"
export type Elements = Float32Array | Int32Array | Uint8Array

/** How the factors of matrix products are rounded, as the addons number it; sums are float32. */
export const precisionNumbers = { fp32: 0, tf32: 1, bf16: 2 } as const satisfies Record<Precision, number>
export type PrecisionNumber = (typeof precisionNumbers)[Precision]

/** [rate, seed, hash of the stream's name, site, iteration], or empty for no dropout. */
export type DropoutList = Float64Array

/**
 * The kernels. They check the sizes of all arguments, and throw a TypeError or a RangeError before they touch an
 * argument that does not fit. Handles are float32 unless documented, lists are in the caller's memory. Shapes: as in
 * `core/tensor/kernel.ts`, and U given rows of a table. What a kernel computes is documented by the definition of the
 * same name, or above its function in `source/`.
 */
export interface DeviceKernels {
  /** c_BMN = op(a_BMK) op(b_BKN); the whole batch may share one a or one b. */
  matmul(
    a: Handle,
    b: Handle,
    c: Handle,
    batch: number,
    m: number,
    n: number,
    k: number,
    transposeA: boolean,
    transposeB: boolean,
    precision: PrecisionNumber,
  ): void
  linear(x: Handle, weight: Handle, bias: Handle, y: Handle, precision: PrecisionNumber): void
  linearGelu(
    x: Handle,
    weight: Handle,
    bias: Handle,
    y: Handle,
    derivative: Handle,
    precision: PrecisionNumber,
  ): void
  /** @param add whether dx is added to, rather than written */
  linearInputGradient(
    dy: Handle,
    weight: Handle,
    dx: Handle,
    tokens: number,
    add: boolean,
    precision: PrecisionNumber,
  ): void
  linearInputGradientTimes(
    dy: Handle,
    weight: Handle,
    factor: Handle,
    dx: Handle,
    tokens: number,
    precision: PrecisionNumber,
  ): void
  linearParameterGradients(
    dy: Handle,
    x: Handle,
    dWeight: Handle,
    dBias: Handle,
    tokens: number,
    precision: PrecisionNumber,
  ): void
  /** b is as long as a, or is broadcast: a row, or one number. */
  add(a: Handle, b: Handle, out: Handle): void
  subtract(a: Handle, b: Handle, out: Handle): void
  multiply(a: Handle, b: Handle, out: Handle): void
  fill(out: Handle, value: number): void
  tanh(x: Handle, y: Handle): void
  tanhGradient(dy: Handle, y: Handle, dx: Handle): void
  /** @param indices of x's rows in the matrix that the mask covers; empty if x is that matrix */
  dropout(x: Handle, y: Handle, dropout: DropoutList, indices: Int32Array): void
  transpose(x: Handle, y: Handle, rows: number): void
  layerNorm(
    x: Handle,
    gamma: Handle,
    beta: Handle,
    epsilon: number,
    y: Handle,
    normalised: Handle,
    rstd: Handle,
  ): void
  residualNorm(
    x: Handle,
    residual: Handle,
    gamma: Handle,
    beta: Handle,
    epsilon: number,
    dropout: DropoutList,
    indices: Int32Array,
    y: Handle,
    normalised: Handle,
    rstd: Handle,
  ): void
  layerNormInputGradient(dy: Handle, normalised: Handle, rstd: Handle, gamma: Handle, dx: Handle): void
  /** @param dResidual that of `layerNormInputGradient`; dx is the same, dropped as x was */
  residualNormInputGradient(
    dy: Handle,
    normalised: Handle,
    rstd: Handle,
    gamma: Handle,
    dropout: DropoutList,
    indices: Int32Array,
    dx: Handle,
    dResidual: Handle,
  ): void
  layerNormParameterGradients(dy: Handle, normalised: Handle, dGamma: Handle, dBeta: Handle): void
  /** @param statistics [heads, R, 2], for the gradient */
  attention(
    q: Handle,
    k: Handle,
    v: Handle,
    heads: number,
    offsets: Int32Array,
    queryIndices: Int32Array,
    dropout: DropoutList,
    y: Handle,
    statistics: Handle,
  ): void
  attentionGradient(
    dy: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    statistics: Handle,
    heads: number,
    offsets: Int32Array,
    queryIndices: Int32Array,
    dropout: DropoutList,
    dq: Handle,
    dk: Handle,
    dv: Handle,
  ): void
  softmaxCrossEntropy(logits: Handle, labels: Int32Array, loss: Handle, dLogits: Handle): void
  infoNCE(
    z1: Handle,
    z2: Handle,
    temperature: number,
    rows: number,
    loss: Handle,
    dz1: Handle,
    dz2: Handle,
  ): void
  gatherRows(table: Handle, ids: Int32Array, rows: Handle): void
  /** rows[slots[n]] = Σ x[n] */
  sumIntoRows(x: Handle, slots: Int32Array, rows: Handle): void
  /** Writes a table that is zero except in the rows `ids`. */
  spreadRows(rows: Handle, ids: Int32Array, table: Handle): void
  /**
   * √Σ x² of all gradients, summed in float64; rows of zeros change no bit of it. NaN if a watched number is not finite.
   *
   * @param gradients [handle, width of a row] of each
   * @param watched handles of one number each
   * @param norm [1], written
   */
  globalNorm(gradients: Float64Array, watched: Float64Array, norm: Handle): void
  /**
   * One update of all parameters, in place; none is changed if the norm is not finite.
   *
   * @param updates nine numbers each: θ, gradient (only its rows, if it is sparse), m, v, active rows (a bool handle, [V],
   *   1 for rows that ever had a gradient: the rows of this one are marked too; −1: the gradient is dense), the first and
   *   the number of its ids, step size, decay (0 if it is sparse)
   * @param ids the rows of sparse gradients, of each distinct and ascending
   * @param norm [1], of all gradients
   * @param coefficients [largest norm, β₁, β₂, ε]
   */
  adamw(updates: Float64Array, ids: Int32Array, norm: Handle, coefficients: Float64Array): void
  /** Marks the rows in which a moment is not zero. @param active bool, [V], written */
  markActiveRows(m: Handle, v: Handle, active: Handle): void
  /**
   * @param grams float64, [M, N, N]
   * @param at the index of the matrix that is written
   */
  gramByTokens(input: Handle, outputGradient: Handle, offsets: Int32Array, grams: Handle, at: number): void
  gramDirectly(input: Handle, outputGradient: Handle, offsets: Int32Array, grams: Handle, at: number): void
  /** @param factor multiplied with x element by element; empty for x alone */
  gramOfSums(x: Handle, factor: Handle, offsets: Int32Array, grams: Handle, at: number): void
}

/** The buffer of a float32 tensor, and how many numbers it has. */
export interface FloatsOnDevice {
  readonly handle: Handle
  readonly size: number
}

export interface Device extends DeviceKernels {
  /** Allocates memory, not initialised: of a tensor or, as no tensor has it, of numbers in float64. */
  allocate(type: ElementType | "float64", size: number): Handle
  release(handle: Handle): void
  write(handle: Handle, values: Elements): void
  /** A copy of the values. */
  read(handle: Handle, type: ElementType, size: number): Elements
  /** The same of numbers in float64. */
  readFloat64(handle: Handle, size: number): Float64Array
  /** The values until the next of these calls, on a device whose memory is not the host's: a faster copy than `read`. */
  borrow?(handle: Handle, type: ElementType, size: number): Elements
  /**
   * The numbers of tensors one after another, in pieces that are valid until the next is asked for, on a device whose
   * memory is not the host's: they leave it beside its work. The tensors are not released, nor changed, before the end.
   *
   * @param tensors called when its turn comes: after that, all that the device was given to do before is waited for
   */
  transfer?(tensors: () => readonly FloatsOnDevice[]): AsyncGenerator<Float32Array, void>
  /**
   * Digests of the bits of tensors, on a device whose memory is not the host's.
   *
   * @param tensors handles of tensors of float32 or int32 numbers
   * @param digests float64, of each 64 bits that are no number, written
   */
  digests?(tensors: Float64Array, digests: Handle): void
  /** The memory itself, on a device whose memory is the host's; not to be used after its release. */
  view?(handle: Handle, type: ElementType, size: number): Elements
  /** Bytes of all buffers that have not been released. */
  bytesInUse(): number
}

/** What every addon exports. */
export interface Addon extends DeviceKernels {
  allocate(type: number, size: number): Handle
  release(handle: Handle): void
  write(handle: Handle, values: Elements): void
  bytesInUse(): number
}

export const typeNumbers: Readonly<Record<ElementType | "float64", number>> = {
  float32: 0,
  int32: 1,
  bool: 2,
  float64: 3,
}
export const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const

/** Loads a built addon; a process loads the same file once. */
export const loadAddon = <A extends Addon>(path: string): A => createRequire(import.meta.url)(path)
