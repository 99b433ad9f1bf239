import { Agent } from 'node:http'
import { accountsOf } from '@instatunnel/test/accounts'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import type { Echo } from '@instatunnel/test/site-routes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { type AskOptions, answered, type Told, told } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What a visitor asks is what the local server hears: byte for byte, through Envoy, relay and agent. */

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

const echoOf = (answer: Told): Echo => {
  expect(answer.status).toBe(200)
  return JSON.parse(answer.text)
}
const echoed = async (path: string, options?: AskOptions & { body?: string }) =>
  echoOf(await open.visitor.get(path, options))

it('every method', async () => {
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'PURGE']
  for (const method of methods) expect((await echoed('/', { method })).method).toBe(method)
})

it.each([
  '/',
  '//',
  '//a///b//',
  '/a/./b/../../..',
  '/%2e%2e/%2E/a%2Fb%2f%5C%00%zz',
  '/a;b=1;c|d"<>^`{}~\\e[f]',
  '/?',
  '/a?b=//../%2f&c;d|e=?&f=/./',
  '/healthz',
  '/v1/auth/user',
  '/instatunnel.auth.v1.AuthService/GetUser',
])('the path and the query: %s', async (path) => {
  expect((await echoed(path)).target).toBe(path)
})

it('a path of many thousand characters', async () => {
  const path = `/${'a'.repeat(20_000)}`
  expect((await echoed(path)).target).toBe(path)
})

it('the headers, in order, repeated ones too; and who asks', async () => {
  const { headers } = await echoed('/', {
    headers: [
      ...['X-A', '1', 'X-B', '', 'x-a', '2', 'X-A', '1', 'X_Under', '1', 'x-request-id', 'theirs'],
      ...['Authorization', 'Basic eDp5', 'Cookie', 'a=1; b="2"', 'Accept', 'text/*;q=0.5, */*'],
      ...['Grpc-Timeout', '1n', 'If-None-Match', 'W/"a", "b"', 'X-Latin', 'caf\xe9', 'TE', 'trailers'],
    ],
  })
  expect(headers).toEqual([
    ...['host', open.visitor.host, 'x-a', '1', 'x-b', '', 'x-a', '2', 'x-a', '1', 'x_under', '1'],
    ...['x-request-id', 'theirs', 'authorization', 'Basic eDp5', 'cookie', 'a=1; b="2"'],
    ...['accept', 'text/*;q=0.5, */*', 'grpc-timeout', '1n', 'if-none-match', 'W/"a", "b"'],
    ...['x-latin', 'caf\xe9', 'te', 'trailers', 'x-real-ip', '127.0.0.1'],
    ...['x-forwarded-for', '127.0.0.1', 'x-forwarded-proto', 'http', 'x-forwarded-host', open.visitor.host],
  ])
})

it('hundreds of headers', async () => {
  const many = Array.from({ length: 500 }, (_, n) => [`x-${n}`, String(n)]).flat()
  expect((await echoed('/', { headers: many })).headers).toEqual(expect.arrayContaining(many))
})

it('what is for one hop only stays behind', async () => {
  const headers = {
    connection: 'close, x-hop',
    'x-hop': '1',
    'keep-alive': 'timeout=5',
    'proxy-authorization': 'Basic x',
    'proxy-connection': 'close',
    'x-end': '1',
  }
  const heard = await echoed('/', { headers })
  const names = heard.headers.filter((_, at) => at % 2 === 0)
  expect(names).toContain('x-end')
  for (const name of ['x-hop', 'keep-alive', 'proxy-authorization', 'proxy-connection'])
    expect(names).not.toContain(name)
})

describe('a body', () => {
  it('with its length', async () => {
    const { body, headers } = await echoed('/', { method: 'POST', body: 'hello' })
    expect(body).toBe('hello')
    expect(headers).toEqual(expect.arrayContaining(['content-length', '5']))
    expect(headers).not.toContain('transfer-encoding')
  })

  it('of an announced length of nothing', async () => {
    const { body, headers } = await echoed('/', { method: 'POST', headers: { 'content-length': '0' } })
    expect(body).toBe('')
    expect(headers).toEqual(expect.arrayContaining(['content-length', '0']))
  })

  it('in chunks, each as it is written, with trailers at its end', async () => {
    const arrival = open.site.arrival('/upload')
    const asked = open.visitor.ask('/upload', { method: 'POST', headers: { trailer: 'x-sum' } })
    const answer = told(asked)
    asked.write('first')
    const { request, response } = await arrival
    expect(request.headers).toMatchObject({ 'transfer-encoding': 'chunked', trailer: 'x-sum' })
    const pieces = request.setEncoding('latin1')[Symbol.asyncIterator]()
    expect((await pieces.next()).value).toBe('first')
    asked.write('second')
    expect((await pieces.next()).value).toBe('second')
    asked.addTrailers([
      ['x-sum', '7'],
      ['X-Sum', '8'],
    ])
    asked.end('third')
    expect((await pieces.next()).value).toBe('third')
    expect((await pieces.next()).done).toBe(true)
    expect(request.rawTrailers).toEqual(['x-sum', '7', 'x-sum', '8'])
    response.end()
    expect((await answer).status).toBe(200)
  })

  it('that waits to be asked for', async () => {
    const headers = { expect: '100-continue', 'content-length': '4' }
    const wanted = open.site.arrival('/wanted')
    const asked = open.visitor.ask('/wanted', { method: 'PUT', headers })
    const answer = told(asked)
    asked.on('continue', () => asked.end('body'))
    asked.flushHeaders()
    const first = await wanted
    first.response.writeContinue()
    expect((await first.request.setEncoding('latin1').toArray()).join('')).toBe('body')
    first.response.end('thanks')
    expect(await answer).toMatchObject({ text: 'thanks', interim: [{ status: 100 }] })

    const unwanted = open.site.arrival('/unwanted')
    const refused = open.visitor.ask('/unwanted', { method: 'PUT', headers })
    const refusal = told(refused)
    refused.flushHeaders()
    const second = await unwanted
    second.response.writeHead(417).end()
    expect(await refusal).toMatchObject({ status: 417, interim: [] })
    refused.destroy()
  })

  it('that is answered before it has all come', async () => {
    const arrival = open.site.arrival('/enough')
    const asked = open.visitor.ask('/enough', { method: 'POST' })
    asked.on('error', () => {}) // the rest of it is wanted by nobody
    asked.write('some')
    const { response } = await arrival
    response.writeHead(413, { connection: 'close' }).end('enough')
    const answer = await answered(asked)
    expect(answer.statusCode).toBe(413)
    expect((await answer.setEncoding('latin1').toArray()).join('')).toBe('enough')
    asked.destroy()
  })
})

it('a hundred requests on one connection', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const asked = Array.from({ length: 100 }, (_, n) => {
    const options = n % 3 === 0 ? { agent, method: 'POST', body: `${n}` } : { agent }
    return echoed(`/${n}`, options)
  })
  expect((await Promise.all(asked)).map(({ target }) => target)).toEqual(
    Array.from({ length: 100 }, (_, n) => `/${n}`),
  )
  agent.destroy()
})

it('requests that a visitor does not wait between', async () => {
  const line = (n: number, end = '') => `GET /${n} HTTP/1.1\r\nHost: ${open.visitor.host}\r\n${end}\r\n`
  const text = await open.visitor.raw(`${line(1)}${line(2)}${line(3, 'Connection: close\r\n')}`)
  expect([...text.matchAll(/"target":"(.*?)"/g)].map(([, target]) => target)).toEqual(['/1', '/2', '/3'])
})
