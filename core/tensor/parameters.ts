import * as tf from "@tensorflow/tfjs-core"
import { differentiate } from "./tape.ts"

/** A tensor's values in host memory, row-major. */
export interface HostTensor {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** A model's parameters by name, in a fixed order, to be read. Whoever made the set owns the tensors. */
export interface ReadonlyParameters {
  readonly names: readonly string[]
  readonly has: (name: string) => boolean
  /**
   * A parameter, which the set still owns.
   *
   * @typeParam T its rank, which the caller knows from the model
   * @throws RangeError if there is no parameter of that name
   */
  readonly get: <T extends tf.Tensor = tf.Tensor>(name: string) => T
  /** The number of scalars. */
  readonly size: number
  /** Copies of all values, in order. */
  readonly toHost: () => Map<string, HostTensor>
  /** An independent set with the same values. */
  readonly clone: () => Parameters
}

/**
 * A model's parameters by name, in a fixed order. The set owns its tensors: `set` and `dispose` dispose of them.
 * Nothing is registered in tfjs, so models with the same names can exist side by side.
 */
export class Parameters implements ReadonlyParameters {
  readonly #tensors = new Map<string, tf.Tensor>()

  /** @throws RangeError if values and shape disagree */
  static fromHost(entries: Iterable<readonly [string, HostTensor]>): Parameters {
    const parameters = new Parameters()
    for (const [name, { shape, values }] of entries) {
      const size = tf.util.sizeFromShape([...shape])
      if (size !== values.length) {
        parameters.dispose()
        throw new RangeError(`parameter ${name} has shape [${shape}] and ${values.length} values`)
      }
      // A copy: the backend may use the array as its own memory.
      parameters.set(name, tf.tensor(values.slice(), [...shape]))
    }
    return parameters
  }

  get names(): readonly string[] {
    return [...this.#tensors.keys()]
  }

  has(name: string): boolean {
    return this.#tensors.has(name)
  }

  get<T extends tf.Tensor = tf.Tensor>(name: string): T {
    const tensor = this.#tensors.get(name)
    if (tensor === undefined) throw new RangeError(`there is no parameter ${name}`)
    return tensor as T
  }

  /** Takes ownership of a tensor, and disposes of the one that had the name. A new name goes last. */
  set(name: string, tensor: tf.Tensor): void {
    const old = this.#tensors.get(name)
    this.#tensors.set(name, tf.keep(tensor))
    if (old !== undefined && old !== tensor) old.dispose()
  }

  get size(): number {
    let size = 0
    for (const tensor of this.#tensors.values()) size += tensor.size
    return size
  }

  toHost(): Map<string, HostTensor> {
    const host = new Map<string, HostTensor>()
    for (const [name, tensor] of this.#tensors) {
      host.set(name, { shape: [...tensor.shape], values: Float32Array.from(tensor.dataSync()) })
    }
    return host
  }

  clone(): Parameters {
    return Parameters.fromHost(this.toHost())
  }

  /**
   * A set in which some tensors are replaced. It owns none: it is not disposed of, and is valid as long as the tensors
   * of this set and the others are.
   */
  replacing(others: ReadonlyMap<string, tf.Tensor>): Parameters {
    const borrowing = new Parameters()
    for (const [name, tensor] of this.#tensors) borrowing.#tensors.set(name, others.get(name) ?? tensor)
    return borrowing
  }

  /** The same parameters without `set` and `dispose`. */
  get readonly(): ReadonlyParameters {
    const { names, size } = this
    return Object.freeze({
      names: Object.freeze(names),
      size,
      has: (name: string) => this.has(name),
      get: <T extends tf.Tensor>(name: string) => this.get<T>(name),
      toHost: () => this.toHost(),
      clone: () => this.clone(),
    })
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}

/** Gradients by parameter name. The caller who computes them disposes of them. */
export type Gradients = ReadonlyMap<string, tf.Tensor>

/** Disposes of all gradients. */
export const disposeGradients = (gradients: Gradients): void => {
  for (const gradient of gradients.values()) gradient.dispose()
}

/**
 * A loss and its gradients with respect to parameters. All intermediate tensors are disposed of.
 *
 * @param names the parameters to differentiate by, all by default
 * @returns the value and the gradients, which the caller disposes of; a parameter that the loss does not depend on has
 *   no gradient
 */
export const valueAndGradients = (
  loss: () => tf.Scalar,
  parameters: ReadonlyParameters,
  names: readonly string[] = parameters.names,
): { readonly value: tf.Scalar; readonly gradients: Gradients } => {
  const gradients = new Map<string, tf.Tensor>()
  const value = tf.tidy(() => {
    const tensors = names.map((name) => parameters.get(name))
    const found = differentiate(loss, tensors)
    for (const [index, name] of names.entries()) {
      const gradient = found.gradients[index]
      // Two names may have one parameter.
      if (gradient !== undefined) gradients.set(name, tf.keep(gradient.kept ? gradient.clone() : gradient))
    }
    return found.value
  })
  return { value, gradients }
}
