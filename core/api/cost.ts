/** The estimated cost of a unit of work, for plans. Nothing enforces it. */
export interface Cost {
  /** Floating-point operations (a multiplication and an addition count as two). */
  readonly flops: number
  /** Peak resident memory, bytes. */
  readonly memory: number
  /** Size of the artifact, bytes. */
  readonly disk: number
  /** Disk used while the unit runs and freed at its end, bytes. */
  readonly scratch: number
}

const none: Cost = { flops: 0, memory: 0, disk: 0, scratch: 0 }

/** A cost with the given parts; the others are 0. */
export const cost = (parts: Partial<Cost>): Cost => ({ ...none, ...parts })

/** The cost of units that run in one process: everything adds up except memory, whose peak is that of the largest. */
export const together = (costs: readonly Cost[]): Cost =>
  costs.reduce(
    (sum, next) => ({
      flops: sum.flops + next.flops,
      memory: Math.max(sum.memory, next.memory),
      disk: sum.disk + next.disk,
      scratch: sum.scratch + next.scratch,
    }),
    none,
  )
