import { connect } from 'node:net'

/** How long an answer may take before the test hears of it. */
const patienceMs = 20_000

/** An answer, byte for byte. */
export interface RawAnswer {
  status: number
  /** Names lower-cased; what came several times is joined with ", ". */
  headers: Record<string, string>
  body: string
  text: string
}

/**
 * Sends these bytes on a connection of its own and reads one answer, or until the other side closes it; with `all`
 * whatever comes until then.
 */
export function sendRaw(
  port: number,
  bytes: string | Buffer | (string | Buffer)[],
  { all = false } = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const chunks: Buffer[] = []
    socket.setTimeout(patienceMs, () =>
      socket.destroy(new Error(`no end after ${JSON.stringify(Buffer.concat(chunks).toString('latin1'))}`)),
    )
    let received = 0
    let announced: number | undefined
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      received += chunk.length
      announced ??= lengthOf(Buffer.concat(chunks).toString('latin1'))
      const isWhole = Number.isNaN(announced)
        ? Buffer.concat(chunks).toString('latin1').endsWith('\r\n0\r\n\r\n')
        : announced !== undefined && received >= announced
      // Envoy waits a second before it closes on one who has more to say.
      if (!all && isWhole) socket.destroy()
    })
    let failed: Error | undefined
    socket.on('error', (error) => {
      failed = error
    })
    socket.on('close', () => {
      // A server that refuses early resets the connection while we still write: its answer counts.
      const text = Buffer.concat(chunks).toString('latin1')
      if (text) resolve(parse(text))
      else reject(failed ?? new Error('closed without an answer'))
    })
    for (const part of [bytes].flat())
      socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
  })
}

function parse(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  const status = Number(first.split(' ')[1])
  const rest = text.slice(end + 4)
  const body = headers['transfer-encoding'] === 'chunked' ? unchunked(rest) : rest
  return { status, headers, body: Buffer.from(body, 'latin1').toString(), text }
}

/** How long an answer is that begins so: NaN where it comes in chunks, undefined while its head is not whole. */
function lengthOf(text: string): number | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const length = /^content-length: (\d+)\r$/im.exec(text.slice(0, end + 2))?.[1]
  return length === undefined ? Number.NaN : end + 4 + Number(length)
}

function unchunked(text: string): string {
  const size = Number.parseInt(text, 16)
  const start = text.indexOf('\r\n') + 2
  return size ? text.slice(start, start + size) + unchunked(text.slice(start + size + 2)) : ''
}
