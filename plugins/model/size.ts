import { type } from "arktype"
import { type Size, sizes } from "./config.ts"

/** The sizes of an encoder, apart from its vocabulary and positions. */
export interface EncoderSize {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly intermediate: number
}

/** An option: the name of a published model, or the sizes themselves. */
export const sizeOption = type
  .enumerated(...(Object.keys(sizes) as Size[]))
  .or({
    "+": "reject",
    layers: "1 <= number.integer <= 1024",
    hidden: "1 <= number.integer <= 65536",
    heads: "1 <= number.integer <= 1024",
    intermediate: "1 <= number.integer <= 262144",
  })
  .narrow(
    (size, context) =>
      typeof size === "string" ||
      size.hidden % size.heads === 0 ||
      context.reject({
        relativePath: ["hidden"],
        expected: `a multiple of ${[...context.path, "heads"].join(".")} (${size.heads})`,
        actual: String(size.hidden),
      }),
  )
  .describe(`${Object.keys(sizes).join(", ")} or { layers, hidden, heads, intermediate }`, "self")
export type SizeOption = typeof sizeOption.infer

/** The sizes that an option gives; in published models the feed-forward networks are four times as wide. */
export const encoderSize = (size: SizeOption): EncoderSize =>
  typeof size === "string" ? { ...sizes[size], intermediate: 4 * sizes[size].hidden } : size
