/** A simulated terminal: it has as many of the control sequences as the display uses. */

export class Screen {
  readonly isTTY = true
  /** Whether the cursor is visible, and whether long lines wrap. */
  cursor = true
  wraps = true
  private begun = ""
  private readonly cells: string[][] = [[]]
  private row = 0
  private column = 0

  constructor(
    readonly columns: number,
    readonly rows = 24,
  ) {}

  /** The lines, without empty ones at the end. */
  get lines(): readonly string[] {
    const lines = this.cells.map((line) => line.join("").trimEnd())
    while (lines.at(-1) === "") lines.pop()
    return lines
  }

  /** What is written may come in parts that end within a control sequence. */
  readonly write = (text: string): void => {
    const all = this.begun + text
    const last = all.lastIndexOf("\x1b")
    this.begun = last >= 0 && /^(\[\??\d*)?$/.test(all.slice(last + 1)) ? all.slice(last) : ""
    const [plain, ...sequences] = all.slice(0, all.length - this.begun.length).split("\x1b[")
    this.type(plain!)
    for (const sequence of sequences) {
      const [whole, mark, number, command] = /^(\??)(\d*)([A-Za-z])/.exec(sequence)!
      this.control(`${mark}${command}`, number!)
      this.type(sequence.slice(whole.length))
    }
  }

  private type(text: string) {
    for (const character of text) {
      if (character === "\r") this.column = 0
      else if (character === "\n") {
        this.down()
        this.column = 0
      } else this.put(character)
    }
  }

  private control(command: string, number: string) {
    if (command === "A") this.row = Math.max(0, this.row - Number(number || 1))
    else if (command === "J") {
      this.cells.splice(this.row + 1)
      this.cells[this.row]!.splice(this.column)
    } else if (command === "K" && number === "2") this.cells[this.row] = []
    else if (number === "25") this.cursor = command === "?h"
    else if (number === "7") this.wraps = command === "?h"
    else throw new Error(`expected a control sequence of the display, found ${number}${command}`)
  }

  private put(character: string) {
    if (this.column === this.columns) {
      if (this.wraps) {
        this.down()
        this.column = 0
      } else this.column--
    }
    const line = this.cells[this.row]!
    while (line.length < this.column) line.push(" ")
    line[this.column++] = character
  }

  private down() {
    this.row++
    this.cells[this.row] ??= []
  }
}
