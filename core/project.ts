import { fileURLToPath } from "node:url"

/** The folder that holds `core`, `plugins` and `pipelines`. */
export const projectFolder = fileURLToPath(new URL("..", import.meta.url))
