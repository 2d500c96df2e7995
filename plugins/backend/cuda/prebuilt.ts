/** Kernels that came with the package, for machines without NVRTC and clang: PTX, which drivers compile for their GPU. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { namesIn } from "../../../core/io/files.ts"
import { prebuiltFolder } from "../device/build.ts"
import type { Compiler } from "./compiler.ts"

export const prebuiltName = ({ name, target }: Compiler): string =>
  `kernels-${name.replaceAll(" ", "-")}-${target}.ptx`

const form = /^kernels-(.+)-compute_(\d+)\.ptx$/

/** Those for a capability, as compilers that take what was compiled beforehand; the best first. */
export const prebuiltCompilers = async (capability: number): Promise<readonly Compiler[]> => {
  return (await namesIn(prebuiltFolder))
    .flatMap((file) => {
      const [, compiler, least] = form.exec(file) ?? []
      return compiler === undefined || Number(least) > capability
        ? []
        : [{ file, compiler, least: Number(least) }]
    })
    .sort((a, b) => b.least - a.least)
    .map(({ file, compiler, least }) => ({
      name: `${compiler.replaceAll("-", " ")} beforehand`,
      target: `compute_${least}`,
      options: [],
      compile: () => fs.readFile(join(prebuiltFolder, file)),
    }))
}
