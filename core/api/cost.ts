/** The estimated cost of a unit of work, for plans. Nothing enforces it. */
export interface Cost {
  /** Floating-point operations (a multiplication and an addition count as two). */
  readonly flops: number
  /** How many kernels and products a device is asked for: however little each does, asking takes its time. */
  readonly calls: number
  /** Peak resident memory, bytes. */
  readonly memory: number
  /** Bytes that a device of its own memory holds besides, in copies of tensors that leave it beside its work. */
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

/** The cost on a device whose memory is not the processor's: its memory is that of the device. */
export const onDevice = (cost: Cost): Cost => ({ ...cost, memory: cost.memory + cost.copies })
