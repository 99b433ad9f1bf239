import { Agent } from 'node:http'
import { accountsOf } from '@instatunnel/test/accounts'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { FILE } from '@instatunnel/test/site-routes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered, valuesOf } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** What the local server answers is what the visitor gets: byte for byte, through agent, relay and Envoy. */

let stack: TestStack
let open: OpenTunnel
beforeAll(async () => {
  stack = await startTestStack()
  open = await openTunnel(stack, accountsOf(stack.call))
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

it('every status, errors too', async () => {
  for (const status of [
    200, 201, 204, 299, 301, 304, 307, 400, 401, 404, 418, 429, 500, 502, 503, 504, 599,
  ]) {
    const answer = await open.visitor.get(`/status?is=${status}`)
    expect([answer.status, answer.header('x-a'), answer.text]).toEqual([status, '1', ''])
  }
})

it('the headers, in order, repeated ones too, and none of ours', async () => {
  const arrival = open.site.arrival('/headers')
  const answer = open.visitor.get('/headers')
  const { response } = await arrival
  response.sendDate = false
  const headers = [
    ...['Date', 'Mon, 01 Jan 2024 00:00:00 GMT', 'Server', 'theirs', 'Via', '1.1 theirs', 'X-A', '1'],
    ...[
      'Set-Cookie',
      'a=1; Path=/',
      'Set-Cookie',
      'b=2; HttpOnly',
      'X-A',
      '2',
      'X_Under',
      '1',
      'X-Empty',
      '',
    ],
    ...['Location', '/elsewhere?a|b', 'Cache-Control', 'no-store', 'Grpc-Status', '5', 'X-Latin', 'caf\xe9'],
    ...['Content-Type', 'text/plain; charset="x"', 'ETag', 'W/"1"', 'Content-Length', '2'],
  ]
  response.writeHead(200, headers).end(Buffer.from('ok')) // Node writes the head as it does a text
  const told = await answer
  expect(told.text).toBe('ok')
  const inLowerCase = headers.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))
  expect(told.headers).toEqual([...inLowerCase, 'connection', 'close'])
})

it('a body with its length, and one without', async () => {
  const sized = await open.visitor.get('/bytes?size=100000')
  expect(sized.header('content-length')).toBe('100000')
  const chunked = await open.visitor.get('/bytes?size=100000&chunked')
  expect(chunked.header('content-length')).toBeUndefined()
  expect(chunked.header('transfer-encoding')).toBe('chunked')
  expect(chunked.body.equals(sized.body)).toBe(true)
})

it('a HEAD has a length and no body, and the connection goes on', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const head = await open.visitor.get('/file', { method: 'HEAD', agent })
  expect([head.status, head.header('content-length'), head.body.length]).toEqual([200, '1000', 0])
  expect((await open.visitor.get('/file', { agent })).body).toEqual(FILE)
  const unchanged = await open.visitor.get('/status?is=304', { agent })
  expect([unchanged.status, unchanged.body.length]).toEqual([304, 0])
  expect((await open.visitor.get('/hello', { agent })).text).toBe('hello')
  agent.destroy()
})

it('a part of a file, where a part is asked for', async () => {
  const part = await open.visitor.get('/file', { headers: { range: 'bytes=100-199' } })
  expect([part.status, part.header('content-range'), part.header('content-length')]).toEqual([
    206,
    'bytes 100-199/1000',
    '100',
  ])
  expect(part.body).toEqual(FILE.subarray(100, 200))
  const rest = await open.visitor.get('/file', { headers: { range: 'bytes=990-' } })
  expect(rest.body).toEqual(FILE.subarray(990))
  const none = await open.visitor.get('/file', { headers: { range: 'bytes=1000-' } })
  expect([none.status, none.header('content-range')]).toEqual([416, 'bytes */1000'])
})

it('early hints come before it', async () => {
  const { text, interim } = await open.visitor.get('/hints')
  expect(text).toBe('late')
  expect(interim.map(({ status }) => status)).toEqual([103])
  const [{ headers } = { headers: [] }] = interim
  expect(valuesOf(headers, 'link').join(', ')).toBe('</a.css>; rel=preload, </b.js>; rel=preload')
  expect(valuesOf(headers, 'x-early')).toEqual(['yes'])
})

it('early hints do not wait for it', async () => {
  const arrival = open.site.arrival('/slow-hints')
  const asked = open.visitor.ask('/slow-hints').end()
  const hinted = new Promise<number>((resolve) =>
    asked.on('information', ({ statusCode }) => resolve(statusCode)),
  )
  const { response } = await arrival
  response.writeProcessing()
  expect(await hinted).toBe(102)
  response.end()
  expect((await answered(asked)).statusCode).toBe(200)
  asked.destroy()
})

it('trailers come at its end', async () => {
  const { text, trailers, headers } = await open.visitor.get('/trailers', { headers: { te: 'trailers' } })
  expect(text).toBe('body')
  expect(valuesOf(headers, 'trailer')).toEqual(['x-sum, x-more'])
  expect(trailers).toEqual(['x-sum', '7', 'x-more', '1', 'x-more', '2'])
})

it.each([
  ['HEAD', 200, ['trailer', 'x-sum', 'content-length', '5']],
  ['GET', 304, ['trailer', 'x-sum', 'etag', '"a"']],
  ['GET', 204, ['trailer', 'x-sum']],
])('trailers that are announced and cannot come are no fault: %s %i', async (method, status, headers) => {
  const arrival = open.site.arrival('/announced')
  const answer = open.visitor.get('/announced', { method })
  const { request } = await arrival
  // By hand: Node sends no such head.
  const lines = headers.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${headers[at + 1]}`] : []))
  request.socket.end([`HTTP/1.1 ${status} Any`, ...lines, 'connection: close', '\r\n'].join('\r\n'))
  expect(await answer).toMatchObject({ status, text: '' })
})

it('a file’s name passes as its bytes are, in whatever encoding', async () => {
  for (const name of ['caf\xe9.txt', Buffer.from('caf\u00e9 \u{1f600}.txt').toString('latin1')]) {
    const arrival = open.site.arrival('/named')
    const answer = open.visitor.get('/named')
    const { request } = await arrival
    const disposition = `attachment; filename="${name}"`
    const head = `HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-disposition: ${disposition}\r\n\r\nok`
    request.socket.end(Buffer.from(head, 'latin1'))
    const told = await answer
    expect([told.status, told.header('content-disposition'), told.text]).toEqual([200, disposition, 'ok'])
  }
})

it('one that breaks off is not taken for whole', async () => {
  await expect(open.visitor.get('/break')).rejects.toThrow()
  const arrival = open.site.arrival('/break-chunks')
  const answer = open.visitor.get('/break-chunks')
  const { response } = await arrival
  response.write('half', () => response.destroy())
  await expect(answer).rejects.toThrow()
})
