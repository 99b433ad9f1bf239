import { EventEmitter } from 'node:events'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Streams } from '../output.ts'
import { liveScreen } from './screen.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

const visit = { kind: 'request', method: 'GET', path: '/', status: 200, ms: 1, bytes: 10 } as const

/** A screen on a terminal that keeps what is written to it. */
function open() {
  const written: string[] = []
  const out = Object.assign(new EventEmitter(), {
    columns: 60,
    rows: 20,
    write: (text: string) => written.push(text),
  })
  const screen = liveScreen({ out: out as never as Streams['out'] }, { style: (_format, text) => text })
  onTestFinished(() => screen.close())
  return { screen, out, written, all: () => written.join('') }
}

describe('liveScreen', () => {
  it('draws ten times a second at most, however much passes', () => {
    const { screen, written } = open()
    const before = written.length
    for (let ms = 0; ms < 1000; ms++) {
      for (let nth = 0; nth < 10; nth++) screen.event(visit)
      vi.advanceTimersByTime(1)
    }
    expect(written.length - before).toBeLessThanOrEqual(10)
    vi.advanceTimersByTime(1000)
    expect(written.at(-1)).toContain('Requests  10000, 100.0 kB')
    expect(written.length - before).toBeLessThanOrEqual(11)
  })

  it('draws over what it drew, in one write', () => {
    const { screen, written } = open()
    screen.event(visit)
    vi.advanceTimersByTime(100)
    const [, first = '', second = ''] = written
    const lines = first.split('\n').length - 1
    expect(second).toContain(`\x1b[${lines}A`)
    expect(second.split('\n').length - 1).toBe(lines + 1)
  })

  it('counts down to the next try', () => {
    const { screen, written } = open()
    screen.event({ kind: 'retrying', why: 'Lost', inMs: 3000 })
    vi.advanceTimersByTime(100)
    expect(written.at(-1)).toContain('next try in 3 s: Lost')
    vi.advanceTimersByTime(2000)
    expect(written.at(-1)).toContain('next try in 1 s: Lost')
    screen.event({ kind: 'connected', url: 'http://a.localhost', connectionId: 'conn_1' })
    vi.advanceTimersByTime(100)
    expect(written.at(-1)).toContain('Status    online')
  })

  it('puts remarks above, where they stay', () => {
    const { screen, all } = open()
    screen.note('Something to know')
    const [above = '', below = ''] = all().split('Something to know\n')
    expect(above.endsWith('\x1b[J\x1b[?7h\x1b[?25h')).toBe(true)
    expect(below).toContain('Status    connecting')
  })

  it('draws anew when the terminal changes its size', () => {
    const { out, written } = open()
    out.columns = 30
    out.emit('resize')
    vi.advanceTimersByTime(100)
    for (const line of written.at(-1)?.split('\n') ?? [])
      expect(stripVTControlCharacters(line).replace('\r', '').length).toBeLessThanOrEqual(30)
  })

  it('leaves the terminal as it was, also when the process just ends', () => {
    const { screen, out, all, written } = open()
    expect(all()).toContain('\x1b[?25l')
    process.listeners('exit').at(-1)?.call(process, 1)
    expect(written.at(-1)).toBe('\x1b[?7h\x1b[?25h')
    const hooks = process.listenerCount('exit')
    screen.stopping()
    screen.close()
    expect(all().endsWith('\x1b[?7h\x1b[?25h')).toBe(true)
    expect(written.at(-2)).toContain('Status    stopping')
    const after = written.length
    screen.event(visit)
    vi.advanceTimersByTime(5000)
    expect([written.length, out.listenerCount('resize'), process.listenerCount('exit')]).toEqual([
      after,
      0,
      hooks - 1,
    ])
  })
})
