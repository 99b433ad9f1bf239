import { styleText } from 'node:util'

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
  /** A result: `lines` for people; `data` with --json. */
  result(data: object, lines: readonly string[]): void
  /** A remark to people beside the result; none with --json. */
  note(line: string): void
  /** Styled where standard output is a terminal and colour is wanted. */
  style(format: Parameters<typeof styleText>[0], text: string): string
}

/** Where and how to say things. */
export function createOutput({
  out,
  err,
  json,
  color,
}: Omit<Streams, 'in'> & { json: boolean; color: boolean }): Output {
  return {
    json,
    result: (data, lines) => {
      for (const line of json ? [JSON.stringify(data, undefined, 2)] : lines) out.write(`${line}\n`)
    },
    note: (line) => {
      if (!json) err.write(`${printable(line)}\n`)
    },
    style: (format, text) =>
      color && out.isTTY && !json ? styleText(format, text, { validateStream: false }) : text,
  }
}

/** In one line and without control characters: what came from elsewhere must not steer the terminal. */
export const printable = (text: string) => text.replace(/\s+/g, ' ').replace(/\p{Cc}/gu, '�')
