import { expect, test } from "bun:test"
import { templateProbe } from "../../../../plugins/template/probe.ts"
import { testPlugin, toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

testPlugin(templateProbe, { options: { steps: { at: [0], last: true } } })

test("gives the norm of each layer at each step, which training changes", () =>
  withArtifacts(async (artifactOf) => {
    const rows = await artifactOf(templateProbe({ run: toyStudy.run, steps: { at: [0, 6] } }))
    expect(rows.map(({ step, layer }) => [step, layer])).toEqual([
      [0, 0],
      [0, 1],
      [6, 0],
      [6, 1],
    ])
    for (const { norm } of rows) expect(norm).toBeGreaterThan(0)
    expect(rows[2]!.norm).not.toBe(rows[0]!.norm)
  }))

test("a step beyond the end of the run is refused", () =>
  withArtifacts(async (artifactOf) => {
    const beyond = artifactOf(templateProbe({ run: toyStudy.run, steps: { at: [7] } }))
    await expect(beyond).rejects.toThrow("must be from 0 to 6, the end of the run (was 7)")
  }))
