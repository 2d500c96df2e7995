/** Matrix products are computed from float32 numbers, or from numbers rounded to bfloat16 and summed in float32. */
export const precisions = ["fp32", "bf16"] as const
export type Precision = (typeof precisions)[number]
