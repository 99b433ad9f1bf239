import { describe, expect, it } from 'vitest'
import { credit, frame, linkAndBytes, linkPair, opened } from '../test/links.ts'
import { FRAME, MAX_HEAD_BYTES, RESET } from './frames.ts'

describe('a stream', () => {
  it('carries a request and its answer, heads, bodies and trailers', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener, 'POST\n/path\nhost\nx\xe9', { end: false })
    request.stream.send(Buffer.from('ping '))
    request.stream.send(Buffer.from('pong'))
    request.stream.trailers('a\nb')
    await expect.poll(() => taker.taken[0]?.told).toEqual(['trailers a\nb'])
    const [taken] = taker.taken
    expect(taken).toMatchObject({ head0: 'POST\n/path\nhost\nx\xe9', ended0: false, body: 'ping pong' })
    taken?.stream.head('103\nEarly Hints', false)
    taken?.stream.head('200\nOK', false)
    taken?.stream.send(Buffer.from('answer'))
    taken?.stream.end()
    await expect.poll(() => request.told).toEqual(['head 103\nEarly Hints', 'head 200\nOK', 'end'])
    expect(request.body).toBe('answer')
    expect([opener.link.size, taker.link.size]).toEqual([0, 0])
  })

  it('that has nothing to say after its head ends with it', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener)
    await expect.poll(() => taker.taken[0]?.ended0).toBe(true)
    taker.taken[0]?.stream.head('204\nNo Content', true)
    await expect.poll(() => request.told).toEqual(['head 204\nNo Content end'])
    expect([opener.link.size, taker.link.size]).toEqual([0, 0])
  })

  it('goes on in one direction when the other has ended', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener, 'GET\n/', { end: false })
    await expect.poll(() => taker.taken.length).toBe(1)
    taker.taken[0]?.stream.end()
    await expect.poll(() => request.told).toEqual(['end'])
    request.stream.send(Buffer.from('still here'), true)
    await expect.poll(() => taker.taken[0]?.body).toBe('still here')
    expect(opener.link.size).toBe(0)
  })

  it('is given up with a code and a message, on both sides', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener, 'GET\n/', { end: false })
    await expect.poll(() => taker.taken.length).toBe(1)
    taker.taken[0]?.stream.reset(RESET.local_down, 'caf\xe9')
    await expect.poll(() => request.told).toEqual([`reset ${RESET.local_down} caf\xe9`])
    expect([opener.link.size, taker.link.size]).toEqual([0, 0])
    for (const { stream } of [request, ...taker.taken]) {
      expect(stream.send(Buffer.from('late'))).toBe(true)
      stream.head('200\nOK', true)
      stream.trailers('a\nb')
      stream.reset(RESET.cancelled)
    }
    const next = opened(opener)
    await expect.poll(() => taker.taken.length).toBe(2)
    taker.taken[1]?.stream.head('200\nOK', true)
    await expect.poll(() => next.told).toEqual(['head 200\nOK end'])
    expect(request.told).toHaveLength(1)
  })

  it('has the message of a reset cut to what its frame holds', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener)
    await expect.poll(() => taker.taken.length).toBe(1)
    taker.taken[0]?.stream.reset(RESET.local_broken, 'x'.repeat(1000))
    await expect.poll(() => request.told).toEqual([`reset ${RESET.local_broken} ${'x'.repeat(200)}`])
  })

  it('sends nothing more once it has said its end', async () => {
    const { frames, ...side } = linkAndBytes()
    const request = opened(side, 'GET\n/', { end: false })
    request.stream.send(Buffer.from('last'), true)
    request.stream.send(Buffer.from('more'))
    request.stream.trailers('a\nb')
    request.stream.end()
    await expect.poll(() => frames).toEqual(['1 1 GET\n/', '3 1 last end'])
  })

  it('is not opened with a head that is too long, nor answered with one; without its trailers it ends', async () => {
    const { opener, taker } = linkPair()
    const long = 'x'.repeat(MAX_HEAD_BYTES + 1)
    expect(opener.link.open(long, true, opened(opener))).toBeUndefined()
    await expect.poll(() => taker.taken.length).toBe(1)
    const [taken] = taker.taken
    expect(taken?.stream.head(long, true)).toBe(false)
    expect(taken?.stream.head('200\nOK', false)).toBe(true)
    taken?.stream.trailers(long)
    await expect.poll(() => [opener.link.size, taker.link.size]).toEqual([0, 0])
  })
})

describe('a link', () => {
  it('passes everything whole and in order, however little the connection holds', async () => {
    const { opener, taker } = linkPair({ capacity: 8 })
    const requests = Array.from({ length: 50 }, (_, n) => opened(opener, `POST\n/${n}`, { end: false }))
    const piece = (n: number, part: number) => Buffer.from(`${n}.${part} `.repeat(20))
    const whole = (n: number) => Array.from({ length: 5 }, (_, part) => piece(n, part).toString()).join('')
    for (let part = 0; part < 5; part++)
      for (const [n, { stream }] of requests.entries()) stream.send(piece(n, part), part === 4)
    await expect.poll(() => taker.taken.map(({ told }) => told)).toEqual(requests.map(() => ['end']))
    for (const [n, taken] of taker.taken.entries()) {
      expect(taken).toMatchObject({ head0: `POST\n/${n}`, body: whole(n) })
      taken.stream.head(`200\n${n}`, false)
      taken.stream.send(Buffer.from(taken.body), true)
    }
    await expect.poll(() => requests.every(({ told }) => told.length === 2)).toBe(true)
    for (const [n, { told, body }] of requests.entries())
      expect([told, body]).toEqual([[`head 200\n${n}`, 'end'], whole(n)])
  })

  it('carries a thousand streams at once, each its own', async () => {
    const { opener, taker } = linkPair()
    const requests = Array.from({ length: 1000 }, (_, n) => opened(opener, `GET\n/${n}`))
    await expect.poll(() => taker.taken.length).toBe(1000)
    expect([opener.link.size, taker.link.size]).toEqual([1000, 1000])
    for (const { stream, head0 } of [...taker.taken].reverse()) {
      stream.head(`200\n${head0.slice(4)}`, false)
      stream.send(Buffer.from(head0), true)
    }
    await expect.poll(() => requests.every(({ told }) => told.at(-1) === 'end')).toBe(true)
    for (const [n, { told, body }] of requests.entries())
      expect([told[0], body]).toEqual([`head 200\n/${n}`, `GET\n/${n}`])
    expect([opener.link.size, taker.link.size]).toEqual([0, 0])
  })

  it('sends what one turn of the event loop has to say in one write', async () => {
    const { frames, writes, ...side } = linkAndBytes()
    for (let n = 0; n < 20; n++) opened(side, `GET\n/${n}`)
    side.link.goaway('leaving')
    await expect.poll(() => frames.length).toBe(21)
    expect(writes).toHaveLength(1)
  })

  it('reads what came together with the answer to the upgrade', () => {
    const side = linkAndBytes({ takes: true })
    side.link.begin(frame('open', 1, 'GET\n/', true))
    expect(side.taken[0]).toMatchObject({ head0: 'GET\n/', ended0: true })
  })

  it('tells a goaway as it is said, and goes on with what is open', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener)
    await expect.poll(() => taker.taken.length).toBe(1)
    opener.link.goaway('draining')
    await expect.poll(() => taker.goaways).toEqual(['draining'])
    taker.taken[0]?.stream.head('200\nOK', true)
    await expect.poll(() => request.told).toEqual(['head 200\nOK end'])
    expect([opener.ends, taker.ends]).toEqual([[], []])
  })

  it('says why it closes, and resets what is open on both sides before it is over', async () => {
    const { opener, taker } = linkPair()
    const requests = [opened(opener), opened(opener)]
    await expect.poll(() => taker.taken.length).toBe(2)
    opener.link.close('key_revoked')
    expect(opener.ends).toEqual(['key_revoked'])
    await expect.poll(() => [taker.goaways, taker.ends]).toEqual([['key_revoked'], ['lost']])
    for (const { told } of [...requests, ...taker.taken]) expect(told).toEqual([`reset ${RESET.lost} `])
    expect([opener.link.ended, taker.link.ended]).toEqual([true, true])
    opener.link.close('leaving')
    expect(opener.ends).toEqual(['key_revoked'])
  })

  it('is lost for the other side when it ends without a word', async () => {
    const { opener, taker } = linkPair()
    const request = opened(opener)
    await expect.poll(() => taker.taken.length).toBe(1)
    taker.link.destroy()
    await expect.poll(() => opener.ends).toEqual(['lost'])
    expect(taker.ends).toEqual(['lost'])
    expect(request.told).toEqual([`reset ${RESET.lost} `])
  })

  it('takes nothing of what arrived in one piece with its end', () => {
    const side = linkAndBytes({ takes: true, onGoaway: () => side.link.destroy() })
    side.link.begin(
      Buffer.concat([
        frame('open', 1, 'GET\n/1'),
        frame('goaway', 0, 'key_revoked'),
        frame('data', 1, 'x'),
        frame('open', 2, 'GET\n/2'),
        frame('ping', 0, '12345678'),
      ]),
    )
    expect(side.taken.map(({ head0 }) => head0)).toEqual(['GET\n/1'])
    expect(side.taken[0]?.told).toEqual([`reset ${RESET.lost} `])
    expect([side.link.size, side.ends, side.faults]).toEqual([0, ['lost'], []])
  })

  it('begins with its ids anew when they are used up, and passes over those that are open', async () => {
    const { opener, taker } = linkPair({ opener: { lastStream: 0x7ffffffd } })
    const open = [opened(opener, 'a'), opened(opener, 'b'), opened(opener, 'c'), opened(opener, 'd')]
    expect(open.map(({ stream }) => stream.id)).toEqual([0x7ffffffe, 0x7fffffff, 1, 2])
    await expect.poll(() => taker.taken.length).toBe(4)
    // Late frames of ids from before are no fault.
    open[1]?.stream.reset(RESET.cancelled)
    taker.taken[1]?.stream.head('200\nOK', true)
    taker.taken[2]?.stream.head('200\nc', true)
    await expect.poll(() => open[2]?.told).toEqual(['head 200\nc end'])
    expect([opener.ends, taker.ends]).toEqual([[], []])
  })
})

describe('a frame of a stream that is over', () => {
  it.each([
    ['head', '200\nOK'],
    ['data', 'x'],
    ['trailers', 'a\nb'],
    ['reset', '\0'],
    ['window', credit(5)],
  ] as const)('may be on its way still: %s', async (type, payload) => {
    const side = linkAndBytes()
    const request = opened(side)
    request.stream.reset(RESET.cancelled)
    side.other.write(frame(type, 1, payload))
    side.other.write(frame('ping', 0, '12345678'))
    await expect.poll(() => side.frames.at(-1)).toBe(`${FRAME.ping} 0 12345678 end`)
    expect([side.ends, request.told]).toEqual([[], []])
  })
})
