/** A compiler of kernels. */
export interface Compiler {
  readonly name: string
  /** Of what it gives: `sm_90` is for one capability, `compute_90` for it and all later ones. */
  readonly target: string
  readonly compile: () => Promise<Uint8Array>
}
