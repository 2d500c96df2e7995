/** A compiler of kernels. */
export interface Compiler {
  readonly name: string
  /** Of what it gives: `sm_90` is for 9.0 and later 9.x, `compute_90` for all later ones. */
  readonly target: string
  /** All that it is told, besides the kernels. */
  readonly options: readonly string[]
  readonly compile: () => Promise<Uint8Array>
}
