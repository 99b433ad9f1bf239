import { randomBytes } from 'node:crypto'
import { styleText } from 'node:util'
import { jsonText, lineText, printable } from './terminal-text.ts'

/** The process's own streams. */
export interface Streams {
  readonly in: NodeJS.ReadStream
  readonly out: NodeJS.WriteStream
  readonly err: NodeJS.WriteStream
}

/** Says things: results on standard output, remarks on standard error. */
export interface Output {
  /** True with --json: results and errors are JSON, one document each. */
  readonly json: boolean
  /** A result: `lines` for people; `data` with --json. Whatever is in them, it steers no terminal. */
  result(data: object, lines: readonly string[]): void
  /** More lines of a result for people; none with --json, where the data says it all. */
  more(lines: readonly string[]): void
  /** A remark to people beside the result; none with --json. */
  note(line: string): void
  /** Styles a part of a result's line, where standard output is a terminal and colour is wanted. */
  style: Style
  /** The same for what draws on the terminal itself. */
  screenStyle: Style
}

/** Styles a text. */
export type Style = (format: Parameters<typeof styleText>[0], text: string) => string

/** Where and how to say things. */
export function createOutput({
  out,
  err,
  json,
  color,
}: Omit<Streams, 'in'> & { json: boolean; color: boolean }): Output {
  // Stands for ESC in our own styles until a line is written. It is random, so no text from elsewhere holds it.
  const mark = `<${randomBytes(16).toString('hex')}>`
  const write = (lines: readonly string[]) => {
    for (const line of lines) out.write(`${line.split(mark).map(lineText).join('\x1b')}\n`)
  }
  const screenStyle: Style = (format, text) => {
    const safe = lineText(text)
    return color && out.isTTY && !json ? styleText(format, safe, { validateStream: false }) : safe
  }
  return {
    json,
    result: (data, lines) => {
      if (json) out.write(`${jsonText(data, 2)}\n`)
      else write(lines)
    },
    more: (lines) => {
      if (!json) write(lines)
    },
    note: (line) => {
      if (!json) err.write(`${printable(line)}\n`)
    },
    style: (format, text) => screenStyle(format, text).replaceAll('\x1b', mark),
    screenStyle,
  }
}
