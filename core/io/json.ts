/** JSON from files, which anybody may have written. */

/** The deepest nesting that is read: no file that is read here needs more than ten levels. */
export const deepestJson = 100

/**
 * The value of a JSON text.
 *
 * @throws SyntaxError if it is not JSON, or nested deeper than {@link deepestJson}: code that walks a value level by
 *   level would run out of stack
 */
export const parseJson = (text: string): unknown => {
  const depth = depthOf(text)
  if (depth > deepestJson) throw new SyntaxError(`more than ${deepestJson} brackets are open at once`)
  return JSON.parse(text)
}

/** How many brackets are open at once, at most; counting stops beyond {@link deepestJson}. */
const depthOf = (text: string): number => {
  let depth = 0
  let deepest = 0
  // Most files have few brackets, so that these are cheaper to find than to look at every character.
  for (const { 0: token } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/gs)) {
    if (token === "{" || token === "[") deepest = Math.max(deepest, ++depth)
    else if (token === "}" || token === "]") depth--
    if (deepest > deepestJson) break
  }
  return deepest
}
