import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type Settings,
} from 'node:http2'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Random, randomOf } from '../../test/random.ts'
import { answerOf, servingHttp2 } from '../../test/serve-http2.ts'

/** node:http2's own client, once it has heard the server's settings. */
async function client(port: number, settings: Settings = {}): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`, { settings })
  onTestFinished(() => session.destroy())
  await once(session, 'remoteSettings')
  return session
}

interface Heard {
  readonly status: number | undefined
  readonly body: Buffer
  readonly done: unknown
  readonly code: number | undefined
}

/** What comes of a request. */
async function heard(stream: ClientHttp2Stream): Promise<Heard> {
  const pieces: Buffer[] = []
  let status: number | undefined
  let done: unknown
  stream.on('response', (headers) => {
    status = headers[':status']
  })
  stream.on('trailers', (trailers) => {
    done = trailers.done
  })
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  stream.on('error', () => {})
  await once(stream, 'close')
  return { status, body: Buffer.concat(pieces), done, code: stream.rstCode }
}

/** A request without content. */
const get = (session: ClientHttp2Session, path: string) =>
  session.request({ ':method': 'GET', ':path': path }, { endStream: true })

const oneOf = <T>(random: Random, list: readonly T[]) => list[random(list.length)] as T

const randomSettings = (random: Random): Settings => ({
  headerTableSize: oneOf(random, [0, 1, 100, 4096, 65_536]),
  initialWindowSize: oneOf(random, [1000, 16_384, 65_535, 1_000_000, 2 ** 31 - 1]),
  maxFrameSize: oneOf(random, [16_384, 20_000, 2 ** 24 - 1]),
  maxHeaderListSize: oneOf(random, [1000, 65_535]),
  enablePush: random(2) === 0,
})

/** Bytes of a random size, most of them short, which differ. */
function randomBody(random: Random): Buffer {
  const length = oneOf(random, [0, 1, random(100), random(5000), random(70_000), random(400_000)])
  const body = Buffer.alloc(length)
  const step = 1 + random(200)
  for (let at = 0; at < length; at++) body[at] = at * step
  return body
}

/** Asks for an echo of these bytes, written in pieces, with or without trailers. */
function ask(session: ClientHttp2Session, random: Random, body: Buffer): ClientHttp2Stream {
  const hasTrailers = random(3) === 0
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': '/echo',
      [`x-${random(5)}`]: 'v'.repeat(random(200)),
      ...(random(2) === 0 && { 'content-length': String(body.length) }),
    },
    { endStream: false, waitForTrailers: hasTrailers },
  )
  if (hasTrailers) stream.on('wantTrailers', () => stream.sendTrailers({ 'x-last': 'word' }))
  let at = 0
  for (const count = random(4); at < count && at < body.length; at++) stream.write(body.subarray(at, at + 1))
  stream.end(body.subarray(at))
  return stream
}

describe('the client of node:http2', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'hears what it said, whatever its windows, tables and frames (%i)',
    async (seed) => {
      const random = randomOf(seed)
      const session = await client((await servingHttp2()).port, randomSettings(random))
      for (let round = 0; round < 5; round++) {
        const bodies = Array.from({ length: 1 + random(15) }, () => randomBody(random))
        const answers = bodies.map((body) => heard(ask(session, random, body)))
        // While they are under way, what they are sent by changes.
        if (round % 2 === 1) session.settings(randomSettings(random))
        for (const [index, answer] of (await Promise.all(answers)).entries()) {
          const body = bodies[index] as Buffer
          expect(answer).toMatchObject({ status: 200, done: 'yes', code: constants.NGHTTP2_NO_ERROR })
          expect(answer.body.equals(body), `${answer.body.length} of ${body.length} bytes`).toBe(true)
        }
      }
      expect(session.destroyed).toBe(false)
    },
  )

  it.each([4096, 100, 0])(
    'that makes its table of %i bytes is told of it in the next block',
    async (bytes) => {
      const session = await client((await servingHttp2()).port)
      await heard(get(session, '/bytes/3'))
      session.settings({ headerTableSize: bytes })
      await once(session, 'localSettings')
      // nghttp2 breaks a connection off whose next block does not begin with the change.
      for (let count = 0; count < 3; count++)
        expect(await heard(get(session, '/bytes/3'))).toMatchObject({ status: 200, done: 'yes' })
      expect(session.destroyed).toBe(false)
    },
  )

  it.each([
    [0, 70_000],
    [1, 300],
  ])('that opens its windows later hears the rest then (%i)', async (initialWindowSize, bytes) => {
    const session = await client((await servingHttp2()).port, { initialWindowSize })
    const stream = get(session, `/bytes/${bytes}`)
    const answer = heard(stream)
    await once(stream, 'response')
    session.settings({ initialWindowSize: 65_535 })
    expect((await answer).body).toHaveLength(bytes)
  })

  it('takes an early answer, and that the rest of its upload is not wanted', async () => {
    const session = await client((await servingHttp2()).port)
    const stream = session.request({ ':method': 'POST', ':path': '/early' }, { endStream: false })
    stream.write(Buffer.alloc(100_000))
    expect(await heard(stream)).toMatchObject({ status: 200, code: constants.NGHTTP2_NO_ERROR, done: 'yes' })
    expect((await heard(get(session, '/bytes/5'))).body).toHaveLength(5)
  })

  it('hears that a server closes, has what it asked for answered, and then its connection ended', async () => {
    const server = await servingHttp2()
    const session = await client(server.port)
    const answer = heard(get(session, '/later'))
    await server.until(() => server.asked.length === 1)
    const closed = once(session, 'close')
    const codes: number[] = []
    session.on('goaway', (code) => codes.push(code))
    server.connections[0]?.close()
    await once(session, 'goaway')
    server.asked[0]?.answer(answerOf(Buffer.from('late')))
    expect((await answer).body.toString()).toBe('late')
    await closed
    expect(new Set(codes)).toEqual(new Set([constants.NGHTTP2_NO_ERROR]))
  })

  it('may ping as it likes', async () => {
    const session = await client((await servingHttp2()).port)
    const payloads = Array.from({ length: 9 }, (_, index) => Buffer.alloc(8, index))
    const echoed = payloads.map(
      (payload) =>
        new Promise<Buffer>((resolve) => session.ping(payload, (_error, _duration, back) => resolve(back))),
    )
    expect(await Promise.all(echoed)).toEqual(payloads)
  })
})
