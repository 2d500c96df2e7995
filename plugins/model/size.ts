import { type } from "arktype"
import { type Size, sizes } from "./config.ts"

/** The four numbers that make an encoder, its vocabulary and positions aside. */
export interface EncoderSize {
  readonly layers: number
  readonly hidden: number
  readonly heads: number
  readonly intermediate: number
}

/** An option: the name of a published size, or the numbers themselves. */
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

/** The numbers of a size; of a published one the feed-forward networks are four times as wide. */
export const encoderSize = (size: SizeOption): EncoderSize =>
  typeof size === "string" ? { ...sizes[size], intermediate: 4 * sizes[size].hidden } : size
