import * as tf from "@tensorflow/tfjs-core"

/**
 * A computation over tensors that a backend may have a fused implementation of, outside any tape. Calling it runs the
 * running backend's implementation, or else the definition.
 *
 * An implementation gives the definition's numbers up to rounding, sums in a fixed order, and returns new tensors that
 * its caller owns. Shapes: T tokens, R queries, H features, N rows, V rows of a table, I inputs and O outputs of a
 * linear layer.
 *
 * A kernel is defined in the file of its op. The op has the plain name (`linear`), the kernel's constant ends in
 * `Kernel` (`linearKernel`), and its `name` has no such ending.
 */
export interface Kernel<Args extends readonly unknown[], Result> {
  (...args: Args): Result
  readonly name: string
  /** In plain tfjs ops: what every implementation is checked against, and what runs where there is none. */
  readonly definition: (...args: Args) => Result
}

/** A kernel of whatever type. */
type AnyKernel = Kernel<never, unknown>

/** A backend's own code for a kernel. */
export interface Implementation {
  readonly kernel: AnyKernel
  readonly run: AnyKernel["definition"]
}

const implementations = new Map<string, ReadonlyMap<AnyKernel, Implementation["run"]>>()

export const defineKernel = <Args extends readonly unknown[], Result>(
  name: string,
  definition: (...args: Args) => Result,
): Kernel<Args, Result> => {
  const call = (...args: Args): Result => {
    // `implement` took it for a kernel of the definition's type.
    const run = implementations.get(tf.getBackend())?.get(kernel) as typeof definition | undefined
    return (run ?? definition)(...args)
  }
  const kernel = Object.assign(Object.defineProperty(call, "name", { value: name }), { definition })
  return kernel
}

export const implement = <K extends AnyKernel>(kernel: K, run: K["definition"]): Implementation => ({
  kernel,
  run,
})

/**
 * Makes these the implementations of a backend, instead of any that it had.
 *
 * @param backend its name in tfjs
 * @throws Error where two are of the same kernel, or of kernels of the same name
 */
export const registerKernels = (backend: string, own: readonly Implementation[]): void => {
  const names = new Set<string>()
  for (const { kernel } of own) {
    if (names.has(kernel.name)) {
      throw new Error(
        `the backend ${backend} implements the kernel ${kernel.name} twice; leave one of the two out`,
      )
    }
    names.add(kernel.name)
  }
  implementations.set(backend, new Map(own.map(({ kernel, run }) => [kernel, run])))
}
