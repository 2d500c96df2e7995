import { expect, test } from "bun:test"
import { renamed, withBareImports } from "../../../core/cli/scaffold.ts"

const moved = { "plugins/template/probe.ts": "plugins/probe/norm.ts" }
const bare = (text: string) =>
  withBareImports(
    text,
    "test/plugins/template/project/probe.test.ts",
    "test/plugins/probe/norm.test.ts",
    moved,
  )

test("imports of this package are by its name, each module once, and its own copies of packages among them", () => {
  const text = `/** A comment. */
import { expect } from "bun:test"
import * as fs from "node:fs/promises"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Effect } from "effect"
import type { Row } from "../../../../core/artifacts/observations.ts"
import { type Cost, cost } from "../../../../core/api/cost.ts"
import type { ClassifierView } from "../../../../plugins/model/view.ts"
import { templateProbe } from "../../../../plugins/template/probe.ts"
import { testPlugin } from "../../../../plugins/testing/testing.ts"

const here = "import { x } from './y.ts'"
`
  expect(bare(text)).toBe(`/** A comment. */
import * as fs from "node:fs/promises"
import { expect } from "bun:test"
import { type Cost, cost, Effect, type Row, tf, type } from "kasosei"
import type { ClassifierView } from "kasosei/plugins/model/view"
import { testPlugin } from "kasosei/testing"
import { templateProbe } from "../../../plugins/probe/norm.ts"

const here = "import { x } from './y.ts'"
`)
})

test("an import that is too wide has a name a line", () => {
  const names = Array.from({ length: 12 }, (_, i) => `exported${String.fromCharCode(97 + i)}`)
  const text = `import {\n${names.map((name) => `  ${name},\n`).join("")}} from "../../../../core/api/cost.ts"\nx\n`
  expect(bare(text)).toBe(`import {\n${names.map((name) => `  ${name},\n`).join("")}} from "kasosei"\nx\n`)
})

test("a new name takes the place of the template's, in both of its forms", () => {
  expect(renamed('templateProbe({ name: "template-probe" })', "probe", "weight-norm")).toBe(
    'weightNorm({ name: "weight-norm" })',
  )
})
