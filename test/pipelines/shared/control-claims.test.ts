import { expect, test } from "bun:test"
import { controlClaims } from "../../../pipelines/shared/control-claims.ts"

const statements = (arms: readonly string[], lr: readonly number[] = [1e-5]) =>
  controlClaims({ arms, lr }).map(({ statement }) => statement)

test("compare SimCSE with each control that there is, at every learning rate", () => {
  expect(statements(["vanilla", "SimCSE(0.1)"])).toEqual([])
  const against = statements(["vanilla", "SimCSE(0.1)", "MLM"], [1e-5, 2e-5])
  expect(against).toHaveLength(1 + 2 * 2)
  for (const statement of against) expect(statement).toContain("SimCSE(0.1)")
  for (const statement of against) expect(statement).toContain("MLM")
  expect(statements(["vanilla", "MLM"])).toEqual([])
})

test("compare fresh poolers with fresh poolers", () => {
  const fresh = ["vanilla", "SimCSE(0.1)", "vanilla with a fresh pooler", "SimCSE(0.1) with a fresh pooler"]
  for (const statement of statements(fresh)) {
    expect(statement).toContain("SimCSE(0.1) with a fresh pooler")
    expect(statement).toContain("vanilla with a fresh pooler")
  }
  expect(statements(fresh)).toHaveLength(3)
})
