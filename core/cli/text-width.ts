/** Texts fitted to the width of a terminal. */
import { CliOutput } from "effect/cli"

/** `text` in lines of at most `width` columns, broken between words; a word longer than that has a line of its own. */
export const wrapped = (text: string, width: number): readonly string[] => {
  const lines: string[] = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || CliOutput.displayWidth(`${last} ${word}`) > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** `text` in at most `columns` columns. */
export const withoutMiddle = (text: string, columns: number): string => {
  if (CliOutput.displayWidth(text) <= columns) return text
  const characters = [...text]
  const head = beginning(characters, Math.floor((columns - 1) / 3))
  const tail = beginning(characters.reverse(), columns - 1 - CliOutput.displayWidth(head.join("")))
  return `${head.join("")}…${tail.reverse().join("")}`
}

/** As many of the first characters as fit into `columns`. */
const beginning = (characters: readonly string[], columns: number): string[] => {
  let used = 0
  const end = characters.findIndex((character) => {
    used += CliOutput.displayWidth(character)
    return used > columns
  })
  return characters.slice(0, end < 0 ? undefined : end)
}
