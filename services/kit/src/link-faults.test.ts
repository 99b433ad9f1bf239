import { describe, expect, it } from 'vitest'
import { credit, frame, linkAndBytes, opened, Recorder } from '../test/links.ts'
import { RESET, WINDOW_BYTES } from './frames.ts'
import type { LinkStream } from './link.ts'

const OPEN = frame('open', 1, 'GET\n/')

describe('a side that takes streams', () => {
  it.each<[string, Buffer[]]>([
    ['a stream that was never opened: data', [frame('data', 1, 'x')]],
    ['a stream that was never opened: window', [frame('window', 1, credit(1))]],
    ['a stream that was never opened: reset', [OPEN, frame('reset', 2, '\0')]],
    ['stream 0', [frame('open', 0, 'GET\n/')]],
    ['a stream that is open', [OPEN, OPEN]],
    ['data after the end of a stream', [OPEN, frame('data', 1, '', true), frame('data', 1, 'x')]],
    ['data after a request without a body', [frame('open', 1, 'GET\n/', true), frame('data', 1, 'x')]],
    ['a second end', [OPEN, frame('data', 1, '', true), frame('data', 1, '', true)]],
    ['trailers after the end', [OPEN, frame('data', 1, '', true), frame('trailers', 1, 'a\nb')]],
    ['trailers twice', [OPEN, frame('trailers', 1, 'a\nb'), frame('trailers', 1, 'a\nb')]],
    ['data after trailers', [OPEN, frame('trailers', 1, 'a\nb'), frame('data', 1, 'x')]],
    ['a head after the end', [OPEN, frame('data', 1, '', true), frame('head', 1, '200\nOK')]],
    ['no frame at all', [Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')]],
  ])('ends the link at %s', async (_what, bytes) => {
    const side = linkAndBytes({ takes: true })
    side.other.write(Buffer.concat(bytes))
    await expect.poll(() => side.ends).toEqual(['protocol_error'])
    await expect.poll(() => side.frames.at(-1)).toBe('8 0 protocol_error')
    await expect.poll(() => side.own.writableFinished).toBe(true)
    expect([side.link.size, side.faults]).toEqual([0, []])
  })
})

describe('frames for streams that are over', () => {
  const late = (type: 'reset' | 'window' | 'head' | 'data', count: number) =>
    Buffer.concat(Array<Buffer>(count).fill(frame(type, 1, credit(1))))

  it.each(['reset', 'window', 'head'] as const)('end the link where %s comes without end', async (type) => {
    const side = linkAndBytes()
    opened(side).stream.reset(0)
    side.other.write(late(type, 20_000))
    await expect.poll(() => side.ends).toEqual(['protocol_error'])
  })

  it('are dropped, as many as may be on their way', async () => {
    const side = linkAndBytes()
    for (let nth = 0; nth < 1000; nth++) opened(side).stream.reset(0)
    for (const type of ['reset', 'window', 'head', 'data'] as const) side.other.write(late(type, 1000))
    const last = opened(side)
    side.other.write(frame('head', last.stream.id, '200\nOK', true))
    await expect.poll(() => last.told).toEqual(['head 200\nOK end'])
    expect(side.ends).toEqual([])
  })
})

describe('a side that opens streams', () => {
  it('takes none', async () => {
    const side = linkAndBytes()
    side.other.write(OPEN)
    await expect.poll(() => side.ends).toEqual(['protocol_error'])
  })
})

describe('a fault of our own', () => {
  const thrower = (method: keyof Recorder) =>
    Object.assign(new Recorder(), {
      [method]: () => {
        throw new TypeError(`${method} of ours`)
      },
    })
  const openOn = (side: ReturnType<typeof linkAndBytes>, sink: Recorder) => {
    const stream = side.link.open('POST\n/', false, sink)
    if (!stream) throw new Error('the head is too long')
    return stream
  }

  it.each<[keyof Recorder, Buffer]>([
    ['head', frame('head', 2, '200\nOK')],
    ['data', frame('data', 2, 'x')],
    ['trailers', frame('trailers', 2, 'a\nb')],
    ['reset', frame('reset', 2, '\0')],
  ])('in %s() ends that stream alone', async (method, bytes) => {
    const side = linkAndBytes()
    const sink = thrower(method)
    const [before, , after] = [opened(side), openOn(side, sink), opened(side)]
    side.other.write(bytes)
    await expect.poll(() => side.faults.length).toBeGreaterThan(0)
    expect(side.faults[0]).toMatchObject({ message: `${method} of ours` })
    if (method !== 'reset') expect(sink.told.at(-1)).toBe(`reset ${RESET.local_broken} `)
    expect([side.ends, side.link.size]).toEqual([[], 2])
    side.other.write(Buffer.concat([frame('head', 1, '200\nOK'), frame('head', 3, '200\nOK')]))
    await expect.poll(() => [before.told, after.told]).toEqual([['head 200\nOK'], ['head 200\nOK']])
  })

  it('in writable() ends that stream alone, whether credit or the socket let it be called', async () => {
    const byCredit = linkAndBytes()
    openOn(byCredit, thrower('writable')).send(Buffer.alloc(WINDOW_BYTES))
    byCredit.other.write(frame('window', 1, credit(WINDOW_BYTES)))
    await expect.poll(() => byCredit.faults.length).toBe(1)
    const bySocket = linkAndBytes()
    bySocket.other.pause()
    const streams = Array.from({ length: 3 }, () => openOn(bySocket, thrower('writable')))
    for (const stream of streams) stream.send(Buffer.alloc(WINDOW_BYTES - 1))
    bySocket.other.resume()
    await expect.poll(() => bySocket.faults.length).toBe(2) // the first was not held back
    for (const side of [byCredit, bySocket]) {
      expect(side.faults[0]).toMatchObject({ message: 'writable of ours' })
      expect(side.ends).toEqual([])
    }
    expect([byCredit.link.size, bySocket.link.size]).toEqual([0, 1])
  })

  it('where a stream is taken gives that one up', async () => {
    const onOpen = (_stream: LinkStream): Recorder => {
      throw new TypeError('of ours')
    }
    const side = linkAndBytes({ onOpen })
    side.other.write(OPEN)
    await expect.poll(() => side.faults.length).toBe(1)
    expect([side.ends, side.link.size]).toEqual([[], 0])
  })

  it('while a lost link resets its streams is told, and the others are reset', async () => {
    const side = linkAndBytes()
    const [before, , after] = [opened(side), openOn(side, thrower('reset')), opened(side)]
    side.other.destroy()
    side.own.destroy()
    await expect.poll(() => side.ends).toEqual(['lost'])
    expect([before.told, after.told]).toEqual([[`reset ${RESET.lost} `], [`reset ${RESET.lost} `]])
    expect(side.faults).toHaveLength(1)
  })
})
