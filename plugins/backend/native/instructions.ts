/** Prints the instruction set of the addon at the path that is given to this process. */
import { createRequire } from "node:module"

const addon = createRequire(import.meta.url)(process.argv[2]!) as { readonly instructions: () => string }
process.stdout.write(addon.instructions())
