import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { cppTokens } from "../../../core/engine/cpp-tokens.ts"

const backend = join(import.meta.dir, "..", "..", "..", "plugins", "backend")
const folders = ["device/source", "native/source", "cuda/source", "cuda/kernels"]

test.each([
  ["line comments", "a; // b\nc;", "a; c;"],
  ["comments that a backslash continues", "a; // b \\\nc;\nd;", "a; d;"],
  ["block comments", "a /* b\n * c */ + d;", "a + d;"],
  ["spaces and line ends", "int  f ( )\r\n{ return 1 ; }\n", "int f(){return 1;}"],
  ["continued lines", "int a \\\n = 1;", "int a = 1;"],
  ["continued names", "int lo\\\nng = 1;", "int long = 1;"],
  ["comments in a directive", "#define A 1 // one\nb", "#define A 1\nb"],
  ["spaces in a directive", "#define  A   1  \n  b", "#define A 1\nb"],
  ["blank lines after a directive", "#include <a>\n\n\nb", "#include <a>\nb"],
])("%s do not count", (_, one, other) => {
  expect(cppTokens(one)).toBe(cppTokens(other))
})

test.each([
  ["an operator", "a + b", "a - b"],
  ["where operators part", "a+ +b", "a++b"],
  ["where names part", "int a", "inta"],
  ["a string's comment signs", '"// a"', '"// b"'],
  ["a string after an escaped quote", '"\\"// a"', '"\\"// b"'],
  ["a string's spaces", '"a  b"', '"a b"'],
  ["a character's quotes", "'\"' // a\nb", "'\"' // a\nc"],
  ["a raw string's text", 'R"(a // "b")"', 'R"(a // "c")"'],
  ["a raw string's delimiter", 'R"x(a)" /* b */ )x"', 'R"x(a)" /* c */ )x"'],
  ["a raw string's backslashes", 'R"(a\\\nb)"', 'R"(ab)"'],
  ["what follows apostrophes in a number", "1'000 + a // '", "1'000 + b // '"],
  ["a number's exponent", "1e-5", "1e-6"],
  ["where a directive ends", "#define A 1\n+ 2", "#define A 1 + 2"],
  ["whether a macro takes arguments", "#define F(x) 1", "#define F (x) 1"],
  ["what follows a lone quote", "#error don't\na", "#error don't\nb"],
  ["a directive or its operator", "#if A\nb\n#endif", "if A\nb\nendif"],
  ["code after a comment that looks continued in a string", '"a \\\\" // b\nc', '"a \\\\" // b\nd'],
])("%s counts", (_, one, other) => {
  expect(cppTokens(one)).not.toBe(cppTokens(other))
})

const sources = folders.flatMap((folder) =>
  readdirSync(join(backend, folder)).map(
    (name) => [`${folder}/${name}`, readFileSync(join(backend, folder, name), "utf8")] as const,
  ),
)

test("no source of a backend changes by comments or formatting", () => {
  const reformatted = (text: string) =>
    text
      .split("\n")
      .map((line) =>
        line.endsWith("\\") ? line : `${line.replace(/^ +/, "\t\t")} /* "more' */ // and more \t`,
      )
      .join("\r\n")
  expect(sources.length).toBeGreaterThan(70)
  expect(sources.filter(([, text]) => cppTokens(reformatted(text)) !== cppTokens(text))).toEqual([])
})

test("every source of a backend changes by a number, an operator or a name", () => {
  const edits: readonly [RegExp, string][] = [
    [/\b1\b/, "2"],
    [/ \+ | - | < /, " * "],
    [/\b(?:int|int64_t|size_t|float|void|include)\b/, "other"],
  ]
  for (const [name, text] of sources) {
    const plain = text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, "")
    const edited = edits.map(([from, to]) => plain.replace(from, to)).filter((other) => other !== plain)
    expect([name, edited.length > 0]).toEqual([name, true])
    for (const other of edited) expect(cppTokens(other)).not.toBe(cppTokens(plain))
    expect(cppTokens(plain)).toBe(cppTokens(text))
  }
})
