import { expect, test } from "bun:test"
import { centred } from "../../../../plugins/probe/shared/centring.ts"
import { centredVectors, gaussian, gramOf } from "../vectors.ts"

test("a centred Gram matrix is that of the vectors less their mean", () => {
  const vectors = gaussian(9, 4).map((vector) => vector.map((value) => value + 3))
  const found = centred(gramOf(vectors), 9)
  const expected = gramOf(centredVectors(vectors))
  expect(Math.max(...found.map((entry, at) => Math.abs(entry - expected[at]!)))).toBeLessThan(1e-12)
})
