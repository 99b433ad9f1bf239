import type { Streams } from '../output.ts'
import { jsonText } from '../terminal-text.ts'
import type { Display } from './display.ts'
import { lineWriter } from './line-writer.ts'

/** One JSON object a line, for programs: `event` says what it tells, `time` when it was. */
export function jsonLines({ out }: Pick<Streams, 'out'>): Display {
  const { line, flush } = lineWriter(out)
  const tell = (event: string, fields: object = {}) =>
    line(jsonText({ event, time: new Date().toISOString(), ...fields }))
  return {
    tunnel: ({ id, subdomain, url, local_port, ephemeral }) =>
      tell('tunnel', { id, subdomain, url, local_port, ephemeral }),
    mcp: ({ name, version, transport, url, tools, configuration }) =>
      tell('mcp', { name, version, transport, url, tools, configuration }),
    event(event) {
      switch (event.kind) {
        case 'connecting':
          return tell('connecting')
        case 'connected':
          return tell('connected', { url: event.url, connection_id: event.connectionId })
        case 'request': {
          const { method, path, status, ms, bytes, fault } = event
          return tell('request', { method, path, status, ms: Math.round(ms * 1000) / 1000, bytes, fault })
        }
        case 'retrying':
          return tell('retrying', { why: event.why, in_ms: Math.round(event.inMs) })
        case 'fault':
          return tell('fault', { message: String(event.error) })
        default: // how long the relay takes changes all the time
      }
    },
    note: (message) => tell('note', { message }),
    stopping: () => tell('stopping'),
    close: flush,
  }
}
