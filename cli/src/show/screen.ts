import type { AgentEvent } from '../agent/agent.ts'
import type { Output, Streams } from '../output.ts'
import { printable } from '../terminal-text.ts'
import type { Display } from './display.ts'
import { mcpLines } from './mcp-lines.ts'
import { MAX_RECENT, type ScreenState, screenLines } from './screen-lines.ts'

/** No more often than this: a busy tunnel would have the terminal do nothing else. */
const REDRAW_MS = 100
const CLOCK_MS = 1000

// Control sequences of ECMA-48 and of DEC's private modes: lines are cut, not wrapped; what is drawn shows at once.
const ENTER = '\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h'
const BEGIN = '\x1b[?2026h'
const END = '\x1b[?2026l'
const ERASE_LINE = '\x1b[K'
const ERASE_BELOW = '\x1b[J'

/** A live view of the tunnel at the end of what the terminal shows; everything above it stays. */
export function liveScreen({ out }: Pick<Streams, 'out'>, { style }: Pick<Output, 'style'>): Display {
  const state: ScreenState = {
    address: '',
    port: 0,
    status: 'connecting',
    trouble: { why: '', at: 0 },
    latencyMs: undefined,
    requests: 0,
    bytes: 0,
    recent: [],
  }
  let drawn = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const toTop = () => (drawn === 0 ? '\r' : `\r\x1b[${drawn}A`)
  const draw = () => {
    timer = undefined
    const size = { columns: out.columns || 80, rows: out.rows || 24 }
    const lines = screenLines(state, size, performance.now(), style)
    out.write(
      `${BEGIN}${toTop()}${lines.map((line) => `${line}${ERASE_LINE}\n`).join('')}${ERASE_BELOW}${END}`,
    )
    drawn = lines.length
  }
  const drawSoon = () => {
    if (!closed) timer ??= setTimeout(draw, REDRAW_MS)
  }
  /** Puts lines above the view; they may be as long as they are. */
  const say = (lines: readonly string[]) => {
    const text = lines.map((line) => `${line}\n`).join('')
    out.write(`${toTop()}${ERASE_BELOW}${LEAVE}${text}${closed ? '' : ENTER}`)
    drawn = 0
    if (!closed) draw()
  }
  const clock = setInterval(() => state.status === 'retrying' && drawSoon(), CLOCK_MS)
  const unhook = hookTerminal({
    leave: () => out.write(LEAVE),
    enter: () => {
      out.write(ENTER)
      drawn = 0
      draw()
    },
  })
  out.on('resize', drawSoon)
  out.write(ENTER)
  draw()

  return {
    tunnel: ({ url, local_port }) => {
      state.address = url
      state.port = local_port
      drawSoon()
    },
    mcp: (endpoint) => say(mcpLines(endpoint)),
    event: (event) => {
      change(state, event)
      if (event.kind === 'fault') say([printable(`A fault of the agent's own: ${event.error}`)])
      else drawSoon()
    },
    note: (line) => say([printable(line)]),
    stopping: () => {
      state.status = 'stopping'
      drawSoon()
    },
    close: () => {
      if (closed) return
      closed = true
      clearTimeout(timer)
      clearInterval(clock)
      out.off('resize', drawSoon)
      unhook()
      draw()
      out.write(LEAVE)
    },
  }
}

function change(state: ScreenState, event: AgentEvent): void {
  if (event.kind === 'latency') state.latencyMs = event.ms
  else if (event.kind === 'request') {
    state.requests++
    state.bytes += event.bytes
    state.recent.unshift(event)
    state.recent.length = Math.min(state.recent.length, MAX_RECENT)
  } else if (state.status === 'stopping') return
  else if (event.kind === 'connected') {
    state.status = 'online'
    state.address = event.url
  } else if (event.kind === 'retrying') {
    state.status = 'retrying'
    state.trouble = { why: event.why, at: performance.now() + event.inMs }
  }
}

/** However the process ends or sleeps, the terminal is left as it was. */
function hookTerminal({ leave, enter }: { leave: () => void; enter: () => void }): () => void {
  const suspend = () => {
    leave()
    process.kill(process.pid, 'SIGSTOP')
  }
  process.on('exit', leave)
  process.on('SIGTSTP', suspend)
  process.on('SIGCONT', enter)
  return () => {
    process.off('exit', leave)
    process.off('SIGTSTP', suspend)
    process.off('SIGCONT', enter)
  }
}
