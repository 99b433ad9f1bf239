import { stripVTControlCharacters, styleText } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type ScreenState, screenLines } from './screen-lines.ts'

const plain = (_format: unknown, text: string) => text
const coloured = (format: Parameters<typeof styleText>[0], text: string) =>
  styleText(format, text, { validateStream: false })

const state = (changes: Partial<ScreenState> = {}): ScreenState => ({
  address: 'http://docs-demo.localhost:8080',
  port: 3000,
  status: 'online',
  trouble: { why: '', at: 0 },
  latencyMs: 3.2,
  requests: 2,
  bytes: 2_400_000,
  recent: [
    { method: 'GET', path: '/a/rather/long/path/of/a/page.html?with=query', status: 200, ms: 12.3, bytes: 5 },
    { method: 'OPTIONS', path: '/', status: undefined, ms: 0.2, bytes: 0, fault: 'cancelled' },
    { method: 'PROPFIND', path: '/x', status: 502, ms: 61_000, bytes: 0, fault: 'down' },
  ],
  ...changes,
})

describe('screenLines', () => {
  it('show address, status, latency and the last requests', () => {
    expect(screenLines(state(), { columns: 80, rows: 24 }, 0, plain)).toEqual([
      '',
      'Address   http://docs-demo.localhost:8080',
      'Local     http://localhost:3000',
      'Status    online, 3 ms to the relay',
      'Requests  2, 2.4 MB',
      '',
      `GET     ${'/a/rather/long/path/of/a/page.html?with=query'.padEnd(60)} 200   12 ms`,
      `OPTIONS ${'/'.padEnd(60)}   –   <1 ms`,
      `PROPFI… ${'/x'.padEnd(60)} 502   1 min`,
      '',
      'Ctrl-C stops it.',
    ])
  })

  it('fit a terminal of 40 columns, and keep the address whole', () => {
    const at40 = (address: string) => screenLines(state({ address }), { columns: 40, rows: 24 }, 0, plain)
    const lines = at40('http://docs-demo.localhost:8080')
    expect(lines.slice(1, 3)).toEqual(['http://docs-demo.localhost:8080', 'Local     http://localhost:3000'])
    expect(lines[6]).toBe('GET     /a/rather/long/path… 200   12 ms')
    const long = `https://${'a'.repeat(40)}.example.com`
    expect(at40(long).slice(1, 3).join('')).toBe(long)
  })

  it.each([
    [200, 50],
    [80, 24],
    [40, 10],
    [20, 5],
    [3, 2],
    [1, 1],
  ])('never exceed %i columns, or 20, and leave a row for the cursor of %i', (columns, rows) => {
    for (const status of ['connecting', 'online', 'retrying', 'stopping'] as const) {
      const told = state({ status, trouble: { why: 'x'.repeat(300), at: 5000 } })
      const lines = screenLines(told, { columns, rows }, 0, coloured)
      expect(lines.length).toBeLessThanOrEqual(Math.max(rows - 1, 1))
      for (const line of lines)
        expect([...stripVTControlCharacters(line)].length).toBeLessThanOrEqual(Math.max(columns, 20))
    }
  })

  it('say why there is no connection, and when the next try is due', () => {
    const retrying = state({ status: 'retrying', trouble: { why: 'The connection was lost', at: 2500 } })
    const statusAt = (now: number) => screenLines(retrying, { columns: 80, rows: 24 }, now, plain)[3]
    expect(statusAt(0)).toBe('Status    offline, next try in 3 s: The connection was lost')
    expect(statusAt(2400)).toBe('Status    offline, next try in 1 s: The connection was lost')
    expect(statusAt(9000)).toBe('Status    connecting: The connection was lost')
  })

  it('let no visitor steer the terminal', () => {
    const visit = { method: 'GET', path: '/\x1b[2J\x07\r\n\x9b1m', status: 200, ms: 1, bytes: 0 }
    const [line = ''] = screenLines(state({ recent: [visit] }), { columns: 80, rows: 24 }, 0, plain).slice(6)
    expect(line).not.toMatch(/[\p{Cc}]/u)
  })
})
