/** Times as Slurm writes them: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S. */

const form = /^(?:(\d{1,5})-)?(\d{1,6}(?::\d{1,3}){0,2})$/

/** In seconds; undefined if it is no time. */
export const secondsOf = (text: string): number | undefined => {
  const [, days, rest] = form.exec(text) ?? []
  if (rest === undefined) return undefined
  const [first = 0, second = 0, third = 0] = rest.split(":").map(Number)
  if (days !== undefined) return Number(days) * 86_400 + first * 3600 + second * 60 + third
  return /:.*:/.test(rest) ? first * 3600 + second * 60 + third : first * 60 + second
}

export const isTime = (text: string): boolean => (secondsOf(text) ?? 0) > 0
