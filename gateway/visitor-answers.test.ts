import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { answered, next, told, toldHttp2, visit, visitHttp2 } from './test/visit.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.relay.heard.length = 0
})

/** The answer to a request that has no body, as the relay's answer is this. */
async function answerOf(method: string, status: number, headers: string[], body = '') {
  gateway.relay.answer = (_, response) => response.writeHead(status, headers).end(body)
  return told(visit(gateway.port, '/', { method, headers: { 'x-request-id': 'the visitor' } }).end())
}

describe('the answer to a visitor', () => {
  it('is what the relay says, and nothing is added', async () => {
    const headers = [
      ...['date', 'Mon, 01 Jan 2024 00:00:00 GMT', 'server', 'theirs', 'via', '1.1 theirs'],
      ...['set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-a', '1', 'x-a', '2', 'x_under', '1'],
      ...['grpc-status', '5', 'content-type', 'application/grpc', 'content-length', '2'],
    ]
    const answer = await answerOf('GET', 200, headers, 'ok')
    expect(answer).toMatchObject({ status: 200, body: 'ok', headers: [...headers, 'connection', 'close'] })
  })

  it('is the relay’s where it is an error', async () => {
    const page = '<!doctype html><title>no such tunnel</title>'
    const headers = ['content-type', 'text/html', 'retry-after', '7', 'content-length', String(page.length)]
    for (const status of [400, 401, 404, 408, 413, 426, 429, 500, 501, 502, 503, 504, 508]) {
      gateway.relay.heard.length = 0
      const answer = await answerOf('GET', status, headers, page)
      expect([answer.status, answer.body]).toEqual([status, page])
      expect(answer.headers).toEqual(expect.arrayContaining(headers))
      expect(gateway.relay.heard).toHaveLength(1)
    }
  })

  it('has no body where there is none, whatever its length would be', async () => {
    const head = await answerOf('HEAD', 200, ['content-length', '5'])
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(head.headers).toEqual(expect.arrayContaining(['content-length', '5']))
    const unchanged = await answerOf('GET', 304, ['etag', '"a"'])
    expect(unchanged).toMatchObject({ status: 304, body: '' })
    expect(unchanged.headers).toEqual(expect.arrayContaining(['etag', '"a"']))
  })

  it('may have hundreds of headers', async () => {
    const many = Array.from({ length: 500 }, (_, n) => [`x-${n}`, '1']).flat()
    expect((await answerOf('GET', 200, many)).headers).toEqual(expect.arrayContaining(many))
  })

  it('arrives as it is written, with trailers at its end', async () => {
    const arrival = gateway.relay.arrival()
    const asked = visit(gateway.port, '/').end()
    const { response } = await arrival
    response.writeHead(200, { 'content-type': 'text/event-stream', trailer: 'x-sum' })
    response.write('data: 1\n\n')
    const answer = await answered(asked)
    expect(await next(answer)).toBe('data: 1\n\n')
    response.write('data: 2\n\n')
    expect(await next(answer)).toBe('data: 2\n\n')
    response.addTrailers({ 'x-sum': '2' })
    response.end()
    await answer.toArray()
    expect(answer.rawTrailers).toEqual(['x-sum', '2'])
  })

  it('comes after early hints', async () => {
    gateway.relay.answer = (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-early': 'yes' })
      response.end('late')
    }
    expect(await told(visit(gateway.port, '/').end())).toMatchObject({
      status: 200,
      body: 'late',
      interim: [{ status: 103, headers: ['link', '</a.css>; rel=preload', 'x-early', 'yes'] }],
    })
  })

  it('is the same over HTTP/2', async () => {
    gateway.relay.answer = (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeHead(201, ['server', 'theirs', 'set-cookie', 'a=1', 'set-cookie', 'b=2'])
      response.write('body')
      response.addTrailers({ 'x-sum': '2' })
      response.end()
    }
    const stream = visitHttp2(gateway.port, { ':path': '/a//b?c|d' })
    const [hints, head, trailers] = (['headers', 'response', 'trailers'] as const).map((event) =>
      toldHttp2(stream, event),
    )
    expect(await hints).toEqual({ ':status': 103, link: '</a.css>; rel=preload' })
    const date = expect.any(String) // there must be one (RFC 9110, section 6.6.1)
    expect(await head).toEqual({ ':status': 201, server: 'theirs', 'set-cookie': ['a=1', 'b=2'], date })
    expect(await stream.setEncoding('utf8').toArray()).toEqual(['body'])
    expect(await trailers).toEqual({ 'x-sum': '2' })
    expect(gateway.relay.heard[0]).toMatchObject({ method: 'GET', target: '/a//b?c|d' })
  })
})
