import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { AgentEvent } from '../agent/agent.ts'
import type { Streams } from '../output.ts'
import type { Display } from './display.ts'
import { jsonLines } from './json-lines.ts'
import { plainLines } from './plain-lines.ts'

const tunnel = {
  id: 'tun_1',
  name: 'Demo',
  subdomain: 'docs-demo',
  local_port: 3000,
  token: 'itt_secret',
  status: 'inactive',
  domain: 'localhost',
  url: 'http://docs-demo.localhost:8080',
  created_at: '2026-11-22T00:00:00Z',
  updated_at: '2026-11-22T00:00:00Z',
  last_connected: undefined,
  user_id: 'user_1',
  ephemeral: true,
}
const { url } = tunnel
const endpoint = {
  name: 'Demo',
  version: '1',
  transport: 'v2',
  url: `${url}/mcp`,
  tools: ['add', 'subtract'],
  configuration: { mcpServers: { demo: { type: 'http', url: `${url}/mcp` } } },
} as const
const events: AgentEvent[] = [
  { kind: 'connecting' },
  { kind: 'connected', url, connectionId: 'conn_1' },
  { kind: 'latency', ms: 3 },
  { kind: 'request', method: 'GET', path: '/a', status: 200, ms: 12.34567, bytes: 5 },
  { kind: 'request', method: 'POST', path: '/\x1b[2Jb', status: 502, ms: 0.5, bytes: 0, fault: 'it is down' },
  { kind: 'request', method: 'GET', path: '/c', status: undefined, ms: 1500, bytes: 0, fault: 'cancelled' },
  { kind: 'fault', error: new TypeError('of ours') },
  { kind: 'retrying', why: 'The relay is restarting', inMs: 0 },
  { kind: 'retrying', why: 'Not now', inMs: 1234.5 },
  { kind: 'connected', url, connectionId: 'conn_2' },
]

/** What a display writes, by write. */
function written(open: (streams: Pick<Streams, 'out'>) => Display) {
  const writes: string[] = []
  const out = { write: (text: string) => writes.push(text) } as never as Streams['out']
  return { writes, display: open({ out }) }
}

describe('plainLines', () => {
  it('say what passes, and remark what does not', async () => {
    const notes: string[] = []
    const { writes, display } = written((streams) =>
      plainLines(streams, { note: (line) => notes.push(line) }),
    )
    display.tunnel(tunnel)
    for (const event of events) display.event(event)
    await turn()
    display.stopping()
    display.close()
    expect(writes).toEqual([
      [
        '🌐 http://docs-demo.localhost:8080 → http://localhost:3000',
        'GET /a 200 12 ms',
        'POST /�[2Jb 502 <1 ms (it is down)',
        'GET /c – 1.5 s (cancelled)',
        '✅ Connected again',
        '',
      ].join('\n'),
    ])
    expect(notes).toEqual([
      "A fault of the agent's own: TypeError: of ours",
      'The relay is restarting; connecting anew',
      'Not now; trying again in 1.2 s',
    ])
  })

  it('show an MCP server, and what to paste', () => {
    const { writes, display } = written((streams) => plainLines(streams, { note: () => {} }))
    display.mcp(endpoint)
    display.mcp({ ...endpoint, tools: undefined })
    display.close()
    const [before = '', pasted = '', after = ''] = writes.join('').split(/^📋.*\n/m)
    expect(before).toBe('🧩 MCP server: Demo 1\n🔧 Tools: add, subtract\n')
    expect(JSON.parse(after)).toEqual(endpoint.configuration)
    expect(pasted).toContain('🔧 Tools: shown to clients that it knows')
  })
})

describe('jsonLines', () => {
  it('are one object each, without any secret', async () => {
    const { writes, display } = written(jsonLines)
    display.tunnel(tunnel)
    display.mcp(endpoint)
    for (const event of events) display.event(event)
    await turn()
    expect(writes).toHaveLength(1)
    display.note('Something to know')
    display.stopping()
    display.close()
    const told = writes
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const { time } of told) expect(new Date(time).toISOString()).toBe(time)
    expect(told.map(({ time: _, ...rest }) => rest)).toEqual([
      { event: 'tunnel', id: 'tun_1', subdomain: 'docs-demo', url, local_port: 3000, ephemeral: true },
      { event: 'mcp', ...endpoint },
      { event: 'connecting' },
      { event: 'connected', url, connection_id: 'conn_1' },
      { event: 'request', method: 'GET', path: '/a', status: 200, ms: 12.346, bytes: 5 },
      {
        event: 'request',
        method: 'POST',
        path: '/\x1b[2Jb',
        status: 502,
        ms: 0.5,
        bytes: 0,
        fault: 'it is down',
      },
      { event: 'request', method: 'GET', path: '/c', ms: 1500, bytes: 0, fault: 'cancelled' },
      { event: 'fault', message: 'TypeError: of ours' },
      { event: 'retrying', why: 'The relay is restarting', in_ms: 0 },
      { event: 'retrying', why: 'Not now', in_ms: 1235 },
      { event: 'connected', url, connection_id: 'conn_2' },
      { event: 'note', message: 'Something to know' },
      { event: 'stopping' },
    ])
  })
})
