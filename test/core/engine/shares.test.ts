import { describe, expect, test } from "bun:test"
import { Shares, sharesOf } from "../../../core/engine/shares.ts"

describe("shares of the cores", () => {
  test("a job alone has all, several divide them, and there is at least one for each", () => {
    expect(sharesOf(16, [true])).toEqual([16])
    expect(sharesOf(16, [true, true, true])).toEqual([6, 5, 5])
    expect(sharesOf(2, [true, true])).toEqual([1, 1])
    expect(sharesOf(2, [true, true, true])).toEqual([1, 1, 1])
    expect(sharesOf(2, [])).toEqual([])
  })

  test("a job that computes no tensors has one, and the others what is left", () => {
    expect(sharesOf(8, [false, true, true])).toEqual([1, 4, 3])
    expect(sharesOf(8, [false])).toEqual([1])
    expect(sharesOf(1, [false, true])).toEqual([1, 1])
  })

  test("add up to the cores, where there are as many, and differ by at most one", () => {
    for (let cores = 1; cores <= 9; cores++) {
      for (let jobs = 1; jobs <= cores; jobs++) {
        for (let serial = 0; serial < jobs; serial++) {
          const parallel = Array.from({ length: jobs }, (_, i) => i >= serial)
          const shares = sharesOf(cores, parallel)
          expect(shares.reduce((sum, share) => sum + share, 0)).toBe(cores)
          const divided = shares.filter((_, i) => parallel[i])
          expect(Math.max(...divided) - Math.min(...divided)).toBeLessThanOrEqual(1)
        }
      }
    }
  })
})

/** Jobs that note how many threads each has. */
const watched = (shares: Shares) => {
  const has = new Map<string, number>()
  let most = 0
  const note = (name: string, threads: number) => {
    has.set(name, threads)
    most = Math.max(
      most,
      [...has.values()].reduce((sum, each) => sum + each, 0),
    )
  }
  const begin = (name: string, parallel = true) => {
    const { threads, end } = shares.begin(parallel, (threads) => note(name, threads))
    note(name, threads)
    return () => {
      has.delete(name)
      end()
    }
  }
  return { has, begin, most: () => most }
}

test("shares change whenever a job begins or ends, and never exceed the cores meanwhile", () => {
  const { has, begin, most } = watched(new Shares(5, undefined))
  const endA = begin("a")
  expect([...has]).toEqual([["a", 5]])
  const endB = begin("b")
  const endReport = begin("report", false)
  expect([...has]).toEqual([
    ["a", 2],
    ["b", 2],
    ["report", 1],
  ])
  endA()
  expect([...has]).toEqual([
    ["b", 4],
    ["report", 1],
  ])
  const endC = begin("c")
  endReport()
  expect([...has]).toEqual([
    ["b", 3],
    ["c", 2],
  ])
  endB()
  expect([...has]).toEqual([["c", 5]])
  endC()
  endC()
  expect([...has]).toEqual([])
  expect(most()).toBe(5)
})

test("a job is told only of what changes", () => {
  const told: number[] = []
  const shares = new Shares(4, undefined)
  const first = shares.begin(true, (threads) => told.push(threads))
  const second = shares.begin(true, () => {})
  const third = shares.begin(false, () => {})
  third.end()
  second.end()
  first.end()
  expect([first.threads, second.threads, third.threads, told]).toEqual([4, 2, 1, [2, 4]])
})

test("a number of threads for every job stays as it is", () => {
  const { has, begin } = watched(new Shares(4, 3))
  begin("a")
  const end = begin("b")
  end()
  expect([...has]).toEqual([["a", 3]])
})
