import * as tf from "@tensorflow/tfjs-core"

/**
 * The fused kernels that a backend may have for the ops in `ops/`: functions over tensors of that backend, outside
 * any tape. Each op has one reference definition in plain tfjs ops; a kernel gives the same numbers up to rounding,
 * sums in a fixed order, and returns new tensors that its caller owns. Shapes: T tokens, H features, N rows.
 */
export interface Kernels {
  /** Normalised rows x̂ = (x − mean) · (variance + ε)^−½, their scale and shift, and the inverse deviations. */
  readonly layerNorm: (
    x_TH: tf.Tensor2D,
    gamma_H: tf.Tensor1D,
    beta_H: tf.Tensor1D,
    epsilon: number,
  ) => {
    readonly y_TH: tf.Tensor2D
    readonly normalised_TH: tf.Tensor2D
    readonly inverseDeviation_T: tf.Tensor1D
  }
  readonly layerNormInputGradient: (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
    inverseDeviation_T: tf.Tensor1D,
    gamma_H: tf.Tensor1D,
  ) => tf.Tensor2D
  /** Σ_t dy · x̂ and Σ_t dy, each [H]. */
  readonly layerNormParameterGradients: (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
  ) => { readonly dGamma_H: tf.Tensor1D; readonly dBeta_H: tf.Tensor1D }
  /** x Φ(x) and its derivative. */
  readonly gelu: (x: tf.Tensor) => { readonly y: tf.Tensor; readonly slope: tf.Tensor }
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
  /** Attention inside each sequence; the probabilities are those before dropout, in the layout of `Packing`. */
  readonly attention: (
    q_TH: tf.Tensor2D,
    k_TH: tf.Tensor2D,
    v_TH: tf.Tensor2D,
    packing: Packing,
    mask_P: tf.Tensor1D | undefined,
  ) => { readonly y_TH: tf.Tensor2D; readonly probabilities_P: tf.Tensor1D }
  readonly attentionGradient: (
    dy_TH: tf.Tensor2D,
    q_TH: tf.Tensor2D,
    k_TH: tf.Tensor2D,
    v_TH: tf.Tensor2D,
    probabilities_P: tf.Tensor1D,
    packing: Packing,
    mask_P: tf.Tensor1D | undefined,
  ) => { readonly dq_TH: tf.Tensor2D; readonly dk_TH: tf.Tensor2D; readonly dv_TH: tf.Tensor2D }
  /** The square root of the sum of all squares of all tensors. */
  readonly globalNorm: (tensors: readonly tf.Tensor[]) => number
  /** One AdamW update. May work on `m` and `v` in place and return them; never on `theta`. */
  readonly adamw: (
    theta: tf.Tensor,
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    coefficients: AdamWCoefficients,
  ) => { readonly theta: tf.Tensor; readonly m: tf.Tensor; readonly v: tf.Tensor }
}

/**
 * Sequences side by side in one [T, H] matrix. Attention probabilities and their dropout mask are flat, [P]:
 * sequence after sequence, in each heads x L x L, so that an element's place does not depend on how it is computed.
 */
export interface Packing {
  readonly heads: number
  readonly sequences: readonly {
    readonly length: number
    /** Its first row in [T, H]. */
    readonly token: number
    /** Its first element in [P]. */
    readonly probability: number
  }[]
  /** P = heads · Σ L². */
  readonly probabilities: number
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
