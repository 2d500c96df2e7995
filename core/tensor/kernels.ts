import * as tf from "@tensorflow/tfjs-core"
import type { Dropout } from "./stream.ts"

/**
 * The fused kernels that a backend may have for the ops in `ops/`: functions over tensors of that backend, outside
 * any tape. Each op has one reference definition in plain tfjs ops; a kernel gives the same numbers up to rounding,
 * sums in a fixed order, and returns new tensors that its caller owns. Shapes: T tokens, H features, N
 * rows, I inputs and O outputs of a linear layer.
 */
export interface Kernels {
  /** Normalised rows x̂ = (x − mean) · (variance + ε)^−½, their scale and shift, and the reciprocal standard deviations (rstd). */
  readonly layerNorm: (
    x_TH: tf.Tensor2D,
    gamma_H: tf.Tensor1D,
    beta_H: tf.Tensor1D,
    epsilon: number,
  ) => {
    readonly y_TH: tf.Tensor2D
    readonly normalised_TH: tf.Tensor2D
    readonly rstd_T: tf.Tensor1D
  }
  readonly layerNormInputGradient: (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
    rstd_T: tf.Tensor1D,
    gamma_H: tf.Tensor1D,
  ) => tf.Tensor2D
  /** Σ_t dy · x̂ and Σ_t dy, each [H]. */
  readonly layerNormParameterGradients: (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
  ) => { readonly dGamma_H: tf.Tensor1D; readonly dBeta_H: tf.Tensor1D }
  /** y = x Wᵀ + b, with the weight as [O, I]. */
  readonly linear: (x_TI: tf.Tensor2D, weight_OI: tf.Tensor2D, bias_O: tf.Tensor1D) => tf.Tensor2D
  /** gelu(x Wᵀ + b), and the derivative of gelu there. */
  readonly linearGelu: (
    x_TI: tf.Tensor2D,
    weight_OI: tf.Tensor2D,
    bias_O: tf.Tensor1D,
  ) => { readonly y_TO: tf.Tensor2D; readonly derivative_TO: tf.Tensor2D }
  /** dy W. */
  readonly linearInputGradient: (dy_TO: tf.Tensor2D, weight_OI: tf.Tensor2D) => tf.Tensor2D
  /** dyᵀ x and Σ_t dy. */
  readonly linearParameterGradients: (
    dy_TO: tf.Tensor2D,
    x_TI: tf.Tensor2D,
  ) => { readonly dWeight_OI: tf.Tensor2D; readonly dBias_O: tf.Tensor1D }
  /** x Φ(x) and its derivative. */
  readonly gelu: (x: tf.Tensor) => { readonly y: tf.Tensor; readonly derivative: tf.Tensor }
  /**
   * Inverted dropout, and the mask, where it is not made anew for the gradient.
   *
   * @param indices row n of x is row indices[n] of the matrix that the draw's elements are numbered by; where left out,
   *   x is that matrix
   */
  readonly dropout: (
    x: tf.Tensor,
    dropout: Dropout,
    indices?: Int32Array,
  ) => { readonly y: tf.Tensor; readonly mask: tf.Tensor | undefined }
  readonly dropoutGradient: (
    dy: tf.Tensor,
    mask: tf.Tensor | undefined,
    dropout: Dropout,
    indices?: Int32Array,
  ) => tf.Tensor
  /** `layerNorm` of residual + dropout(x). */
  readonly residualNorm: (
    x_TH: tf.Tensor2D,
    residual_TH: tf.Tensor2D,
    gamma_H: tf.Tensor1D,
    beta_H: tf.Tensor1D,
    epsilon: number,
    dropout?: Dropout,
    indices?: Int32Array,
  ) => ReturnType<Kernels["layerNorm"]> & { readonly mask: tf.Tensor | undefined }
  /** [H] from [T, H]. */
  readonly sumRows: (x_TH: tf.Tensor2D) => tf.Tensor1D
  readonly transpose: (x_TH: tf.Tensor2D) => tf.Tensor2D
  readonly gatherRows: (table_VH: tf.Tensor2D, ids_N: Int32Array) => tf.Tensor2D
  /** out[ids[n]] = Σ x[n] over a zero [rows, H]. */
  readonly scatterAddRows: (x_NH: tf.Tensor2D, ids_N: Int32Array, rows: number) => tf.Tensor2D
  /** Mean of −log softmax(logits)[label], and its gradient with respect to the logits. */
  readonly softmaxCrossEntropy: (
    logits_NC: tf.Tensor2D,
    labels_N: Int32Array,
  ) => { readonly loss: tf.Scalar; readonly gradient_NC: tf.Tensor2D }
  /** Mean over i of −log softmax_j(cos(z1ᵢ, z2ⱼ) / τ)[i], and its gradients. */
  readonly infoNCE: (
    z1_ND: tf.Tensor2D,
    z2_ND: tf.Tensor2D,
    temperature: number,
  ) => { readonly loss: tf.Scalar; readonly dz1_ND: tf.Tensor2D; readonly dz2_ND: tf.Tensor2D }
  /**
   * Attention of R queries inside each sequence. `saved` is what the same backend's gradient wants besides the inputs:
   * the probabilities before dropout and their mask, each [P] in the layout of `Packing`, or less.
   */
  readonly attention: (
    q_RH: tf.Tensor2D,
    k_TH: tf.Tensor2D,
    v_TH: tf.Tensor2D,
    packing: Packing,
    dropout?: Dropout,
  ) => { readonly y_RH: tf.Tensor2D; readonly saved: AttentionSaved }
  readonly attentionGradient: (
    dy_RH: tf.Tensor2D,
    q_RH: tf.Tensor2D,
    k_TH: tf.Tensor2D,
    v_TH: tf.Tensor2D,
    saved: AttentionSaved,
    packing: Packing,
    dropout?: Dropout,
  ) => { readonly dq_RH: tf.Tensor2D; readonly dk_TH: tf.Tensor2D; readonly dv_TH: tf.Tensor2D }
  /** The square root of the sum of all squares of all tensors. */
  readonly globalNorm: (tensors: readonly tf.Tensor[]) => number
  /** One AdamW update. May work in place on `m` and `v`, and on a `theta` that no other tensor shares, and return them. */
  readonly adamw: (
    theta: tf.Tensor,
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    coefficients: AdamWCoefficients,
  ) => { readonly theta: tf.Tensor; readonly m: tf.Tensor; readonly v: tf.Tensor }
  /**
   * K_ij = ⟨Gᵢ, Gⱼ⟩ of N samples' gradients Gᵢ = Σ_t bᵢₜ aᵢₜᵀ, with inputs a and output gradients b, by pairs of tokens
   * or from the gradients themselves: [N, N], symmetric, row-major.
   *
   * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1
   */
  readonly linearGram: (
    input_TI: tf.Tensor2D,
    outputGradient_TO: tf.Tensor2D,
    offsets: Int32Array,
    method: "token" | "direct",
  ) => Float64Array
  /**
   * The values of a float32 tensor, to be read at once and not to be written: where the backend keeps them on the host,
   * its own memory. Valid until the next op, or the tensor's end.
   */
  readonly borrow: (tensor: tf.Tensor) => Float32Array | Promise<Float32Array>
  /** The Gram matrix of each sample's sum over its tokens of x, or of x · factor element by element. */
  readonly sumsGram: (x_TD: tf.Tensor2D, offsets: Int32Array, factor_TD?: tf.Tensor2D) => Float64Array
}

export interface AttentionSaved {
  readonly probabilities: tf.Tensor1D
  readonly mask: tf.Tensor1D | undefined
}

/**
 * Sequences side by side in one [T, H] matrix, and the tokens of them that ask, R queries. Scores are flat, [P]:
 * sequence after sequence, in each heads x queries x L, so that an element's index does not depend on how it is
 * computed.
 */
export interface Packing {
  readonly heads: number
  /** Where the sequences begin, and at last T. */
  readonly offsets: Int32Array
  /** [R], ascending: the tokens that ask. */
  readonly queryIndices: Int32Array
  readonly sequences: readonly PackedSequence[]
  /** P = heads · Σ queries · L. */
  readonly scores: number
}

export interface PackedSequence {
  readonly length: number
  /** Its first row in [T, H]. */
  readonly token: number
  /** How many of its tokens ask; all of them, where as many as it has. */
  readonly queries: number
  /** Its first row in [R, H]. */
  readonly query: number
  /** Its first element in [P]. */
  readonly score: number
  /** Its first element in the numbering that dropout's draws go by: heads x L x L, sequence after sequence. */
  readonly element: number
}

export interface AdamWCoefficients {
  /** Factor of the gradient before anything else (clipping). */
  readonly gradientScale: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Learning rate times the bias correction √(1 − β₂ᵗ) / (1 − β₁ᵗ), where there is one. */
  readonly stepSize: number
  /** Learning rate times weight decay. */
  readonly decay: number
}

const tables = new Map<string, Partial<Kernels>>()

/** @param backend its name in tfjs */
export const registerKernels = (backend: string, kernels: Partial<Kernels>): void => {
  tables.set(backend, kernels)
}

/** The running backend's kernel, or the reference definition where it has none. */
export const kernel = <K extends keyof Kernels>(name: K, reference: Kernels[K]): Kernels[K] =>
  tables.get(tf.getBackend())?.[name] ?? reference
