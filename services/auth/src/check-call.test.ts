import { constants } from 'node:http2'
import { Refusal } from '@instatunnel/kit/refusal'
import { describe, expect, it } from 'vitest'
import { answerOf, beginCall, callWith } from '../test/grpc-call.ts'
import { aborted, connected, echo, hello, logged, serving, waiting, works } from '../test/serve-rpc.ts'
import type { FramedUnary } from './check-call.ts'
import { framed, MAX_MESSAGE_BYTES } from './domain/grpc-frame.ts'

const failure = (code: number, message: string) => ({
  head: {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(code),
    'grpc-message': message,
  },
  trailers: undefined,
  body: Buffer.alloc(0),
})
describe('a call', () => {
  it.each([
    ['at once', echo],
    ['later', async (message: Buffer) => framed(message)],
  ] as const)('is answered %s with a head, a message and trailers, and no more', async (_, rpc) => {
    const session = await connected(await serving(rpc))
    const { head, trailers, body, reset } = await callWith(session, hello)
    expect(Object.entries(head)).toEqual(
      Object.entries({ ':status': 200, 'content-type': 'application/grpc' }),
    )
    expect(Object.entries(trailers ?? {})).toEqual([['grpc-status', '0']])
    expect(body).toEqual(hello)
    expect(reset).toBe(0)
  })

  it('may have the longest message, in pieces', async () => {
    const session = await connected(await serving())
    const long = framed(Buffer.alloc(MAX_MESSAGE_BYTES, 7))
    expect((await callWith(session, long)).body.equals(long)).toBe(true)
  })

  it('is one of many at a time on one connection', async () => {
    const session = await connected(await serving(async (message) => framed(message)))
    const calls = Array.from({ length: 500 }, (_, index) => framed(Buffer.from(String(index))))
    const answers = await Promise.all(calls.map((call) => callWith(session, call)))
    expect(answers.map(({ body }) => body)).toEqual(calls)
  })

  it.each(['application/grpc', 'application/grpc+proto', 'application/grpc;charset=utf-8'])(
    'is %s',
    async (type) => {
      const session = await connected(await serving())
      expect((await callWith(session, hello, { 'content-type': type })).trailers).toMatchObject({
        'grpc-status': '0',
      })
    },
  )

  it.each([
    null,
    '',
    'application/json',
    'application/grpc-web',
    'application/grpc+json',
    'text/application/grpc',
  ])('is no call as %j', async (type) => {
    const session = await connected(await serving())
    expect(await callWith(session, hello, { 'content-type': type })).toMatchObject({
      head: { ':status': 415 },
    })
    await works(session)
  })

  it.each(['GET', 'PUT', 'HEAD', 'OPTIONS', 'DELETE'])('is no call by %s', async (method) => {
    const session = await connected(await serving())
    const answer = await callWith(session, hello, { ':method': method })
    expect(answer.head).toMatchObject({ ':status': 405, allow: 'POST' })
    await works(session)
  })

  it.each(['/', '/test.Echo/echo', '/test.Echo/Echo/', '/test.Echo/Echo?x', '/__proto__'])(
    'of %s is UNIMPLEMENTED',
    async (path) => {
      const session = await connected(await serving())
      const answer = await callWith(session, hello, { ':path': path })
      expect(answer).toMatchObject(failure(12, 'There%20is%20no%20such%20rpc%20here'))
      await works(session)
    },
  )

  it.each([
    ['compressed', Buffer.from([1, 0, 0, 0, 1, 0]), 12],
    ['of nothing', Buffer.alloc(0), 3],
    ['of half a prefix', hello.subarray(0, 3), 3],
    ['of half a message', hello.subarray(0, 7), 3],
    ['of two messages', Buffer.concat([hello, hello]), 3],
    ['too long', framed(Buffer.alloc(MAX_MESSAGE_BYTES + 1)), 8],
  ])('%s is refused', async (_, bytes, code) => {
    const session = await connected(await serving())
    expect((await callWith(session, bytes)).head).toMatchObject({
      ':status': 200,
      'grpc-status': String(code),
    })
    await works(session)
  })

  it('too long is refused by its prefix, before it is sent', async () => {
    const session = await connected(await serving())
    const stream = beginCall(session)
    stream.write(framed(Buffer.alloc(MAX_MESSAGE_BYTES + 1)).subarray(0, 5))
    expect((await answerOf(stream)).head).toMatchObject({ 'grpc-status': '8' })
    await works(session)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Refusal('UNAVAILABLE', 'Später: 100 %')
      },
    ],
    [
      'rejects with',
      async () => {
        throw new Refusal('UNAVAILABLE', 'Später: 100 %')
      },
    ],
  ] as [string, FramedUnary][])('is answered with the refusal that its rpc %s', async (_, rpc) => {
    const session = await connected(await serving(rpc))
    expect(await callWith(session, hello)).toMatchObject(failure(14, 'Sp%C3%A4ter:%20100%20%25'))
  })

  it.each([
    [
      'throws',
      () => {
        throw new TypeError('pw in here')
      },
    ],
    [
      'rejects with',
      async () => {
        throw new TypeError('pw in here')
      },
    ],
  ] as [string, FramedUnary][])(
    'is INTERNAL, and no more is said, where its rpc %s what is no refusal',
    async (_, rpc) => {
      const session = await connected(await serving(rpc))
      const answer = await callWith(session, hello)
      expect(answer).toMatchObject(failure(13, 'Something%20went%20wrong%20on%20our%20side.'))
      expect(logged.at(-1)).toContain('pw in here')
    },
  )
})

describe('the time of a call', () => {
  it('is over for its rpc, and for its caller', async () => {
    const { rpc, signals } = waiting()
    const session = await connected(await serving(rpc))
    const answer = await callWith(session, hello, { 'grpc-timeout': '50m' })
    expect(answer).toMatchObject(failure(4, 'The%20time%20for%20this%20call%20is%20over'))
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  it('counts while its message is awaited', async () => {
    const session = await connected(await serving())
    const stream = beginCall(session, { 'grpc-timeout': '50m' })
    stream.write(hello.subarray(0, 6))
    expect((await answerOf(stream)).head).toMatchObject({ 'grpc-status': '4' })
    await works(session)
  })

  it('counts while its answer is not taken', async () => {
    const session = await connected(await serving(), { settings: { initialWindowSize: 0 } })
    const answer = await callWith(session, hello, { 'grpc-timeout': '50m' })
    expect(answer).toMatchObject({
      head: { ':status': 200 },
      trailers: undefined,
      reset: constants.NGHTTP2_CANCEL,
    })
  })

  it('is no longer counted once it is answered', async () => {
    const { rpc, answers, begun } = waiting()
    const session = await connected(await serving(rpc))
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const calls = Array.from({ length: 50 }, () => callWith(session, hello))
    await begun(50)
    const whileWaiting = timers()
    for (const answer of answers) answer()
    await Promise.all(calls)
    expect(whileWaiting - timers()).toBeGreaterThanOrEqual(50)
  })

  it('is what a grpc-timeout says; anything else is refused', async () => {
    const session = await connected(await serving())
    expect((await callWith(session, hello, { 'grpc-timeout': 'soon' })).head).toMatchObject({
      'grpc-status': '3',
    })
    expect((await callWith(session, hello, { 'grpc-timeout': null })).trailers).toMatchObject({
      'grpc-status': '0',
    })
  })
})

describe('a caller that leaves', () => {
  it('ends what is done for it', async () => {
    const { rpc, signals, begun } = waiting()
    const session = await connected(await serving(rpc))
    const stream = beginCall(session)
    stream.end(hello)
    await begun(1)
    stream.close(constants.NGHTTP2_CANCEL)
    await aborted(signals[0])
  })

  it('ends what is done for all its calls, where the connection goes', async () => {
    const { rpc, signals, begun } = waiting()
    const server = await serving(rpc)
    const session = await connected(server)
    for (let count = 0; count < 10; count++) beginCall(session).end(hello)
    await begun(10)
    session.destroy()
    await Promise.all(signals.map(aborted))
  })

  it('is not told when it is too late', async () => {
    const { rpc, signals, answers, begun } = waiting()
    const session = await connected(await serving(rpc))
    const stream = beginCall(session)
    stream.end(hello)
    await begun(1)
    stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    await aborted(signals[0])
    answers[0]?.()
    const next = callWith(session, hello)
    await begun(2)
    answers[1]?.()
    expect((await next).body).toEqual(hello)
  })

  it('may do so thousands of times in a row, and costs others on its connection nothing', async () => {
    const session = await connected(await serving())
    for (let round = 0; round < 30; round++) {
      const streams = Array.from({ length: 100 }, () => beginCall(session))
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
      await works(session)
    }
    expect(session.destroyed).toBe(false)
  })
})
