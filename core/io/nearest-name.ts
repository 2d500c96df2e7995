/** The one of `known` that `name` probably stands for: at most one edit away, two if it has six characters or more. */
export const nearestName = (name: string, known: readonly string[]): string | undefined => {
  const most = name.length < 6 ? 1 : 2
  return known
    .filter((candidate) => Math.abs(candidate.length - name.length) <= most)
    .map((candidate) => ({ candidate, edits: editDistance(name, candidate) }))
    .filter(({ edits }) => edits <= most)
    .sort((a, b) => a.edits - b.edits)[0]?.candidate
}

/** Levenshtein distance in which swapping two neighbouring characters is one edit. */
const editDistance = (a: string, b: string): number => {
  let before: readonly number[] = []
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next[j] = Math.min(
        next[j - 1]! + 1,
        row[j]! + 1,
        replaced,
        swapped ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY,
      )
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/** The message for an unknown name, with the name that was probably meant or else all known names. */
export const unknownName = (kind: string, name: string, known: readonly string[]): string => {
  const near = nearestName(name, known)
  const hint = near === undefined ? `known: ${known.join(", ") || "none"}` : `did you mean ${near}?`
  return `there is no ${kind} ${name}; ${hint}`
}
