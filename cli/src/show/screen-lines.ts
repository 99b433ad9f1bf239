import type { Visit } from '../agent/visit.ts'
import type { Output } from '../output.ts'
import { printable } from '../terminal-text.ts'
import { bytesOf } from './bytes.ts'
import { duration } from './duration.ts'

/** How a tunnel fares, as the screen shows it. */
export interface ScreenState {
  address: string
  port: number
  status: 'connecting' | 'online' | 'retrying' | 'stopping'
  /** Why there is no connection, and when the next try is due, by the same clock as `now`. */
  trouble: { why: string; at: number }
  latencyMs: number | undefined
  requests: number
  bytes: number
  /** The last ones, newest first. */
  readonly recent: Visit[]
}

/** What there is room for. */
export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** The most requests that are shown. */
export const MAX_RECENT = 12

/** Narrower than this, nobody reads anything. */
const MIN_COLUMNS = 20
const LABEL_COLUMNS = 10
const METHOD_COLUMNS = 7
const STATUS_COLUMNS = 3
const TIME_COLUMNS = 7

type Style = Output['style']

/** The screen's lines: none is wider than the terminal, and all of them leave a row for the cursor. */
export function screenLines(state: ScreenState, size: ScreenSize, now: number, style: Style): string[] {
  const width = Math.max(size.columns, MIN_COLUMNS)
  const labelled = (label: string, text: string, format?: Parameters<Style>[0]) => {
    const shown = clipped(text, width - LABEL_COLUMNS)
    return `${style('dim', label.padEnd(LABEL_COLUMNS))}${format ? style(format, shown) : shown}`
  }
  const { status } = state
  const address = printable(state.address) || '…'
  return [
    '',
    ...(address.length > width - LABEL_COLUMNS
      ? split(address, width).map((part) => style('bold', part)) // it is there to be copied: all of it
      : [labelled('Address', address, 'bold')]),
    labelled('Local', `http://localhost:${state.port}`),
    labelled('Status', statusText(state, now), status === 'online' ? 'green' : 'yellow'),
    labelled('Requests', `${state.requests}, ${bytesOf(state.bytes)}`),
    '',
    ...state.recent.map((visit) => visitLine(visit, width, style)),
    ...(status === 'stopping' ? [] : ['', style('dim', 'Ctrl-C stops it.')]),
  ].slice(0, Math.max(size.rows - 1, 1))
}

function statusText({ status, trouble, latencyMs }: ScreenState, now: number): string {
  switch (status) {
    case 'connecting':
      return 'connecting'
    case 'online':
      return latencyMs === undefined ? 'online' : `online, ${duration(latencyMs)} to the relay`
    case 'stopping':
      return 'stopping, what is in flight finishes'
    case 'retrying': {
      const seconds = Math.max(0, Math.ceil((trouble.at - now) / 1000))
      return `${seconds === 0 ? 'connecting' : `offline, next try in ${seconds} s`}: ${trouble.why}`
    }
  }
}

function visitLine({ method, path, status, ms }: Visit, width: number, style: Style): string {
  const pathColumns = width - METHOD_COLUMNS - STATUS_COLUMNS - TIME_COLUMNS - 3
  return [
    clipped(method, METHOD_COLUMNS).padEnd(METHOD_COLUMNS),
    clipped(path, pathColumns).padEnd(pathColumns),
    style(colourOf(status), `${status ?? '–'}`.padStart(STATUS_COLUMNS)),
    duration(ms).padStart(TIME_COLUMNS),
  ].join(' ')
}

const colourOf = (status = 0) => (status >= 500 || status === 0 ? 'red' : status >= 400 ? 'yellow' : 'green')

const split = (text: string, columns: number): string[] =>
  Array.from({ length: Math.ceil(text.length / columns) }, (_, n) =>
    text.slice(n * columns, (n + 1) * columns),
  )

function clipped(text: string, columns: number): string {
  const letters = [...printable(text)]
  return letters.length <= columns
    ? letters.join('')
    : `${letters.slice(0, Math.max(columns - 1, 0)).join('')}…`
}
