import { expect, test } from "bun:test"
import { centred } from "../../../../plugins/probe/shared/centring.ts"
import { centredVectors, gaussian, gramOf } from "../vectors.ts"

test("a centred Gram matrix is that of the vectors less their mean", () => {
  const vectors = gaussian(9, 4).map((vector) => vector.map((value) => value + 3))
  const found = centred(gramOf(vectors), 9)
  const expected = gramOf(centredVectors(vectors))
  expect(Math.max(...found.map((entry, at) => Math.abs(entry - expected[at]!)))).toBeLessThan(1e-12)
})

test("that of vectors which differ by rounding only is zero", () => {
  const same = Array.from({ length: 6 }, (_, n) => [0.3, 500 + (n % 2) * 2 ** -15])
  expect([...centred(gramOf(same), 6)]).toEqual(new Array(36).fill(0))
  const different = same.map(([a, b], n) => [a! + n / 10, b!])
  expect(Math.max(...centred(gramOf(different), 6))).toBeGreaterThan(0.05)
})
