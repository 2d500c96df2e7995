/** What follows `process.execPath` on a command line by which this runtime, Bun or Deno, runs a module. */
export const runtimeArguments = (module: string): readonly string[] =>
  "Deno" in globalThis ? ["run", "--allow-all", module] : [module]
