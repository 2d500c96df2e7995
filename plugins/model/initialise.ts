/** Initial parameters: weights from N(0, `initializer_range`²), biases 0, LayerNorm's scales 1 (Devlin et al. 2019). */
import type { HostTensor } from "../../core/tensor/parameters.ts"
import { normal, type Stream } from "../../core/tensor/stream.ts"
import type { EncoderConfig } from "./config.ts"
import { everyParameterOf, type ParameterSpec } from "./parameters.ts"

/**
 * Draws the values of parameters one by one. The site of a parameter's draws is its index in the model with every
 * output head, so its values do not depend on what else is drawn.
 *
 * @param stream conventionally the stream named `head`
 * @throws RangeError if a parameter is not one of the layout's
 */
export function* initialise(
  config: EncoderConfig,
  specs: readonly ParameterSpec[],
  stream: Stream,
): Generator<[name: string, HostTensor]> {
  const sites = new Map(everyParameterOf(config).map(({ name }, site) => [name, site]))
  for (const { name, shape, role } of specs) {
    const size = shape.reduce((product, length) => product * length, 1)
    const site = sites.get(name)
    if (site === undefined) throw new RangeError(`${name} is not a parameter of ${config.layout.title}`)
    const values =
      role === "weight"
        ? normal({ stream, site, iteration: 0 }, size, config.initializerRange)
        : new Float32Array(size).fill(role === "scale" ? 1 : 0)
    yield [name, { shape, values }]
  }
}
