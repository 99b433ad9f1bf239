import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { expectNothingOfTheInside } from '@instatunnel/test/errors'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RawAnswer, sendRaw } from '../../gateway/test/raw-http.ts'

/** Ways to write a path, a method, a host or a length so that somebody reads it otherwise than somebody else. */

let stack: TestStack
let accounts: Accounts
let ada: Account
let mine: string
let theirs: string

beforeAll(async () => {
  stack = await startTestStack()
  accounts = accountsOf(stack.call)
  ada = await accounts.register()
  const eve = await accounts.register()
  mine = (await accounts.tunnel(ada.apiKey)).id
  theirs = (await accounts.tunnel(eve.apiKey)).id
})
afterAll(() => stack.stop())

/** Sends a request byte for byte, with Ada's key. */
function send(
  method: string,
  target: string,
  { headers = [] as string[], host = `localhost:${stack.gateway.port}`, body = '' } = {},
) {
  const length =
    body === '' ? [] : ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]
  const head = [
    `${method} ${target} HTTP/1.1`,
    `host: ${host}`,
    `authorization: Bearer ${ada.apiKey}`,
    ...length,
    ...headers,
  ]
  return sendRaw(stack.gateway.port, `${head.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`)
}

const odd = 'must not hold empty or dot segments, backslashes or encoded separators'
const refusals = {
  'odd path': {
    error: 'validation_error',
    message: `path: ${odd}`,
    code: 4000,
    fields: [{ field: 'path', message: odd }],
  },
  'bad HTTP': { error: 'validation_error', message: 'The request is not valid HTTP.', code: 4000 },
  nothing: { error: 'not_found', message: 'There is nothing at this path.', code: 4004 },
  'no tunnel': { error: 'not_found', message: 'Tunnel not found', code: 4004 },
  'too large': {
    error: 'headers_too_large',
    message: 'The headers are larger than 32 KiB or more than 100.',
    code: 4031,
  },
  forbidden: { error: 'forbidden', message: 'This is not allowed.', code: 4003 },
}

const statuses: Record<number, number> = { 4000: 400, 4003: 403, 4004: 404, 4031: 431 }

/** The one error shape, byte for byte this refusal. */
function expectRefusal(answer: RawAnswer, refusal: keyof typeof refusals, what: string) {
  const body = refusals[refusal]
  expect(JSON.parse(answer.body), what).toEqual(body)
  expect(answer.status, what).toBe(statuses[body.code])
  expect(answer.headers['content-type'], what).toBe('application/json')
  expectNothingOfTheInside({ ...answer, text: answer.body })
}

describe('a path', () => {
  const table = (): [keyof typeof refusals, string[]][] => [
    [
      'odd path',
      [
        ...['//v1/tunnels', '/v1//tunnels', '/v1/tunnels//', '///', '//localhost/v1/tunnels'],
        ...[
          '/v1/./tunnels',
          '/v1/tunnels/.',
          '/v1/tunnels/..',
          '/v1/tunnels/../',
          '/v1/tunnels/../auth/user',
        ],
        ...[
          '/../v1/tunnels',
          `/v1/tunnels/${mine}/../${theirs}`,
          '/v1/tunnels/../../instatunnel.auth.v1.AuthService/WhoAmI',
        ],
        ...[
          '/v1/tunnels/%2e%2e/auth/user',
          '/v1/tunnels/.%2e/auth/user',
          '/v1/tunnels/%2E./auth/user',
          '/v1/%2e/tunnels',
        ],
        ...[
          '/v1/tunnels/..%2fauth/user',
          '/v1/tunnels/%2E%2E%2Fauth%2Fuser',
          `/v1/tunnels%2f${mine}`,
          `/v1%2Ftunnels/${mine}`,
        ],
        ...[
          '/v1/tunnels/..%5cauth%5cuser',
          '/v1/tunnels%5C..',
          '/v1/tunnels\\..\\auth\\user',
          '/v1\\tunnels',
          `/v1/tunnels/${mine}\\`,
        ],
      ],
    ],
    [
      'bad HTTP',
      [
        ...['\\v1\\tunnels', 'v1/tunnels', '', '?', '*', `localhost:${stack.gateway.port}/v1/tunnels`],
        ...[
          '/v1/tunnels#fragment',
          '/v1/tunnels?page_size=1#fragment',
          '/v1/tun nels',
          '/v1/tunnels page',
          '/v1/t\u00fcnnels',
        ],
        ...['/v1/tunnels/\u0000', '/v1/tunnels\u0001', `/v1/tunnels/${mine}%0d%0ax-instatunnel-identity: x`],
      ],
    ],
    [
      'nothing',
      [
        ...[
          '/',
          '/v1',
          '/v1/',
          '/v2/tunnels',
          '/v1/*',
          '/v1/**',
          '/V1/TUNNELS',
          '/v1/Tunnels',
          '/V1/tunnels',
          '/HEALTHZ',
          '/healthz/',
        ],
        ...[
          '/v1/tunnels;',
          '/v1/tunnels;a=b',
          '/v1;a=b/tunnels',
          '/v1/tunnels/..;/auth/user',
          '/v1/tunnels.json',
          '/v1/tunnels%00',
          '/v1/tunnels%20',
        ],
        ...[
          '/v1/tunnels%23x',
          '/v1/tunnels%3fpage_size=1',
          '/v1/tunnels%3Fid=1',
          '/v1/tunnels/%c0%ae%c0%ae/auth/user',
        ],
        ...[
          `/v1/tunnels/${mine}/regenerate-token`,
          `/v1/tunnels/${mine}/token`,
          `/v1/tunnels/${mine}/${theirs}`,
          '/v1/admin',
        ],
        ...[
          '/.env',
          '/.git/config',
          '/admin',
          '/metrics',
          '/stats',
          '/config_dump',
          '/server_info',
          '/debug/pprof',
          '/v1/auth/internal',
        ],
        ...[
          '/instatunnel.tunnels.v1.TunnelService/ListTunnels',
          '/instatunnel.auth.v1.AdminService/ListUsers',
        ],
      ],
    ],
    [
      'no tunnel',
      [
        ...[
          `${mine};a=b`,
          `${mine}%00`,
          `${mine}%20`,
          `${mine}%0a`,
          `${mine}%2525`,
          `${mine}.json`,
          `${mine}:delete`,
          mine.toUpperCase(),
        ],
        ...[
          '%00',
          '%',
          '%zz',
          '%ff',
          '%u002e%u002e',
          '%252e%252e%252fauth',
          '{id}',
          '*',
          '**',
          '.json',
          '%E2%80%AE',
          '-',
          '0',
          'null',
          'undefined',
        ],
        ...[
          `${mine},${theirs}`,
          `${theirs}`,
          `${theirs}/`,
          `${theirs.replace('_', '%5F')}`,
          "'%20or%201=1--",
          'a'.repeat(9000),
        ],
      ].map((id) => `/v1/tunnels/${id}`),
    ],
    ['too large', [`/${'a'.repeat(40_000)}`, `/v1/tunnels?page_token=${'a'.repeat(40_000)}`]],
  ]

  it('reaches what it says and nothing else, whatever the method', async () => {
    for (const [refusal, targets] of table()) {
      for (const target of targets)
        expectRefusal(await send('GET', target), refusal, `GET ${target.slice(0, 99)}`)
    }
    for (const [refusal, targets] of table().slice(0, 2)) {
      for (const target of targets) {
        expectRefusal(await send('DELETE', target), refusal, `DELETE ${target}`)
        expectRefusal(await send('POST', target, { body: '{}' }), refusal, `POST ${target}`)
      }
    }
    const kept = bodyOf(await stack.call('GET', `/v1/tunnels/${mine}`, { token: ada.token }))
    expect(kept.id).toBe(mine)
  })

  it('may end in a slash, and spell its id in escapes', async () => {
    for (const target of [
      '/v1/tunnels/',
      `/v1/tunnels/${mine}/`,
      `/v1/tunnels/${mine.replace('_', '%5f')}`,
    ]) {
      const answer = await send('GET', target)
      expect(answer.status, target).toBe(200)
      expect(answer.body).toContain(mine)
    }
  })

  it('in absolute form counts as a path on that host', async () => {
    const { port } = stack.gateway
    expect((await send('GET', `http://localhost:${port}/v1/tunnels`, { host: 'evil.example' })).status).toBe(
      200,
    )
    expectRefusal(await send('GET', 'http://evil.example/v1/tunnels'), 'nothing', 'another host')
    expectRefusal(await send('GET', `http://localhost:${port}//v1/tunnels`), 'odd path', 'an odd path')
    expectRefusal(await send('GET', 'https://localhost/v1/tunnels'), 'forbidden', 'another scheme')
  })
})

describe('a query', () => {
  const refused = async (query: string, field: string, message: string) => {
    const answer = await send('GET', `/v1/tunnels${query}`)
    const body = {
      error: 'validation_error',
      message: `${field}: ${message}`,
      code: 4000,
      fields: [{ field, message }],
    }
    expect({ query, status: answer.status, body: JSON.parse(answer.body) }).toEqual({
      query,
      status: 400,
      body,
    })
  }

  it('holds the call’s parameters only, each of its type', async () => {
    const number = 'must be a whole number between -2147483648 and 2147483647'
    const token = 'must be the next_page_token of the page before'
    const none = 'is not a parameter of this call, which has page_size, page_token'
    await refused('?page_size=abc', 'page_size', number)
    await refused('?page_size=1e1', 'page_size', number)
    await refused('?page_size=99999999999', 'page_size', number)
    await refused('?page_size=-1', 'page_size', 'must not be negative')
    await refused('?page_size.x=1', 'page_size', 'has no fields of its own')
    await refused('?page_size[]=1', 'page_size[]', 'is not a parameter of this call; did you mean page_size?')
    for (const odd of [
      '%00',
      '%ff',
      'a//b',
      '..%2f',
      '%2e%2e',
      `${Buffer.from(theirs).toString('base64url')}AAAA`,
    ]) {
      await refused(`?page_token=${odd}`, 'page_token', token)
    }
    for (const unknown of ['user_id', '_method', 'x', 'name', 'tunnels', '__proto__', 'filter']) {
      await refused(`?${unknown}=/../1`, unknown, none)
    }
    await refused('?=1', 'query', 'holds a value without a name')
    await refused('?page_token', 'page_token', 'must have a value')
    await refused(`?id=${theirs}`, 'id', none)
    await refused(`/${mine}?id=${theirs}`, 'id', 'belongs in the path')
    await refused(`/${mine}?i%64=${theirs}`, 'id', 'belongs in the path')
  })
})

describe('a method', () => {
  it('is the one of the request line, whatever a header or the query says', async () => {
    for (const name of [
      'x-http-method-override',
      'x-http-method',
      'x-method-override',
      'x-envoy-original-method',
    ]) {
      const answer = await send('GET', `/v1/tunnels/${mine}`, { headers: [`${name}: DELETE`] })
      expect({ name, status: answer.status, id: JSON.parse(answer.body).id }).toEqual({
        name,
        status: 200,
        id: mine,
      })
      expectRefusal(
        await send('POST', `/v1/tunnels/${mine}`, { headers: [`${name}: DELETE`], body: '{}' }),
        'nothing',
        name,
      )
    }
    expectRefusal(
      await send('POST', `/v1/tunnels/${mine}?_method=DELETE`, { body: '{}' }),
      'nothing',
      '_method',
    )
    bodyOf(await stack.call('GET', `/v1/tunnels/${mine}`, { token: ada.token }))
  })

  it('that a path does not have finds nothing there', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      expectRefusal(await send(method, '/v1/tunnels'), 'nothing', method)
    }
    for (const method of ['get', 'Get', 'CONNECT', 'DEBUG', 'X'.repeat(300)]) {
      expectRefusal(await send(method, '/v1/tunnels'), 'bad HTTP', method)
    }
  })
})

describe('a host', () => {
  it('is ours, once, or there is nothing', async () => {
    const { port } = stack.gateway
    for (const host of [
      'localhost',
      'LOCALHOST',
      `LocalHost:${port}`,
      '127.0.0.1',
      'api.localhost',
      '[::1]',
    ]) {
      expect((await send('GET', '/v1/tunnels', { host })).status, host).toBe(200)
    }
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      'localhost@evil.example',
      'auth',
      '',
      '127.0.0.1.nip.io',
    ]) {
      expectRefusal(await send('GET', '/v1/tunnels', { host }), 'nothing', host)
    }
    const site = await send('GET', '/v1/tunnels', { host: 'x.localhost' })
    expect(site.status).toBe(404)
    expect(site.body).toContain('There is no tunnel with this name.')
    for (const host of [
      `localhost:${port}.evil.example`,
      `localhost:${port},evil.example`,
      'localhost:@evil.example',
    ]) {
      expectRefusal(await send('GET', '/v1/tunnels', { host }), 'bad HTTP', host)
    }
    const two = await send('GET', '/v1/tunnels', { headers: ['host: evil.example'] })
    expectRefusal(two, 'bad HTTP', 'two hosts')
  })

  it('is not what a header beside it says', async () => {
    for (const header of [
      'x-forwarded-host: evil.example',
      'forwarded: host=evil.example',
      'x-host: evil.example',
    ]) {
      const answer = await send('GET', '/v1/tunnels', { headers: [header] })
      expect(answer.status).toBe(200)
      expect(answer.body).not.toContain('evil.example')
    }
  })
})

describe('a length', () => {
  const raw = (headers: string[], body: string) =>
    sendRaw(
      stack.gateway.port,
      [
        'POST /v1/tunnels HTTP/1.1',
        `host: localhost:${stack.gateway.port}`,
        `authorization: Bearer ${ada.apiKey}`,
        'content-type: application/json',
        ...headers,
        '',
        body,
      ].join('\r\n'),
      { all: true },
    )

  const smuggled = '0\r\n\r\nGET /v1/admin/users HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'
  const answersIn = ({ text }: RawAnswer) => text.match(/HTTP\/1\.1 \d+/g)

  it.concurrent.each([
    [['content-length: 6', 'transfer-encoding: chunked']],
    [['transfer-encoding: chunked', 'content-length: 6']],
    [['content-length: 2', 'content-length: 6']],
    [['content-length: 2, 6']],
    [['content-length: +2']],
    [['content-length: -2']],
    [['content-length: 0x2']],
    [['transfer-encoding: chunked, identity']],
    [['transfer-encoding: identity, chunked']],
    [['transfer-encoding : chunked']],
  ])('that can be read in two ways is refused, and nothing after it is read: %j', async (headers) => {
    const answer = await raw(headers, smuggled)
    // 501 where a coding is named that nobody knows.
    expect([400, 501]).toContain(answer.status)
    expect(JSON.parse(answer.body)).toMatchObject({
      error: expect.any(String),
      code: answer.status === 400 ? 4000 : 5001,
    })
    expectNothingOfTheInside({ ...answer, text: answer.body })
    // One answer: what was smuggled was not taken for a request.
    expect(answersIn(answer)).toHaveLength(1)
  })

  // RFC 9112 §5.2: whoever does not refuse a folded line reads it as one. What goes on from there is not folded.
  it('that is folded is read as one line, and what follows it as a request without a credential', async () => {
    const answer = await raw(['transfer-encoding:\r\n chunked'], smuggled)
    expect(answersIn(answer)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 401'])
    expect(answer.text).toContain('name: must be 1 to 100 characters')
  })
})
