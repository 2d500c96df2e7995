/** JSON from files, which anybody may have written. */

/** The deepest nesting that is read: no file that is read here needs more than ten levels. */
export const deepestJson = 100

const [quote, backslash, openList, closeList, openObject, closeObject] = [34, 92, 91, 93, 123, 125]

/**
 * The value of a JSON text.
 *
 * @throws SyntaxError if it is not JSON, or nested deeper than {@link deepestJson}: what walks a value level by level
 *   would run out of stack
 */
export const parseJson = (text: string): unknown => {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) i = endOfString(text, i)
    else if (code === openList || code === openObject) {
      if (++depth > deepestJson) throw new SyntaxError(`more than ${deepestJson} brackets are open at once`)
    } else if (code === closeList || code === closeObject) depth--
  }
  return JSON.parse(text)
}

/** The position of the quotation mark that ends the string that starts at `start`; the text's length if there is none. */
export const endOfString = (text: string, start: number): number => {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === backslash) i++
    else if (code === quote) return i
  }
  return text.length
}
