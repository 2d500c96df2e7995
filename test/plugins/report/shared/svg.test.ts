import { expect, test } from "bun:test"
import { Effect } from "effect"
import { drawSvg } from "../../../../plugins/report/shared/svg.ts"

test("a name with control characters or markup is text that XML may have", async () => {
  const arm = "b\u0007\u001b[31m</script><script>alert(1)</script>"
  const svg = await Effect.runPromise(
    drawSvg("figure", arm, arm, {
      title: arm,
      data: { values: [{ arm, value: 1 }] },
      mark: "bar",
      encoding: { x: { field: "arm", type: "nominal" }, y: { field: "value", type: "quantitative" } },
    }),
  )
  expect(svg).not.toMatch(/[^\P{Cc}\t\n\r]/u)
  expect(svg).toContain("b\ufffd\ufffd[31m&lt;/script&gt;")
  expect(svg).not.toContain("<script")
})
