/** Divides the cores among the jobs that run, anew whenever one begins or ends. */

/**
 * The number of threads of each job. Those that compute with tensors divide what the others leave, the first of them
 * getting the remainder; the others need one each. Together they have at most `cores`, unless there are more jobs.
 *
 * @param parallel for each job, whether it computes with tensors
 */
export const sharesOf = (cores: number, parallel: readonly boolean[]): readonly number[] => {
  const sharing = parallel.filter((shares) => shares).length
  const left = Math.max(sharing, cores - (parallel.length - sharing))
  let before = 0
  return parallel.map((shares) =>
    shares ? Math.floor(left / sharing) + (before++ < left % sharing ? 1 : 0) : 1,
  )
}

interface Running {
  readonly parallel: boolean
  threads: number
  readonly tell: (threads: number) => void
}

/** A job's part of the cores. */
export interface Share {
  /** With how many threads it begins. */
  readonly threads: number
  /** To be called when the job has ended. */
  readonly end: () => void
}

export class Shares {
  private readonly running = new Set<Running>()

  /** @param threads of every job; undefined if the jobs share the cores */
  constructor(
    private readonly cores: number,
    private readonly threads: number | undefined,
  ) {}

  /**
   * A job begins: the others are told of their new shares before it has its own.
   *
   * @param parallel whether it computes with tensors
   * @param tell called whenever its share changes later
   */
  begin(parallel: boolean, tell: (threads: number) => void): Share {
    const job: Running = { parallel, threads: 0, tell }
    this.running.add(job)
    this.divide(job)
    return {
      threads: job.threads,
      end: () => {
        if (this.running.delete(job)) this.divide(undefined)
      },
    }
  }

  private divide(beginning: Running | undefined): void {
    const running = [...this.running]
    const shares = sharesOf(
      this.cores,
      running.map(({ parallel }) => parallel),
    )
    // A job is told to use fewer threads before another is told to use more.
    const changed = running
      .map((job, i) => ({ job, before: job.threads, threads: this.threads ?? shares[i]! }))
      .filter(({ before, threads }) => threads !== before)
      .sort((a, b) => a.threads - a.before - (b.threads - b.before))
    for (const { job, threads } of changed) {
      job.threads = threads
      if (job !== beginning) job.tell(threads)
    }
  }
}
