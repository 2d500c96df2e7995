/** `bun run new project DIR`: writes a folder for plugins and pipelines of one's own, outside of this repository. */
import * as fs from "node:fs/promises"
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path"
import { Effect } from "effect"
import manifest from "../../package.json" with { type: "json" }
import { InvalidInput } from "../io/decode.ts"
import { attempt, exists, type FileError, readText, remove } from "../io/files.ts"
import {
  dependencyOn,
  findProject,
  moduleExtension,
  packageFolder,
  packageName,
  version,
} from "../io/project.ts"
import { renamed, withBareImports } from "./scaffold.ts"

/** The names of what a new project starts with. */
const probe = "weight-norm"
const pipeline = "first-study"

/**
 * Writes a project: all of its files or none. The folder must be new or empty, and its name that of a package: lower
 * case with hyphens.
 *
 * @returns the files, as paths from the current folder, and the commands to go on with
 * @throws InvalidInput if the name or the folder is refused
 * @throws FileError if a template cannot be read or a file cannot be written
 */
export const writeProject: (
  folder: string,
) => Effect.Effect<
  { readonly files: readonly string[]; readonly next: readonly string[] },
  InvalidInput | FileError
> = Effect.fn("writeProject")(function* (given: string) {
  const refuse = (problem: string) => new InvalidInput({ what: `new project ${given}`, problems: [problem] })
  const folder = resolve(given)
  const name = basename(folder)
  if (given.trim() === "" || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name === packageName) {
    return yield* refuse(
      `the folder's name must be lower-case letters and digits with single hyphens, such as my-study (was ${JSON.stringify(name)})`,
    )
  }
  const isThere = yield* exists(folder)
  const inIt = isThere ? yield* attempt("list", folder, () => fs.readdir(folder)) : []
  if (inIt.length > 0) {
    return yield* refuse(`expected a new or empty folder, found ${inIt.sort().slice(0, 3).join(", ")} in it`)
  }
  const files = yield* filesOf(folder, name)
  const first = yield* Effect.promise(() => firstMissing(folder))
  yield* Effect.forEach(files, ([path, text]) =>
    attempt("write", join(folder, path), async () => {
      await fs.mkdir(dirname(join(folder, path)), { recursive: true })
      await fs.writeFile(join(folder, path), text, { flag: "wx" })
    }),
  ).pipe(
    Effect.onError(() =>
      isThere ? Effect.forEach(files, ([path]) => remove(join(folder, path.split("/")[0]!))) : remove(first),
    ),
  )
  const packed = join(packageFolder, tarball)
  const mustPack = moduleExtension === ".ts" && !(yield* exists(packed))
  return {
    files: files.map(([path]) => join(given, path)),
    next: [
      ...(mustPack ? [`bun run pack  # in ${packageFolder}`] : []),
      `cd ${given}`,
      "bun install",
      "bun test",
      `bun run pipeline ${pipeline}.ts`,
    ],
  }
})

/** What `bun run pack` makes in a checkout. */
const tarball = `${packageName}-${version}.tgz`

/** The uppermost folder of a path that does not exist. */
const firstMissing = async (folder: string): Promise<string> => {
  const above = dirname(folder)
  const isThere = await fs.access(above).then(
    () => true,
    () => false,
  )
  return isThere ? folder : firstMissing(above)
}

/** The text of every file by its path in the project. */
const filesOf = Effect.fnUntraced(function* (folder: string, name: string) {
  const places = { [`plugins/template/probe.ts`]: `plugins/probe/${probe}.ts` }
  const fromTemplate = (template: string, path: string, what: "probe" | "pipeline", named: string) =>
    Effect.map(readText(join(packageFolder, template)), (text) => {
      const imported = withBareImports(text, template, path, places)
      return [path, renamed(renamed(imported, "probe", probe), what, named)] as const
    })
  const bareTest = `test/plugins/probe/${probe}.test.ts`
  return [
    ["package.json", json(packageOf(folder, name))],
    ["tsconfig.json", json(typescript)],
    [".gitignore", "node_modules/\nout/\n"],
    ["README.md", readmeOf(name)],
    yield* fromTemplate("plugins/template/pipeline.ts", `pipelines/${pipeline}.ts`, "pipeline", pipeline),
    yield* fromTemplate("plugins/template/probe.ts", `plugins/probe/${probe}.ts`, "probe", probe),
    yield* fromTemplate("test/plugins/template/project/probe.test.ts", bareTest, "probe", probe),
  ] as const
})

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const packageOf = (folder: string, name: string) => ({
  name,
  private: true,
  type: "module",
  scripts: {
    ...Object.fromEntries(
      ["pipeline", "plugins", "new", "doctor", "bench"].map((command) => [
        command,
        `${packageName} ${command}`,
      ]),
    ),
    check: "tsc -p .",
  },
  dependencies: { [packageName]: specifierFrom(folder) },
  devDependencies: {
    "bun-types": manifest.devDependencies["bun-types"],
    typescript: manifest.devDependencies.typescript,
  },
})

/**
 * Where the new project takes this package from: from a checkout, what `bun run pack` makes there; otherwise, where the
 * project takes it from in which this package is installed.
 */
const specifierFrom = (folder: string): string => {
  const path = (to: string) => `file:${relative(folder, to).split(sep).join("/")}`
  if (moduleExtension === ".ts") return path(join(packageFolder, tarball))
  const project = findProject(dirname(packageFolder))
  const given = project === undefined ? undefined : dependencyOn(project)
  if (project === undefined || given === undefined) return version
  const local = /^(?:file:)?(\.{0,2}\/.*|.*\.tgz)$/.exec(given)?.[1]
  if (local === undefined) return given
  return path(isAbsolute(local) ? local : join(project, local))
}

/** The strictness is this package's own. */
const typescript = {
  compilerOptions: {
    target: "esnext",
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["esnext", "dom"],
    types: ["bun-types"],
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
  },
  include: ["plugins", "pipelines", "test"],
}

const readmeOf = (name: string): string => `# ${name}

| command | |
|---|---|
| \`bun install\` | installs kasosei, whose README describes its commands |
| \`bun run pipeline ${pipeline}.ts\` | runs a pipeline of \`pipelines/\`, or one of kasosei's |
| \`bun run new probe NAME\` | writes a plugin and its test; also \`data\`, \`pretrain\`, \`finetune\` and \`report\` |
| \`bun run plugins\` | lists the plugins, this project's and kasosei's, and what to import them from |
| \`bun test\` | runs the tests |
| \`bun run check\` | checks the types |
`
