/** `bun run store`: what `--out` holds, whether it is whole, and what of it can go. */
import { Command } from "effect/cli"
import { exportCommand } from "./store/export.ts"
import { gcCommand } from "./store/gc.ts"
import { lsCommand } from "./store/ls.ts"
import { showCommand } from "./store/show.ts"
import { verifyCommand } from "./store/verify.ts"

export const storeCommand = Command.make("store").pipe(
  Command.withDescription("List, check, clean up and copy what pipelines have made"),
  Command.withSubcommands([lsCommand, showCommand, verifyCommand, gcCommand, exportCommand]),
)
