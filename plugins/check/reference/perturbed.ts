import type { Precision } from "../../../core/api/precision.ts"
import { Parameters, type ReadonlyParameters } from "../../../core/tensor/parameters.ts"
import { integers, type Stream } from "../../../core/tensor/stream.ts"

/** The bits of a float32 that a rounding changes by one: its last bit, or the last that TF32 or bfloat16 keeps. */
const roundings: Readonly<Record<Precision, number>> = { fp32: 1, tf32: 2 ** 13, bf16: 2 ** 16 }

/**
 * A copy of parameters in which every number is moved to a neighbour, up or down by chance, in the precision of matrix
 * products: by one rounding. Zeros stay.
 */
export const perturbed = (
  parameters: ReadonlyParameters,
  precision: Precision,
  stream: Stream,
): Parameters => {
  const rounding = roundings[precision]
  const host = parameters.toHost()
  for (const [site, { values }] of [...host.values()].entries()) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
    const up = integers({ stream, site, iteration: 0 }, values.length, 2)
    for (let i = 0; i < bits.length; i++) {
      // Seen as integers, the neighbours of a float32 are the next and the last one; that of ±0 would be NaN.
      if (values[i] !== 0) bits[i]! += up[i] === 1 ? rounding : -rounding
    }
  }
  return Parameters.fromHost(host)
}
