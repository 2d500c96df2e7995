/** The addon's errors: what the driver and libraries report. */

/** What kind of failure it is: the driver's name for it, or the addon's own. */
export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : ""

/** Whether the device has too little memory: with more, the same would work. */
export const outOfMemory = (cause: unknown): boolean => codeOf(cause).endsWith("OUT_OF_MEMORY")

/** Whether a call of the driver failed, not one of another library. */
export const ofDriver = (cause: unknown): boolean => codeOf(cause).startsWith("CUDA_ERROR_")
