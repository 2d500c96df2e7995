import * as tf from "@tensorflow/tfjs-core"
import { registerKernels } from "../../core/tensor/kernel.ts"

const products = new Set(["BatchMatMul", "_FusedMatMul"])
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/**
 * The floating-point operations of the matrix products of `body`, a multiplication and an addition counting as two.
 * While it runs, the backend has no fused kernels, whose products tfjs would not see; `restore` registers them again.
 */
export const matrixProductFlops = async (
  body: () => Promise<void>,
  restore: () => Promise<void>,
): Promise<number> => {
  registerKernels(tf.getBackend(), [])
  try {
    // tfjs declares that it profiles what gives tensors; it only waits for the result.
    const { kernels } = await tf.profile(body as unknown as () => Promise<tf.TensorContainer>)
    return kernels.reduce((sum, { name, inputShapes, outputShapes }) => {
      const [a, output] = [inputShapes[0], outputShapes[0]]
      if (!products.has(name) || a == null || output === undefined || sizeOf(output) === 0) return sum
      // a is [..., M, K] or [..., K, M], and the output [..., M, N].
      const inner = (sizeOf(a) * output.at(-1)!) / sizeOf(output)
      return sum + 2 * sizeOf(output) * inner
    }, 0)
  } finally {
    await restore()
  }
}
