/**
 * Matrix products are computed from float32 numbers, or from numbers rounded to TF32 (10 bits after the point) or to
 * bfloat16 (7 bits), and summed in float32.
 */
export const precisions = ["fp32", "tf32", "bf16"] as const
export type Precision = (typeof precisions)[number]
