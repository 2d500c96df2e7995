import { borrowKernel } from "../borrow.ts"
import { type Implementation, implement } from "../kernel.ts"
import { attentionImplementations } from "./attention.ts"
import { geluImplementations } from "./gelu.ts"
import { layerNormImplementations } from "./layer-norm.ts"
import { matrixImplementations } from "./matrix.ts"
import { view } from "./memory.ts"
import { optimiserImplementations } from "./optimiser.ts"
import { softmaxCrossEntropyImplementations } from "./softmax-cross-entropy.ts"

/** Fused kernels in JavaScript, for backends whose tensors are in host memory. */
export const hostKernels: readonly Implementation[] = [
  ...attentionImplementations,
  ...geluImplementations,
  ...layerNormImplementations,
  ...matrixImplementations,
  ...optimiserImplementations,
  ...softmaxCrossEntropyImplementations,
  implement(borrowKernel, view),
]
