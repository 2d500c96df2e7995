import type { Kernels } from "../kernels.ts"
import { attention, attentionGradient } from "./attention.ts"
import { gelu } from "./gelu.ts"
import { layerNorm, layerNormInputGradient, layerNormParameterGradients } from "./layer-norm.ts"
import { gatherRows, scatterAddRows, sumRows, transpose } from "./matrix.ts"
import { view } from "./memory.ts"
import { adamw, globalNorm } from "./optimiser.ts"
import { softmaxCrossEntropy } from "./softmax-cross-entropy.ts"

/** Fused kernels in JavaScript, for backends whose tensors are in host memory. */
export const hostKernels: Partial<Kernels> = {
  layerNorm,
  layerNormInputGradient,
  layerNormParameterGradients,
  gelu,
  sumRows,
  transpose,
  gatherRows,
  scatterAddRows,
  softmaxCrossEntropy,
  attention,
  attentionGradient,
  globalNorm,
  adamw,
  borrow: view,
}
