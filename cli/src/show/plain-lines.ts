import type { Output, Streams } from '../output.ts'
import { printable } from '../terminal-text.ts'
import type { Display } from './display.ts'
import { duration } from './duration.ts'
import { lineWriter } from './line-writer.ts'
import { mcpLines } from './mcp-lines.ts'

/** Lines for people where there is no terminal: what passes on standard output, remarks on standard error. */
export function plainLines({ out }: Pick<Streams, 'out'>, { note }: Pick<Output, 'note'>): Display {
  const { line, flush } = lineWriter(out)
  let shown = ''
  let port = 0
  return {
    tunnel: (tunnel) => {
      port = tunnel.local_port
    },
    mcp: (endpoint) => {
      for (const text of mcpLines(endpoint)) line(text)
    },
    event(event) {
      if (event.kind === 'connected') {
        line(
          event.url === shown
            ? '✅ Connected again'
            : `🌐 ${printable(event.url)} → http://localhost:${port}`,
        )
        shown = event.url
      } else if (event.kind === 'request') {
        const { method, path, status = '–', ms, fault } = event
        line(printable(`${method} ${path} ${status} ${duration(ms)}${fault ? ` (${fault})` : ''}`))
      } else if (event.kind === 'fault') {
        note(`A fault of the agent's own: ${event.error}`)
      } else if (event.kind === 'retrying') {
        note(
          `${event.why}; ${event.inMs === 0 ? 'connecting anew' : `trying again in ${duration(event.inMs)}`}`,
        )
      }
    },
    note,
    stopping: () => {},
    close: flush,
  }
}
