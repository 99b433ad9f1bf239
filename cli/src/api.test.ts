import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Api, createApi } from './api.ts'
import { ApiError, NotReachable } from './exit.ts'
import { fields, text } from './shape.ts'

const credential = 'it_1234567890abcdef'
let server: Server
let url: string
let api: Api
let answer: RequestListener

beforeEach(async () => {
  server = createServer((incoming, outgoing) => answer(incoming, outgoing))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  api = createApi({ url, credential })
})
afterEach(async () => {
  api.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const answering =
  (status: number, body: string, headers = {}): RequestListener =>
  (_, outgoing) =>
    outgoing.writeHead(status, headers).end(body)

describe('a call', () => {
  it('sends the credential, the query and the body, and returns the JSON', async () => {
    const received: { incoming: IncomingMessage; body: string }[] = []
    answer = async (incoming, outgoing) => {
      received.push({ incoming, body: await textOf(incoming) })
      outgoing.end('{"success":true}')
    }
    const query = { page_size: 200, page_token: undefined, reason: 'lost & found' }
    expect(await api.call('POST', '/v1/things', { query, body: { name: 'Grüße' } })).toEqual({
      success: true,
    })
    const [{ incoming, body } = expect.fail('nothing was received')] = received
    expect(incoming.method).toBe('POST')
    expect(incoming.url).toBe('/v1/things?page_size=200&reason=lost+%26+found')
    expect(incoming.headers).toMatchObject({
      authorization: `Bearer ${credential}`,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': expect.stringMatching(/^instatunnel\/\d/),
    })
    expect(JSON.parse(body)).toEqual({ name: 'Grüße' })
  })

  it('sends no credential where there is none', async () => {
    let headers: IncomingMessage['headers'] = {}
    answer = (incoming, outgoing) => {
      headers = incoming.headers
      outgoing.end('{}')
    }
    await createApi({ url }).call('GET', '/v1/things')
    expect(headers).not.toHaveProperty('authorization')
    expect(headers).not.toHaveProperty('content-type')
  })

  it('keeps its connection for the next', async () => {
    const ports = new Set<number | undefined>()
    answer = (incoming, outgoing) => {
      ports.add(incoming.socket.remotePort)
      outgoing.end('{}')
    }
    for (let i = 0; i < 3; i++) await api.call('GET', '/v1/things')
    expect(ports.size).toBe(1)
  })
})

describe('a refusal', () => {
  it('is thrown as it was answered', async () => {
    const body = {
      error: 'forbidden',
      message: 'Insufficient permissions for this operation',
      code: 4003,
      required_scope: 'tunnels:write',
    }
    answer = answering(403, JSON.stringify(body))
    await expect(api.call('GET', '/v1/things')).rejects.toEqual(new ApiError(403, body))
  })

  it('is not followed elsewhere: what redirects is not the API', async () => {
    answer = answering(307, '', { location: 'http://localhost:1/v1/things' })
    await expect(api.call('GET', '/v1/things')).rejects.toEqual(
      new NotReachable(`${url} answers with status 307, but not as InstaTunnel's API does`),
    )
  })
})

describe('no answer', () => {
  it.each([
    [200, '<html>It works!</html>'],
    [200, '"text"'],
    [404, '<html>Not Found</html>'],
    [502, '{"message":"bad gateway"}'],
  ])('is what something else answers in its place (%i %s)', async (status, body) => {
    answer = answering(status, body)
    await expect(api.call('GET', '/v1/things')).rejects.toEqual(
      new NotReachable(`${url} answers with status ${status}, but not as InstaTunnel's API does`),
    )
  })

  it('is told with its cause, and without the credential', async () => {
    answer = (incoming) => incoming.socket.destroy()
    await expect(api.call('GET', '/v1/things')).rejects.toEqual(
      new NotReachable(`${url} does not answer: ECONNRESET`),
    )
    const nobody = createApi({ url: 'http://localhost:1', credential })
    await expect(nobody.call('GET', '/v1/things')).rejects.toEqual(
      new NotReachable('http://localhost:1 does not answer: ECONNREFUSED'),
    )
  })

  it('is told also where the answer breaks off', async () => {
    answer = (_, outgoing) => {
      outgoing.writeHead(200, { 'content-length': 100 })
      outgoing.write('{"half":', () => outgoing.destroy())
    }
    await expect(api.call('GET', '/v1/things')).rejects.toBeInstanceOf(NotReachable)
  })

  it('is what has more than 16 MiB, or no end', async () => {
    answer = (_, outgoing) => {
      const piece = Buffer.alloc(1024 * 1024, ' ')
      const more = () => {
        while (!outgoing.destroyed && outgoing.write(piece));
      }
      outgoing.on('drain', more)
      more()
    }
    await expect(api.call('GET', '/v1/things')).rejects.toEqual(
      new NotReachable(`${url} answers with more than 16 MiB`),
    )
  })

  it('is what has another shape, whose field is named', async () => {
    answer = answering(200, '{"thing":{"id":1}}')
    const shape = fields({ thing: fields({ id: text }) })
    await expect(api.call('GET', '/v1/things', { shape })).rejects.toEqual(
      new NotReachable(`${url} does not answer as InstaTunnel's API does: thing.id`),
    )
  })

  it.each([
    '{"error":"x","message":{"toString":1},"code":1}',
    '{"error":"x","message":"y","code":1,"retry_after":{"toString":1}}',
    '{"error":"x","message":"y","code":1,"required_scope":["z"]}',
  ])('is a refusal of another shape: %s', async (body) => {
    answer = answering(403, body)
    await expect(api.call('GET', '/v1/things')).rejects.toEqual(
      new NotReachable(`${url} answers with status 403, but not as InstaTunnel's API does`),
    )
  })

  it('is not waited for once the caller has given up', async () => {
    const giveUp = new AbortController()
    answer = () => giveUp.abort()
    await expect(api.call('GET', '/v1/things', { signal: giveUp.signal })).rejects.toHaveProperty(
      'name',
      'AbortError',
    )
  })
})
