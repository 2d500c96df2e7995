/** The estimated cost of a unit of work, for plans. Nothing enforces it. */
export interface Cost {
  /** Floating-point operations (a multiplication and an addition count as two). */
  readonly flops: number
  /** How many kernels and products a device is asked for: however little each of them does, asking takes time. */
  readonly calls: number
  /** Peak resident memory, bytes. */
  readonly memory: number
  /** Bytes that a device with memory of its own holds besides: copies of tensors that leave it while it computes. */
  readonly copies: number
  /** Size of the artifact, bytes. */
  readonly disk: number
  /** Disk used while the unit runs and freed at its end, bytes. */
  readonly scratch: number
}

const none: Cost = { flops: 0, calls: 0, memory: 0, copies: 0, disk: 0, scratch: 0 }

/** A cost with the given parts; the others are 0. */
export const cost = (parts: Partial<Cost>): Cost => ({ ...none, ...parts })

/**
 * The cost of units that run in one process: everything adds up except memory, whose peak is that of the largest, and
 * copies, of which there are those of one unit at a time.
 */
export const together = (costs: readonly Cost[]): Cost =>
  costs.reduce(
    (sum, next) => ({
      flops: sum.flops + next.flops,
      calls: sum.calls + next.calls,
      memory: Math.max(sum.memory, next.memory),
      copies: Math.max(sum.copies, next.copies),
      disk: sum.disk + next.disk,
      scratch: sum.scratch + next.scratch,
    }),
    none,
  )

/** The cost on a device with memory of its own: `memory` is then the device's, with the copies that it holds. */
export const onDevice = (cost: Cost): Cost => ({ ...cost, memory: cost.memory + cost.copies })
