/**
 * Tells a process that no longer answers from one that computes for long between two answers. Times are of a monotonic
 * clock, so that a corrected date means nothing.
 */

/** How often a watchdog looks, s. */
export const lookEvery = 2
/** After a longer pause between two looks, s, this process itself had not run, and perhaps the machine had not. */
const longestPause = 10
/** Whoever neither answers nor computes for this long, s, is taken for dead. */
const longestSilence = 300
/** The same where it cannot be seen whether a process computes, s: one kernel of a large model may take minutes. */
const longestUnseenSilence = 3600
/** So much CPU time in a silence, s, is a sign of life: more than what idle threads of a runtime take. */
const computing = 1

export class Watchdog {
  private alive: number
  private looked: number
  private cpuThen: number | undefined

  constructor(now: number) {
    this.alive = now
    this.looked = now
  }

  /** It has answered, or said anything. */
  heard(now: number): void {
    this.alive = now
    this.cpuThen = undefined
  }

  /**
   * Looks, every {@link lookEvery} seconds.
   *
   * @param cpu the CPU time that the process has used so far, s, where that can be seen
   * @returns for how long it has been silent, s, if that is too long
   */
  look(now: number, cpu: number | undefined): number | undefined {
    const paused = now - this.looked > longestPause
    this.looked = now
    const computed = cpu !== undefined && this.cpuThen !== undefined && cpu - this.cpuThen >= computing
    if (paused || computed) this.heard(now)
    this.cpuThen ??= cpu
    const silence = now - this.alive
    return silence >= (cpu === undefined ? longestUnseenSilence : longestSilence) ? silence : undefined
  }
}
