import { fileURLToPath } from "node:url"
import manifest from "../../package.json" with { type: "json" }

/** The folder that holds `core`, `plugins` and `pipelines`. */
export const projectFolder = fileURLToPath(new URL("../..", import.meta.url))

/** This project's version. */
export const version: string = manifest.version
