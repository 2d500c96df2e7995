import * as tf from "@tensorflow/tfjs-core"

/**
 * A computation over tensors, outside any tape, for which a backend may have a fused implementation. Calling it runs
 * the implementation of the backend in use or, if it has none, the definition.
 *
 * An implementation agrees with the definition up to rounding, sums in a fixed order, and returns new tensors that its
 * caller owns. Shapes: T tokens, R queries, H features, N rows, V rows of a table, I inputs and O outputs of a
 * linear layer.
 *
 * A kernel is defined in the file of its op. The op has the plain name (`linear`), the kernel's constant ends in
 * `Kernel` (`linearKernel`), and its `name` has no such ending.
 */
export interface Kernel<Args extends readonly unknown[], Result> {
  (...args: Args): Result
  readonly name: string
  /** In plain tfjs ops: every implementation is checked against it, and it runs on backends that have none. */
  readonly definition: (...args: Args) => Result
}

/** Any kernel. */
type AnyKernel = Kernel<never, unknown>

/** A backend's own code for a kernel. */
export interface Implementation {
  readonly kernel: AnyKernel
  readonly run: AnyKernel["definition"]
}

const implementations = new Map<string, ReadonlyMap<AnyKernel, Implementation["run"]>>()

let definitionsOnly = false

/** Within `body` every kernel runs its definition, whatever the backend: under a tape, it is then differentiable. */
export const byDefinition = <A>(body: () => A): A => {
  const outer = definitionsOnly
  definitionsOnly = true
  try {
    return body()
  } finally {
    definitionsOnly = outer
  }
}

/** @param name unique among the kernels, for messages and tests */
export const defineKernel = <Args extends readonly unknown[], Result>(
  name: string,
  definition: (...args: Args) => Result,
): Kernel<Args, Result> => {
  const call = (...args: Args): Result => {
    if (definitionsOnly) return definition(...args)
    // `implement` accepts it only for a kernel of the definition's type.
    const run = implementations.get(tf.getBackend())?.get(kernel) as typeof definition | undefined
    return (run ?? definition)(...args)
  }
  const kernel = Object.assign(Object.defineProperty(call, "name", { value: name }), { definition })
  return kernel
}

/** @param run takes the kernel's arguments and gives its result, under the contract of {@link Kernel} */
export const implement = <K extends AnyKernel>(kernel: K, run: K["definition"]): Implementation => ({
  kernel,
  run,
})

/**
 * Registers a backend's implementations, replacing any that it had.
 *
 * @param backend its name in tfjs
 * @throws Error if two implement the same kernel, or kernels of the same name
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
