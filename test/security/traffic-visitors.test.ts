import { once } from 'node:events'
import { Agent, type ClientRequest, request } from 'node:http'
import { connect } from 'node:net'
import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { atOnce } from '@instatunnel/test/load'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { askToConnect } from '@instatunnel/test/raw-agent'
import type { Echo } from '@instatunnel/test/site-routes'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { type AskOptions, answered, told, valuesOf } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

/** What a visitor, or a site, says of itself that only the platform may say; and whose cookies are whose. */

let stack: TestStack
let accounts: Accounts
let open: OpenTunnel
beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
  open = await openTunnel(stack, accounts)
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

const heard = async (options?: AskOptions & { body?: string }): Promise<Echo> => {
  const answer = await open.visitor.get('/', options)
  expect(answer.status).toBe(200)
  return JSON.parse(answer.text)
}

describe('a visitor’s headers that only the platform may set', () => {
  const ours = () => ({
    'x-forwarded-for': ['127.0.0.1'],
    'x-forwarded-proto': ['http'],
    'x-forwarded-host': [open.visitor.host],
    'x-real-ip': ['127.0.0.1'],
    forwarded: [],
  })

  it.each<[string, Record<string, string | string[]>]>([
    [
      'X-Forwarded-*',
      { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil' },
    ],
    [
      'X-Forwarded-*, twice',
      { 'X-Forwarded-For': ['192.0.2.1', '192.0.2.2'], 'X-Forwarded-Host': ['a', 'b'] },
    ],
    ['X-Real-IP and Forwarded', { 'X-Real-IP': ['192.0.2.1', '192.0.2.2'], forwarded: 'for=192.0.2.1' }],
  ])('%s: the local server hears the truth, once', async (_, headers) => {
    const echo = await heard({ headers })
    for (const [name, values] of Object.entries(ours())) expect(valuesOf(echo.headers, name)).toEqual(values)
  })

  it('cannot be named as hop-by-hop, which would take ours away', async () => {
    for (const name of ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip', 'host']) {
      const before = open.site.requests
      const answer = await open.visitor.get('/', { headers: { connection: `close, ${name}` } })
      if (answer.status !== 200) {
        expect([answer.status, open.site.requests]).toEqual([400, before])
        continue
      }
      const { headers } = JSON.parse(answer.text)
      for (const [each, values] of Object.entries(ours())) expect(valuesOf(headers, each)).toEqual(values)
    }
  })

  it('our own names do not arrive, whatever they say', async () => {
    const headers = {
      'x-instatunnel-identity': 'forged',
      'X-InstaTunnel-Connect': 'forged',
      'x-instatunnel-health': 'forged',
      'x-instatunnel-anything': 'forged',
      'x-envoy-original-path': '/forged',
      'x-envoy-external-address': '192.0.2.1',
      'x-envoy-upstream-rq-timeout-ms': '1',
      'x-envoy-retry-on': '5xx',
    }
    const echo = await heard({ headers })
    expect(echo.target).toBe('/')
    const names = echo.headers.filter((_, at) => at % 2 === 0)
    expect(names.filter((name) => /^x-(instatunnel|envoy)-/i.test(name))).toEqual([])
    expect(echo.headers).not.toContain('forged')
  })

  it('nor do they as trailers', async () => {
    const trailers = ['x-own: 1', 'x-instatunnel-identity: forged', 'x-forwarded-for: 192.0.2.1']
    const text = await open.visitor.raw(
      [
        'POST / HTTP/1.1',
        `Host: ${open.visitor.host}`,
        'Connection: close',
        'Transfer-Encoding: chunked',
        `\r\n2\r\nhi\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`,
      ].join('\r\n'),
    )
    expect(JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1))).toMatchObject({
      body: 'hi',
      trailers: ['x-own', '1'],
    })
  })

  it('nor do a site’s in its answers', async () => {
    const arrival = open.site.arrival('/answer')
    const answer = open.visitor.get('/answer')
    ;(await arrival).response
      .writeHead(200, ['x-instatunnel-identity', 'forged', 'X-Envoy-Overloaded', 'true', 'x-own', '1'])
      .end()
    const { headers } = await answer
    expect(headers).toContain('x-own')
    expect(headers.filter((text) => /^x-(instatunnel|envoy)-|forged/i.test(text))).toEqual([])
  })
})

describe('through a site’s host', () => {
  it('nobody connects an agent, whatever they have', async () => {
    const before = open.agent.events.length
    const host = open.visitor.host
    for (const credential of [open.owner.apiKey, open.owner.token, open.token]) {
      const forged: Record<string, string> = { host, 'x-instatunnel-connect': credential }
      for (const headers of [{ host }, forged]) {
        const { answer, socket } = await askToConnect(stack, { tunnelId: open.id, credential, headers })
        socket?.destroy()
        expect(socket).toBeUndefined()
        expect(answer.status).toBe(403)
      }
    }
    // Without asking for an upgrade it is a path of the site's like any other.
    const path = `/v1/tunnels/${open.id}/connect`
    const answer = await open.visitor.get(path, { headers: { 'x-instatunnel-connect': open.owner.apiKey } })
    expect(JSON.parse(answer.text).target).toBe(path)
    expect(open.agent.events.slice(before).map(({ kind }) => kind)).not.toContain('retrying')
  })

  it('nobody reaches the API, nor asks for our health', async () => {
    for (const path of ['/healthz', '/v1/auth/whoami', '/v1/auth/login', '/v1/admin/users']) {
      const answer = await open.visitor.get(path, {
        headers: { authorization: `Bearer ${open.owner.token}` },
      })
      expect(JSON.parse(answer.text).target).toBe(path)
    }
  })
})

describe('the API’s session', () => {
  it('does not reach a site, however it is sent; a site’s own cookies do', async () => {
    const { token } = open.owner
    const names = ['instatunnel_session', '__Host-instatunnel_session', 'session', '__Host-session']
    const cookies: [string | string[], string[]][] = [
      ...names.flatMap((name): [string | string[], string[]][] => [
        [`${name}=${token}`, []],
        [`a=1; ${name}=${token}; b=2`, ['a=1; b=2']],
        [`a=1;${name}=${token};b=2`, ['a=1;b=2']],
        [`${name}="${token}"; a=1`, ['a=1']],
        [[`${name}=${token}`, 'a=1'], ['a=1']],
        [`a=1, ${name}=${token}, b=2`, ['a=1, b=2']],
        [`${name}=of-the-site; a=1`, [`${name}=of-the-site; a=1`]],
      ]),
      ['__Host-session-id=1; __Host-sessions=2; a=1', ['__Host-session-id=1; __Host-sessions=2; a=1']],
      ['my_session=1; sessions=2; xsession=3', ['my_session=1; sessions=2; xsession=3']],
    ]
    for (const [cookie, arrives] of cookies) {
      const echo = await heard({ headers: { cookie } })
      expect(valuesOf(echo.headers, 'cookie'), String(cookie)).toEqual(arrives)
      expect(JSON.stringify(echo)).not.toContain(token)
    }
  })

  it('does not over HTTP/2, nor with a WebSocket', async () => {
    const { token } = open.owner
    const session = open.visitor.http2()
    const stream = session.request({
      ':authority': open.visitor.host,
      cookie: `a=1; instatunnel_session=${token}`,
    })
    const echo = JSON.parse((await stream.setEncoding('utf8').toArray()).join(''))
    session.close()
    expect(valuesOf(echo.headers, 'cookie')).toEqual(['a=1'])

    const asked = open.site.upgrade()
    const socket = open.visitor.webSocket('/ws', [], {
      cookie: `instatunnel_session=${token}; a=1; __Host-session=theirs`,
    })
    expect((await asked).headers.cookie).toBe('a=1; __Host-session=theirs')
    await once(socket, 'open')
    socket.terminate()
  })
})

it('a site sets cookies for itself alone', async () => {
  const arrival = open.site.arrival('/cookies')
  const answer = open.visitor.get('/cookies')
  const own = [
    'a=1; Path=/',
    'b=2; HttpOnly; SameSite=Lax',
    `c=3; Domain=${open.subdomain}.localhost`,
    'd=domain=localhost',
  ]
  const wide = [
    'session=evil; Domain=localhost',
    'session=evil; domain=.localhost; Path=/',
    'session=evil;Path=/;DOMAIN=LocalHost',
    'session=evil; Domain="localhost"',
    'session=evil; Domain = localhost ; Secure',
    `session=evil; Domain=${open.subdomain}.localhost; Domain=localhost`,
    'session=evil; Domain=localhost.',
    'session=evil; Domain=%6cocalhost',
  ]
  const { response } = await arrival
  response.writeHead(200, { 'set-cookie': [...own, ...wide] }).end()
  expect(valuesOf((await answer).headers, 'set-cookie')).toEqual(own)
})

it('a site acts on no host but its own: what is about that alone passes', async () => {
  const beyond = { 'clear-site-data': '"*"', 'alt-svc': 'h3=":8443"', 'x-accel-redirect': '/internal' }
  const own = {
    'strict-transport-security': 'max-age=60; includeSubDomains',
    'service-worker-allowed': '/',
    nel: '{"report_to":"x","max_age":60,"include_subdomains":true}',
  }
  for (const status of [200, 404]) {
    const arrival = open.site.arrival(`/beyond-${status}`)
    const answer = open.visitor.get(`/beyond-${status}`)
    ;(await arrival).response.writeHead(status, { ...beyond, ...own }).end()
    const { headers } = await answer
    for (const name of Object.keys(beyond)) expect(valuesOf(headers, name), name).toEqual([])
    for (const [name, value] of Object.entries(own)) expect(valuesOf(headers, name), name).toEqual([value])
  }
})

describe('a request that two would read differently', () => {
  const host = () => `Host: ${open.visitor.host}`
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
  it.each<[string, () => string]>([
    [
      'two lengths',
      () => `POST / HTTP/1.1\r\n${host()}\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n${smuggled}`,
    ],
    [
      'a length and chunks',
      () =>
        `POST / HTTP/1.1\r\n${host()}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      'an unknown transfer encoding',
      () => `POST / HTTP/1.1\r\n${host()}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      'chunked twice',
      () =>
        `POST / HTTP/1.1\r\n${host()}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ['a length that is none', () => `POST / HTTP/1.1\r\n${host()}\r\nContent-Length: +1\r\n\r\nx${smuggled}`],
    ['a name with a space', () => `GET / HTTP/1.1\r\n${host()}\r\nContent-Length : 40\r\n\r\n${smuggled}`],
    ['a value with a NUL', () => `GET / HTTP/1.1\r\n${host()}\r\nX-A: a\0b\r\n\r\n`],
    [
      'a line that goes on',
      () => `POST / HTTP/1.1\r\n${host()}\r\nConnection: close\r\nX-A: a\r\n Content-Length: 40\r\n\r\n`,
    ],
    [
      'a chunk that is too long',
      () =>
        `POST / HTTP/1.1\r\n${host()}\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n${smuggled}`,
    ],
    ['two hosts', () => `GET / HTTP/1.1\r\n${host()}\r\nHost: other.localhost\r\n\r\n`],
    ['no host', () => 'GET / HTTP/1.1\r\n\r\n'],
  ])('is refused, or read one way by all: %s', async (_, request) => {
    const before = open.site.requests
    const text = await open.visitor.raw(request())
    expect(text).not.toContain('/smuggled')
    // One request at most came of it.
    expect(open.site.requests - before).toBeLessThanOrEqual(1)
    expect([...text.matchAll(/^HTTP\/1\.1 /gm)].length).toBeLessThanOrEqual(1)
    expect((await open.visitor.get('/hello')).text).toBe('hello')
  })
})

it('an upload that is answered before it was read costs no other visitor theirs', async () => {
  const other = await openTunnel(stack, accounts)
  for (let round = 0; round < 5; round++) {
    const uploads = atOnce(4, async () => {
      const arrival = open.site.arrival('/early')
      const asked = open.visitor.ask('/early', { method: 'POST', headers: { 'content-length': '1500000' } })
      asked.on('error', () => {})
      asked.write(Buffer.alloc(1_500_000))
      const answer = answered(asked)
      ;(await arrival).response.writeHead(413, { 'content-length': '4' }).end('much')
      expect((await answer).statusCode).toBe(413)
      return asked
    })
    const all = await uploads
    // On the connections that the gateway has to the relay now.
    const others = await atOnce(16, () => other.visitor.get('/hello'))
    for (const { text } of others) expect(text).toBe('hello')
    for (const asked of all) asked.destroy()
  }
  await other.close()
})

it('1,100 handshakes that the local server refuses cost the site nothing', { timeout: 60_000 }, async () => {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'a',
    'sec-websocket-version': '13',
  }
  const asked = async () => (await open.visitor.get('/refused', { headers })).status
  for (let batch = 0; batch < 22; batch++) expect(new Set(await atOnce(50, asked))).toEqual(new Set([426]))
  expect((await open.visitor.get('/hello')).text).toBe('hello')
  const socket = open.visitor.webSocket('/ws')
  await once(socket, 'open')
  socket.close()
})

it('one address cannot fill a tunnel: it gets a quarter, its neighbours another, and others are served', {
  timeout: 60_000,
}, async () => {
  const SHARE = 250
  const [port, host] = [stack.gateway.port, open.visitor.host]
  const get = (localAddress: string, path = '/hello') => {
    const asked = request({ host: '127.0.0.1', localAddress, port, path, headers: { host } })
    asked.end()
    return told(asked)
  }
  const hold = async (localAddress: string) => {
    const arrivals = atOnce(SHARE, () => open.site.arrival('/held'))
    const answers = atOnce(SHARE, () => get(localAddress, '/held'))
    return { responses: (await arrivals).map(({ response }) => response), answers }
  }
  const first = await hold('127.0.0.1')
  const refused = await open.visitor.get('/hello')
  expect(refused.status).toBe(503)
  expect(refused.header('retry-after')).toBe('1')
  expect(JSON.parse(refused.text)).toMatchObject({
    error: 'unavailable',
    message: 'Your address, or its network, has as many requests under way at this tunnel as one may have.',
  })
  expect((await get('127.0.0.2')).text).toBe('hello')
  const second = await hold('127.0.0.2')
  expect((await get('127.0.0.3')).status).toBe(503)
  expect((await get('127.0.1.1')).text).toBe('hello')
  for (const response of [...first.responses, ...second.responses]) response.end()
  const answers = [...(await first.answers), ...(await second.answers)]
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect((await open.visitor.get('/hello')).text).toBe('hello')
})

it('one address has 1,000 connections, which say nothing, and others are served', {
  timeout: 60_000,
}, async () => {
  const { port } = stack.gateway
  const from = (localAddress: string) => {
    const socket = connect({ host: '127.0.0.1', localAddress, port })
    socket.on('error', () => {}) // a reset is a close
    return socket.resume()
  }
  const sockets = Array.from({ length: 1100 }, () => from('127.0.2.1'))
  try {
    await vi.waitFor(() => expect(sockets.filter(({ closed }) => closed)).toHaveLength(100), 20_000)
    expect((await open.visitor.get('/hello')).text).toBe('hello')
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})

it('a visitor is served while callers hold all that the API may hold of bodies, and so are agents that connect', {
  timeout: 30_000,
}, async () => {
  const LARGE = 32
  const headers = {
    host: 'localhost',
    authorization: `Bearer ${open.owner.token}`,
    'content-type': 'application/json',
    'content-length': '200000',
  }
  const begun = (): ClientRequest => {
    const asked = request({
      host: '127.0.0.1',
      port: stack.gateway.port,
      method: 'POST',
      path: '/v1/tunnels',
      headers,
    })
    asked.on('error', () => {}) // which ends it
    asked.write('{')
    return asked
  }
  const [uploads, refused] = [[] as ClientRequest[], [] as number[]]
  for (let n = 0; n < LARGE + 20; n++) uploads.push(begun())
  for (const one of uploads) one.on('response', ({ statusCode = 0 }) => refused.push(statusCode))
  try {
    await vi.waitFor(() => expect(refused.length).toBe(20), 8000)
    expect(new Set(refused)).toEqual(new Set([503]))
    expect((await open.visitor.get('/hello')).text).toBe('hello')
    await (await open.connect()).leave()
    expect((await stack.call('GET', '/v1/auth/whoami', { token: open.owner.token })).status).toBe(200)
  } finally {
    for (const one of uploads) one.destroy()
  }
})

it('another user’s site is nobody’s business', async () => {
  const stranger = await accounts.register()
  const call = (method: string, path: string) => stack.call(method, path, { token: stranger.token })
  for (const path of ['', '/stats']) {
    expect((await call('GET', `/v1/tunnels/${open.id}${path}`)).status).toBe(404)
  }
  expect((await call('POST', `/v1/tunnels/${open.id}/regenerate-token`)).status).toBe(404)
  expect((await call('DELETE', `/v1/tunnels/${open.id}`)).status).toBe(404)
  expect(bodyOf(await call('GET', '/v1/tunnels')).tunnels).toEqual([])
  expect((await open.visitor.get('/hello')).text).toBe('hello')
})

describe('a site’s answer that is no HTTP', () => {
  const answerWith = async (path: string, text: string) => {
    const { response } = await open.site.arrival(path)
    response.socket?.end(text, 'latin1')
  }

  it.each([
    ['200 O\x01K', 'content-length: 2\r\n\r\nok'],
    ['200 \x1b[31mOK\x1b[0m', '\r\n'],
    ['204 No\x7fContent', '\r\n'],
  ])('by its reason (%j) is 502 at once', async (status, rest) => {
    const [, answer] = await Promise.all([
      answerWith('/spoilt', `HTTP/1.1 ${status}\r\n${rest}`),
      open.visitor.get('/spoilt'),
    ])
    expect([answer.status, JSON.parse(answer.text).error]).toEqual([502, 'tunnel_offline'])
    expect((await open.visitor.get('/hello')).text).toBe('hello')
  })

  it('to a handshake is, too', async () => {
    const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'k' }
    const asked = once(open.visitor.ask('/no-socket', { headers }).end(), 'response')
    const { socket } = await open.site.upgrade()
    socket.end('HTTP/1.1 404 N\x01\r\ncontent-length: 0\r\n\r\n', 'latin1')
    const [answer] = await asked
    expect(answer.statusCode).toBe(502)
    answer.destroy()
  })
})

describe('a flood of made-up names from a hundred addresses', () => {
  const statusOf = (subdomain: string, agent?: Agent) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: `${subdomain}.localhost` }
      request({ host: '127.0.0.1', port: stack.gateway.port, headers, agent: agent ?? false }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode))
      })
        .on('error', reject)
        .end()
    })

  it('is answered 404, and keeps nobody from hearing that a tunnel is offline', async () => {
    const { subdomain } = await accounts.tunnel((await accounts.register()).token)
    const heard = new Map<number | undefined, number>()
    const count = (status: number | undefined) => heard.set(status, (heard.get(status) ?? 0) + 1)
    const flood = atOnce(400, async (nth) => {
      const localAddress = `127.0.2.${(nth % 100) + 1}`
      const agent = new Agent({ keepAlive: true, maxSockets: 1, localAddress })
      for (let i = 0; i < 10; i++) count(await statusOf(`made-up-${nth}-${i}`, agent))
      agent.destroy()
    })
    const offline: (number | undefined)[] = []
    for (let i = 0; i < 10; i++) {
      offline.push(await statusOf(subdomain), await statusOf(`nobody-has-${i}`))
    }
    await flood
    expect(heard).toEqual(new Map([[404, 4000]]))
    expect(offline).toEqual(Array.from({ length: 10 }, () => [502, 404]).flat())
  })
})
