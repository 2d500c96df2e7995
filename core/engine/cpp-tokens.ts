/**
 * A token of C++. Their order in the pattern matters: a comment starts like an operator, a raw string like a name. What
 * the pattern does not name, such as a lone quote after `#error`, is a token of one character.
 */
const token = new RegExp(
  [
    String.raw`(?<comment>\/\/.*|\/\*[^]*?\*\/)`,
    String.raw`(?<space>[^\S\n]+)`,
    String.raw`(?<newline>\n)`,
    String.raw`(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"`,
    String.raw`(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+'`,
    String.raw`[\p{L}_$][\p{L}\p{N}_$]*`,
    // A number may have apostrophes between its digits, and a sign after an exponent's letter.
    String.raw`\.?\d(?:[eEpP][+-]|'(?=\w)|[\w.])*`,
    String.raw`<=>|<<=|>>=|->\*|\.\.\.|::|->|\.\*|\+\+|--|<<|>>|&&|\|\||##|[-+*/%^&|!=<>]=`,
    "[^]",
  ].join("|"),
  "uy",
)

/** A raw string, with its delimiter. Inside it a backslash at the end of a line is text. */
const rawString = String.raw`(?<![\w$])(?:u8|[uUL])?R"(?<delimiter>[^()\\\s]{0,16})\([^]*?\)\k<delimiter>"`
const rawStringHere = new RegExp(rawString, "uy")

/** A backslash at the end of a line: the next line continues the same one. */
const continuation = /\\[^\S\n]*\n/gu

/** A raw string, or what could be mistaken for the start of one, or a continuation. */
const rawStringOrContinued = new RegExp(
  [
    rawString,
    String.raw`\/\/(?:${continuation.source}|.)*`,
    String.raw`\/\*[^]*?\*\/`,
    String.raw`"(?:[^"\\\n]|\\[^])*"`,
    continuation.source,
  ].join("|"),
  "gu",
)

/** The text with continued lines joined. */
const joined = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replace(rawStringOrContinued, (found, delimiter: string | undefined) =>
      delimiter === undefined ? found.replace(continuation, "") : found,
    )

/**
 * The tokens of a C++ file: equal for two files that differ in comments or formatting alone. In a preprocessor's
 * directive, which ends with its line, spaces count: `#define F (x)` is not `#define F(x)`.
 */
export const cppTokens = (text: string): string => {
  const out: string[] = []
  let directive = false
  let lineStarts = true
  const source = joined(text)
  for (let at = 0; at < source.length; ) {
    const raw = matchAt(rawStringHere, source, at)
    const match = raw ?? matchAt(token, source, at)!
    at += match[0].length
    const { comment, space, newline } = raw === undefined ? match.groups! : {}
    if (newline !== undefined) {
      if (directive) {
        if (out.at(-1) === " ") out.pop()
        out.push("")
      }
      directive = false
      lineStarts = true
    } else if (comment !== undefined || space !== undefined) {
      if (directive && out.at(-1) !== " ") out.push(" ")
    } else {
      directive ||= lineStarts && match[0] === "#"
      lineStarts = false
      out.push(match[0])
    }
  }
  return out.join("\n")
}

const matchAt = (pattern: RegExp, text: string, at: number): RegExpExecArray | undefined => {
  pattern.lastIndex = at
  return pattern.exec(text) ?? undefined
}
