/** How fast a GPU trains, as far as its size tells: for plans, until units have been timed. */
import type { Precision } from "../../../core/api/precision.ts"

/** What the driver says of a GPU. */
export interface KnownGpu {
  /** 90 for 9.0 */
  readonly capability: number
  readonly multiprocessors: number
  /** Of the multiprocessors, Hz; 0 if the driver does not tell. */
  readonly clock: number
  /** Of its memory, bytes/s; 0 if the driver does not tell, as where it is the processor's. */
  readonly bandwidth: number
}

type PerCycle = Readonly<Record<Precision, number>>

/**
 * Floating-point operations of a multiprocessor in a cycle, from the architectures' white papers: without sparsity, with
 * sums in float32. The GPUs of workstations have 8.6, 8.9 and 12.x.
 */
const perCycle: readonly (readonly [capability: number, rates: PerCycle])[] = [
  [120, { fp32: 256, tf32: 256, bf16: 512 }],
  [100, { fp32: 256, tf32: 4096, bf16: 8192 }],
  [90, { fp32: 256, tf32: 2048, bf16: 4096 }],
  [86, { fp32: 256, tf32: 256, bf16: 512 }],
  [80, { fp32: 128, tf32: 1024, bf16: 2048 }],
]

/** Of the arithmetic and of the memory's bandwidth, what kernels reach. */
const [ofArithmetic, ofBandwidth] = [0.6, 0.8]

/**
 * Bytes that training moves for each floating-point operation of its products, besides what the products themselves wait
 * for: as counted for BERT-large with batches of 16 pairs of sentences. Half of it is AdamW's.
 */
const bytesPerFlop = 0.014

/** Hz, and bytes/s: where nothing is known, of a small GPU. */
const [usualClock, usualBandwidth] = [1.4e9, 0.25e12]

/**
 * What the processor takes to ask for a kernel: an update of BERT-large, of about 780 calls, takes JavaScript 11 ms. A GPU
 * that is faster waits for it.
 */
export const secondsPerCall = 14e-6

/** In training an encoder, flop/s. */
export const speedOf = (
  { capability, multiprocessors, clock, bandwidth }: KnownGpu,
  precision: Precision,
): number => {
  const [, rates] = perCycle.find(([least]) => capability >= least) ?? perCycle.at(-1)!
  const arithmetic = multiprocessors * (clock || usualClock) * rates[precision]
  return 1 / (1 / (ofArithmetic * arithmetic) + bytesPerFlop / (ofBandwidth * (bandwidth || usualBandwidth)))
}
