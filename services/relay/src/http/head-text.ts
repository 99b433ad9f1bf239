import { validateHeaderName, validateHeaderValue } from 'node:http'

/** An answer's head as bytes of HTTP/1.1; undefined where a part of it is none: so Node would say of any other answer. */
export function headText(statusLine: string, headers: readonly string[]): string | undefined {
  try {
    validateHeaderValue('status', statusLine)
    let text = statusLine
    for (let i = 0; i < headers.length; i += 2) {
      const [name, value] = [headers[i] as string, headers[i + 1] as string]
      validateHeaderName(name)
      validateHeaderValue(name, value)
      text += `\r\n${name}: ${value}`
    }
    return `${text}\r\n\r\n`
  } catch {
    return undefined
  }
}
