import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2'
import { accountsOf } from '@instatunnel/test/accounts'
import { pour, take } from '@instatunnel/test/flow'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { type Echo, FILE } from '@instatunnel/test/site-routes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'

/** Visitors who speak HTTP/2, as every browser does: the local server need not know it. */

let stack: TestStack
let open: OpenTunnel
let session: ClientHttp2Session
beforeAll(async () => {
  stack = await startTestStack()
  open = await openTunnel(stack, accountsOf(stack.call))
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})
beforeEach(() => {
  session = open.visitor.http2()
})
afterEach(() => session.close())

const request = (path: string, headers: OutgoingHttpHeaders = {}, endStream = true): ClientHttp2Stream =>
  session.request({ ':authority': open.visitor.host, ':path': path, ...headers }, { endStream })
const head = async (stream: ClientHttp2Stream) => {
  const [headers] = await once(stream, 'response')
  return { ...headers }
}
const textOf = async (stream: ClientHttp2Stream) => (await stream.setEncoding('utf8').toArray()).join('')
const echoed = async (stream: ClientHttp2Stream): Promise<Echo> => JSON.parse(await textOf(stream))

it('method, path, query and headers arrive as they are', async () => {
  const headers = { 'x-a': ['1', '2'], cookie: 'a=1; b=2', te: 'trailers', 'x-empty': '' }
  const heard = await echoed(request('//a/../%2f?b|c=%zz', headers))
  expect([heard.method, heard.target]).toEqual(['GET', '//a/../%2f?b|c=%zz'])
  expect(heard.headers).toEqual([
    ...['host', open.visitor.host, 'x-a', '1', 'x-a', '2', 'te', 'trailers', 'x-empty', ''],
    ...['cookie', 'a=1; b=2'], // which HTTP/2 sends in crumbs (RFC 9113, section 8.2.3)
    ...['x-real-ip', '127.0.0.1', 'x-forwarded-for', '127.0.0.1', 'x-forwarded-proto', 'http'],
    ...['x-forwarded-host', open.visitor.host],
  ])
  expect((await echoed(request('/', { ':method': 'REPORT' }))).method).toBe('REPORT')
})

it('so do bodies, with a length and without, and trailers', async () => {
  const sized = request('/', { ':method': 'PUT', 'content-length': '5' }, false).end('hello')
  const heard = await echoed(sized)
  expect(heard.body).toBe('hello')
  expect(heard.headers).toEqual(expect.arrayContaining(['content-length', '5']))

  const options = { endStream: false, waitForTrailers: true }
  const authority = { ':authority': open.visitor.host, ':path': '/' }
  const trailed = session.request({ ...authority, ':method': 'POST' }, options)
  trailed.on('wantTrailers', () => trailed.sendTrailers({ 'x-sum': '7' })).end('unsized')
  expect(await echoed(trailed)).toMatchObject({ body: 'unsized', trailers: ['x-sum', '7'] })
})

it('answers come with their hints, headers and trailers', async () => {
  const hinted = request('/hints')
  const [hints] = await once(hinted, 'headers')
  expect(hints).toMatchObject({ ':status': 103, link: '</a.css>; rel=preload, </b.js>; rel=preload' })
  expect(await head(hinted)).toMatchObject({ ':status': 200 })
  expect(await textOf(hinted)).toBe('late')

  const trailed = request('/trailers')
  const trailers = once(trailed, 'trailers')
  expect(await textOf(trailed)).toBe('body')
  expect((await trailers)[0]).toMatchObject({ 'x-sum': '7', 'x-more': '1, 2' })
})

it('parts of a file, and heads alone', async () => {
  const part = request('/file', { range: 'bytes=10-19' })
  expect(await head(part)).toMatchObject({ ':status': 206, 'content-range': 'bytes 10-19/1000' })
  expect(Buffer.concat(await part.toArray())).toEqual(FILE.subarray(10, 20))
  const alone = request('/file', { ':method': 'HEAD' })
  expect(await head(alone)).toMatchObject({ ':status': 200, 'content-length': '1000' })
  expect(await textOf(alone)).toBe('')
})

it('a hundred requests at once on one connection, each with 1 MiB each way', async () => {
  const bytes = 1024 * 1024
  const all = Array.from({ length: 100 }, async () => {
    const upload = request('/sum', { ':method': 'POST' }, false)
    const sent = await pour(upload, bytes).whole
    expect(JSON.parse(await textOf(upload))).toEqual(sent)
    expect(await take(request(`/bytes?size=${bytes}`)).rest()).toEqual(sent)
  })
  await Promise.all(all)
})

it('both ways at once, on one stream', async () => {
  const both = request('/both', { ':method': 'POST' }, false)
  const pieces = both.setEncoding('utf8')[Symbol.asyncIterator]()
  for (const said of ['one', 'two', 'three']) {
    both.write(said)
    expect((await pieces.next()).value).toBe(said)
  }
  both.end()
  expect((await pieces.next()).done).toBe(true)
})

it('a visitor that gives one request up goes on with the others', async () => {
  const arrival = open.site.arrival('/given-up')
  const given = request('/given-up')
  const { response } = await arrival
  const gone = once(response, 'close')
  given.close()
  await gone
  expect(await textOf(request('/hello'))).toBe('hello')
})

it('a WebSocket', async () => {
  const opened = open.site.socket()
  await once(session, 'remoteSettings')
  const stream = request(
    '/ws',
    { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', 'sec-websocket-version': '13' },
    false,
  )
  expect(await head(stream)).toMatchObject({ ':status': 200 })
  await opened
  // Two frames of text: "hi", masked with nothing as a client must, and as a server says it (RFC 6455, section 5.2).
  stream.write('\x81\x82\0\0\0\0hi', 'latin1')
  const [echo] = await once(stream, 'data')
  expect(echo.toString('latin1')).toBe('\x81\x02hi')
  stream.destroy()
})
