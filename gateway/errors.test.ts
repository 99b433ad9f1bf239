import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { status as grpc } from '@grpc/grpc-js'
import { type ErrorName, errors } from '@instatunnel/kit/errors'
import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { descriptorsFile } from '@instatunnel/kit/rules'
import { Status } from '@instatunnel/proto/google/rpc/status'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { failure } from './test/backend.ts'
import { answers, errorBody, expectAnswer, fieldBody } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  for (const backend of [gateway.keys, gateway.tunnels]) {
    backend.heard.length = 0
    backend.reply = () => ({})
  }
})

describe('the rows', () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')
  const names = Object.keys(errors) as ErrorName[]
  const inTable = (error: ErrorName) => ({ error, http: errors[error].http, code: errors[error].code })

  it('that Envoy answers with are those of the services, and there is no other', () => {
    // The list as it is indented in the file: what comes after it stands further left.
    const [list = ''] =
      read('http.yaml')
        .split('        mappers:\n')[1]
        ?.split(/^ {0,8}\S/m) ?? []
    const anchors = Object.fromEntries(
      [...list.matchAll(/body: &(\w+)\s+inline_string: '(.+)'/g)].map(([, name, text]) => [name, text]),
    )
    const found = list
      .split(/^ {10}- filter:/m)
      .slice(1)
      .map((mapper) => {
        const [, inline, anchor] = /body:.*?(?:inline_string: '([^\n]+)'|\*(\w+))/s.exec(mapper) ?? []
        const body = inline ?? anchors[anchor ?? '']
        if (body === undefined) return 'as it is'
        const on = Number(/default_value: (\d+)/.exec(mapper)?.[1])
        const http = Number(/^ +status_code: (\d+)/m.exec(mapper)?.[1] ?? on)
        const { error, code } = JSON.parse(body)
        return { on, http, error, code }
      })
    const row = (on: number, error: ErrorName) => ({ on, ...inTable(error) })
    expect(found).toEqual([
      row(Number.NaN, 'headers_too_large'), // by what Envoy says of it, not by a status
      row(Number.NaN, 'internal'), // auth decided about another rpc
      'as it is', // auth's refusals,
      'as it is', // those of the routes and of request.lua,
      'as it is', // the page for invitations,
      'as it is', // and the transcoder's, which errors.lua reads
      { on: 200, http: 200 },
      row(400, 'validation_error'),
      row(426, 'validation_error'),
      row(403, 'forbidden'),
      row(404, 'not_found'),
      ...[413, 413, 413, 413, 413].map((on) => row(on, 'payload_too_large')), // by the route
      row(415, 'unsupported_media_type'),
      row(431, 'headers_too_large'),
      row(501, 'unimplemented'),
      row(503, 'unavailable'), // no place for a sign-in,
      row(503, 'unavailable'), // nor for a call,
      row(503, 'unavailable'), // and all else
      row(502, 'unavailable'),
      row(504, 'timeout'),
      row(408, 'request_timeout'), // of a small body,
      row(408, 'request_timeout'), // and by the route
      row(408, 'timeout'),
      row(0, 'internal'), // whatever else
    ])
  })

  it('of rows.lua are those of the services', () => {
    const [table = ''] = read('rows.lua').split('local rows = {\n')[1]?.split('\n}') ?? []
    const found = table.split('\n').map((line) => {
      const [, error, http, code] =
        /^ {2}(\w+) = \{ http = (\d+), code = (\d+), message = '.+' \},$/.exec(line) ?? []
      return { error, http: Number(http), code: Number(code) }
    })
    expect(found).toEqual(names.filter((name) => found.some(({ error }) => error === name)).map(inTable))
    expect(found.length).toBeGreaterThan(0)
  })

  it('of the routes are those of the services', () => {
    const routes = read('place/routes.yaml')
    const answered = [...routes.matchAll(/status: (\d+)\s+body:\s+inline_string: '(.+)'/g)]
    expect(answered).toHaveLength(routes.split('inline_string').length - 1)
    for (const [, http, body = ''] of answered) {
      const { error, code } = JSON.parse(body)
      expect({ error, http: Number(http), code }).toEqual(inTable(error))
    }
  })
})

describe('a failed call', () => {
  const call = () => gateway.call('GET', '/v1/tunnels/tun_1')

  it('answers what the service has finished, and keeps its headers', async () => {
    const body = errorBody('rate_limited', 4029, '\\u2028 "quoted" \\ % , ; = \\u0000')
    const headers = { 'retry-after': '7', 'www-authenticate': 'Bearer', 'set-cookie': 'session=; Max-Age=0' }
    gateway.tunnels.reply = () => failure({ code: grpc.RESOURCE_EXHAUSTED, http: 429, body, headers })
    const answer = await call()
    expectAnswer(answer, [429, body])
    expect(answer.headers).toMatchObject(headers)
  })

  it('answers each status of the table', async () => {
    for (const [error, { http, code }] of Object.entries(errors)) {
      const body = errorBody(error, code, error)
      gateway.tunnels.reply = () => failure({ code: grpc.UNKNOWN, http, body })
      expectAnswer(await call(), [http, body])
    }
  })

  it('answers a long body whole', async () => {
    const body = errorBody('validation_error', 4000, 'x'.repeat(30_000))
    gateway.tunnels.reply = () => failure({ code: grpc.INVALID_ARGUMENT, http: 400, body })
    expectAnswer(await call(), [400, body])
  })

  it('answers its row, and not a word of the service’s, where nothing is finished', async () => {
    const rows: Record<string, [http: number, error: string, code: number, message: string]> = {
      CANCELLED: [500, 'internal', 5000, 'Something went wrong on our side.'],
      UNKNOWN: [500, 'internal', 5000, 'Something went wrong on our side.'],
      INVALID_ARGUMENT: [400, 'validation_error', 4000, 'The request is not valid.'],
      DEADLINE_EXCEEDED: [504, 'timeout', 5004, 'The service did not answer in time; try again.'],
      NOT_FOUND: [404, 'not_found', 4004, 'There is no such thing.'],
      ALREADY_EXISTS: [409, 'conflict', 4010, 'This is in conflict with what is there.'],
      PERMISSION_DENIED: [403, 'forbidden', 4003, 'This is not allowed.'],
      RESOURCE_EXHAUSTED: [429, 'rate_limited', 4029, 'Too many requests; try again later.'],
      FAILED_PRECONDITION: [403, 'plan_limit', 4013, 'The plan does not allow this.'],
      ABORTED: [409, 'conflict', 4010, 'This is in conflict with what is there.'],
      OUT_OF_RANGE: [400, 'validation_error', 4000, 'The request is not valid.'],
      UNIMPLEMENTED: [501, 'unimplemented', 5001, 'This does not exist yet.'],
      INTERNAL: [500, 'internal', 5000, 'Something went wrong on our side.'],
      UNAVAILABLE: [503, 'unavailable', 5003, 'The service is not available right now; try again shortly.'],
      DATA_LOSS: [500, 'internal', 5000, 'Something went wrong on our side.'],
      UNAUTHENTICATED: [401, 'unauthorized', 4001, 'Invalid or missing API key'],
    }
    for (const [name, [http, error, code, message]] of Object.entries(rows)) {
      gateway.tunnels.reply = () =>
        failure({ code: grpc[name as keyof typeof grpc], details: 'select secret from /srv\n"\u2028' })
      const answer = await call()
      expectAnswer(answer, [http, errorBody(error, code, message)])
      expect(answer.headers['www-authenticate']).toBe(http === 401 ? 'Bearer realm="instatunnel"' : undefined)
    }
  })

  it('does not depend on details that the transcoder does not know', async () => {
    const value = {
      code: grpc.NOT_FOUND,
      message: '',
      details: [{ typeUrl: 'x/y.Z', value: Buffer.from('z') }],
    }
    const statusDetails = Buffer.from(Status.encode(value).finish())
    gateway.tunnels.reply = () => failure({ code: grpc.NOT_FOUND, statusDetails })
    expectAnswer(await call(), [404, errorBody('not_found', 4004, 'There is no such thing.')])
    const body = errorBody('not_found', 4004, 'Tunnel not found')
    gateway.tunnels.reply = () => failure({ code: grpc.NOT_FOUND, http: 404, body, statusDetails })
    expectAnswer(await call(), [404, body])
  })

  for (const [http, body] of [
    [200, '{}'],
    [600, '{}'],
    ['4e2', '{}'],
    [404, 'not JSON'],
    [404, ''],
  ] as const) {
    it(`answers its row where what is finished makes no sense: ${http} ${body}`, async () => {
      gateway.tunnels.reply = () => failure({ code: grpc.NOT_FOUND, http: http as number, body })
      expectAnswer(await call(), [404, errorBody('not_found', 4004, 'There is no such thing.')])
    })
  }

  it('answers 500 where the answer is larger than 8 MiB', async () => {
    const page = (length: number) => () => ({ tunnels: [], nextPageToken: 'a'.repeat(length) })
    gateway.tunnels.reply = page(8_000_000)
    expect((await gateway.call('GET', '/v1/tunnels')).body).toHaveLength(8_000_035)
    gateway.tunnels.reply = page(9_000_000)
    expectAnswer(await gateway.call('GET', '/v1/tunnels'), answers.internal)
  })
})

describe('a body', () => {
  const notJson = (byte: number) => fieldBody('body', `is not valid JSON at byte ${byte}`)
  const int32 = 'must be a whole number between -2147483648 and 2147483647'
  const names = (count: number) => Array.from({ length: count }, (_, n) => `"a${n}":1`).join()
  const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

  const refused: [body: string | Buffer, answer: string][] = [
    // Not JSON (RFC 8259).
    ['{', notJson(2)],
    ['{"name"', notJson(8)],
    ['{"name":"a"', notJson(12)],
    ['{"name":"a",}', notJson(13)],
    ['{"name":"a"}}', notJson(13)],
    ['{"name":"a"} {}', notJson(14)],
    ['{"name":"a" "b":1}', notJson(13)],
    ["{'name':'a'}", notJson(2)],
    ['{name:"a"}', notJson(2)],
    ['{"name":a}', notJson(9)],
    ['{"name":tru}', notJson(9)],
    ['{"name":truex}', notJson(13)],
    ['{"a":[1,]}', notJson(9)],
    ['{"a":[}', notJson(7)],
    ['{"a":[1}', notJson(8)],
    ['{"a":[1 2]}', notJson(9)],
    ['{"a":01}', notJson(6)],
    ['{"a":+1}', notJson(6)],
    ['{"a":-}', notJson(6)],
    ['{"a":.5}', notJson(6)],
    ['{"a":1.}', notJson(6)],
    ['{"a":1e}', notJson(6)],
    ['{"a":0x1}', notJson(7)],
    ['{"a":NaN}', notJson(6)],
    ['{"a":Infinity}', notJson(6)],
    ['{"a":"\n"}', notJson(7)],
    ['{"a":"\0"}', notJson(7)],
    ['{"a":"\\x"}', notJson(7)],
    ['{"a":"\\u12g4"}', notJson(7)],
    ['{"a":1}\0', notJson(8)],
    ['{"a":1} // x', notJson(9)],
    ['{"name":"\\ud800"}', fieldBody('body', 'is not valid JSON')],
    [Buffer.from('{"name":"\xff"}', 'latin1'), fieldBody('body', 'is not valid UTF-8')],
    [Buffer.from('{"name":"\xc0\x80"}', 'latin1'), fieldBody('body', 'is not valid UTF-8')],
    // JSON, but not an object.
    ...['[]', 'null', '1', '"x"', ' ', '[{"name":"a"}]', '\ufeff{}', '/**/{}'].map(
      (body): [string, string] => [body, fieldBody('body', 'must be a JSON object')],
    ),
    // Too much of it.
    [`{"metadata":${deep(32)}}`, fieldBody('metadata', 'is nested too deeply')],
    [
      `{"unknown":{"a":${'['.repeat(9999)}${']'.repeat(9999)}}}`,
      fieldBody('unknown', 'is nested too deeply'),
    ],
    [`{"metadata":{"a":{${names(1001)}}}}`, fieldBody('metadata', 'holds more than 1000 names')],
    [`{${names(1001)}}`, fieldBody('body', 'holds more than 1000 names')],
    [`{"metadata":{"a":[${'1,'.repeat(1000)}1]}}`, fieldBody('metadata', 'holds more than 1000 items')],
    [`{"permissions":[${'"a",'.repeat(1000)}"a"]}`, fieldBody('permissions', 'holds more than 1000 items')],
    [`{"metadata":{"a":"${'a'.repeat(16_384)}"}}`, fieldBody('metadata', 'must be at most 16384 bytes')],
    [
      `{"metadata":{"a":[${Array(20).fill(`[${'{},'.repeat(300)}{}]`)}]}}`,
      fieldBody('metadata', 'must be at most 16384 bytes'),
    ],
    // What the transcoder would drop, or take the last of.
    ['{"permissions":["a",null]}', fieldBody('permissions', 'must hold no lists and no null')],
    ['{"permissions":null}', fieldBody('permissions', 'must be a list')],
    ['{"allowed_ips":null}', fieldBody('allowed_ips', 'must be a list')],
    ['{"permissions":[[]]}', fieldBody('permissions', 'must hold no lists and no null')],
    ['{"name":"a","prefix":"b","name":"a"}', fieldBody('name', 'is given twice')],
    ['{"expires_in":1,"expiresIn":2}', fieldBody('expiresIn', 'is given twice')],
    ['{"name":"a","n\\u0061me":"b"}', fieldBody('n\\u0061me', 'is given twice')],
    ['{"expires_in":1e400}', fieldBody('body', 'holds a number that is too large')],
    // Of the wrong type.
    ['{"expires_in":"x"}', fieldBody('expires_in', int32)],
    ['{"expires_in":""}', fieldBody('expires_in', int32)],
    ['{"expires_in":1.5}', fieldBody('expires_in', int32)],
    ['{"expires_in":2147483648}', fieldBody('expires_in', int32)],
    ['{"expiresIn":true}', fieldBody('expires_in', int32)],
    ['{"expires_in":{}}', fieldBody('expires_in', 'must not be an object')],
    ['{"expires_in":[]}', fieldBody('expires_in', 'must not be a list')],
    ['{"name":1}', fieldBody('name', 'must be a string')],
    ['{"name":false}', fieldBody('name', 'must be a string')],
    ['{"name":{"a":1}}', fieldBody('name', 'must not be an object')],
    ['{"name":["a"]}', fieldBody('name', 'must not be a list')],
    ['{"permissions":[1]}', fieldBody('permissions[0]', 'must be a string')],
    ['{"permissions":{}}', fieldBody('permissions', 'must not be an object')],
    ['{"permissions":[{}]}', fieldBody('permissions', 'must not be an object')],
    ['{"permissions":["a"],"name":[]}', fieldBody('name', 'must not be a list')],
    ['{"expires_at":"tomorrow"}', fieldBody('expires_at', 'must be a time as in RFC 3339')],
    [
      `{"expires_at":"2099-01-01T00:00:00.${'0'.repeat(50)}Z"}`,
      fieldBody('expires_at', 'must be a time as in RFC 3339'),
    ],
    ['{"expires_at":{"seconds":1}}', fieldBody('expires_at', 'must not be an object')],
    ['{"metadata":"x"}', fieldBody('metadata', 'must be an object')],
    ['{"metadata":[]}', fieldBody('metadata', 'must not be a list')],
    ['{"metadata":{"a":1,"a":2}}', fieldBody('metadata', 'holds a name twice')],
    ['{"":1}', fieldBody('body', 'holds a field without a name')],
    // Envoy's process ends where it prints one of these in an answer.
    ['{"name":"a","metadata":{"":1}}', fieldBody('metadata', 'holds a field without a name')],
    ['{"name":"a","metadata":{"x":[{"" :{}}]}}', fieldBody('metadata', 'holds a field without a name')],
    // Values that look like the transcoder's own words.
    ['{"name":1,"prefix":": invalid value 1 for type TYPE_BOOL"}', fieldBody('name', 'must be a string')],
    ['{"expires_in":"x: invalid value \\"y\\" for type TYPE_BOOL"}', fieldBody('expires_in', int32)],
    ['{"expires_in":"\\u0001\\u2028\\"\\\\"}', fieldBody('expires_in', int32)],
  ]
  for (const [body, answer] of refused) {
    it(`is refused: ${JSON.stringify(String(body).slice(0, 50))}`, async () => {
      const headers = { authorization: 'Bearer it_0123456789abcdef' }
      expectAnswer(await gateway.call('POST', '/v1/auth/keys', { headers, body }), [400, answer])
      expect(gateway.keys.heard).toEqual([])
    })
  }

  describe('with a field that the call does not have', () => {
    const near = (field: string) => `is not a field of this call; did you mean ${field}?`
    const misspelt: [field: string, meant: string][] = [
      ['allowed_ip', 'allowed_ips'],
      ['allowedIp', 'allowed_ips'],
      ['permission', 'permissions'],
      ['premissions', 'permissions'],
      ['expires', 'expires_in'],
      ['expire_at', 'expires_at'],
      ['Name', 'name'],
      ['allowed_Ips', 'allowed_ips'],
      ['subdomains', 'allowed_subdomains'],
      ['meta', 'metadata'],
    ]
    for (const [field, meant] of misspelt) {
      it(`is refused, and ${field} is told to be ${meant}`, async () => {
        const answer = await gateway.call('POST', '/v1/auth/keys', { body: `{"name":"a","${field}":1}` })
        expectAnswer(answer, [400, fieldBody(field, near(meant))])
        expect(gateway.keys.heard).toEqual([])
      })
    }

    it('is refused with the fields that there are, where none is near', async () => {
      const refused = async (method: string, path: string, body: string) =>
        JSON.parse((await gateway.call(method, path, { body })).body).message
      expect(await refused('POST', '/v1/auth/keys', '{"name":"ci","scopes":["tunnels:read"]}')).toBe(
        'scopes: is not a field of this call, which has name, permissions, expires_in, prefix, metadata, user_id, ' +
          'remaining, refill_amount, refill_interval, rate_limit_enabled, rate_limit_time_window, rate_limit_max, ' +
          'allowed_ips, allowed_subdomains, expires_at, no_permissions',
      )
      // What stands in the path is none to give.
      expect(await refused('POST', '/v1/auth/keys/key_1/rotate', '{"ttl":1}')).toBe(
        'ttl: is not a field of this call, which has grace_period',
      )
      expect(await refused('POST', '/v1/auth/logout', '{"everywhere":true}')).toBe(
        'everywhere: is not a field of this call, which has none',
      )
      expect(await refused('POST', '/v1/auth/keys', `{"${'name'.repeat(1000)}":1}`)).toMatch(
        /^(name){50}: is not a field of this call, which has name, /,
      )
      expect(gateway.keys.heard).toEqual([])
    })

    it('is refused in every call of the contract', async () => {
      for (const { method, template } of readRestBindings(descriptorsFile())) {
        const path = template.replace('{id}', 'key_1')
        for (const field of ['zzz', '__proto__', 'constructor', 'na\\u006de\\u0000', 'name.x', 'NAME']) {
          const answer = await gateway.call(method, path, { body: `{"${field}":{"a":[[]]}}` })
          expect([answer.status, JSON.parse(answer.body).fields[0].field]).toEqual([400, field])
        }
      }
      for (const { heard } of [gateway.auth, gateway.keys, gateway.tunnels]) expect(heard).toEqual([])
    })

    it('is refused for what is no JSON first', async () => {
      const body = '{"scopes":["a"],"name":}'
      expectAnswer(await gateway.call('POST', '/v1/auth/keys', { body }), [400, notJson(24)])
    })
  })

  describe('with a mask', () => {
    const names = 'must be field names with commas between them'
    const refused: [mask: string, message: string][] = [
      ['a(a(a', names],
      ['name(x', names],
      ['name)', names],
      ['name\\u0028', names],
      ['na\\u006de', names],
      ['name,user name', names],
      ['näme', names],
      ['"', names],
      ['a,'.repeat(513), 'must be at most 1024 bytes'],
    ]
    for (const [mask, message] of refused) {
      it(`is refused: ${mask.slice(0, 20)}`, async () => {
        const written = mask === '"' ? '\\"' : mask
        for (const field of ['update_mask', 'updateMask', 'update\\u005fmask', '\\u0075pdateMask']) {
          const body = `{"name":"a","${field}":"${written}"}`
          for (const path of [
            '/v1/auth/user',
            '/v1/auth/keys/key_1',
            '/v1/tunnels/tun_1',
            '/v1/admin/users/user_1',
          ])
            expectAnswer(await gateway.call('PATCH', path, { body: body.replace('"name":"a",', '') }), [
              400,
              fieldBody(field, message),
            ])
        }
      })
    }

    it('is refused where it is no string', async () => {
      for (const [mask, message] of [
        ['{"paths":["a(b"]}', 'must not be an object'],
        ['["name"]', 'must not be a list'],
      ] as const) {
        const answer = await gateway.call('PATCH', '/v1/auth/user', { body: `{"update_mask":${mask}}` })
        expectAnswer(answer, [400, fieldBody('update_mask', message)])
      }
    })

    it('in the query is held to the same', async () => {
      for (const name of [
        'update_mask',
        'updateMask',
        'update%5fmask',
        '%75pdate_mask',
        'update_mask.paths',
        'updateMask%2epaths',
      ])
        for (const mask of ['a(a(a', 'a%28a%28', 'name%2Cx%20y', 'name+username', '%', '%00'])
          for (const body of [undefined, '{"name":"a"}']) {
            const answer = await gateway.call('PATCH', `/v1/auth/user?${name}=${mask}`, body ? { body } : {})
            expectAnswer(answer, [400, fieldBody('update_mask', names)])
          }
      const long = async (query: string) => {
        const answer = await gateway.call('PATCH', `/v1/auth/user?${query}`)
        expectAnswer(answer, [400, fieldBody('update_mask', 'must be at most 1024 bytes')])
      }
      await long(`update_mask=${'a,'.repeat(513)}`)
      await long('update_mask.paths=a&'.repeat(90).replaceAll('=a', `=${'a'.repeat(20)}`))
    })

    it('of 1 KiB is taken', async () => {
      const mask = 'name,'.repeat(205).slice(0, 1024)
      const calls = [
        await gateway.call('PATCH', '/v1/auth/user', { body: `{"update_mask":"${mask}"}` }),
        await gateway.call('PATCH', `/v1/auth/user?update_mask=${mask}`),
      ]
      expect(calls.map(({ status }) => status)).toEqual([200, 200])
    })
  })

  it('whose id is not the path’s is refused', async () => {
    const patch = (body: string) => gateway.call('PATCH', '/v1/auth/keys/key_1', { body })
    const differs = 'differs between the body and the path or query'
    expectAnswer(await patch('{"id":"key_2"}'), [400, fieldBody('id', differs)])
    expectAnswer(await patch('{"id":"\\"} of the field name is conflicting with the value"}'), [
      400,
      fieldBody('id', differs),
    ])
    expect(gateway.keys.heard).toEqual([])
  })
})

describe('a query', () => {
  const none = 'is not a parameter of this call, which has page_size, page_token'
  const refused: [query: string, field: string, message: string][] = [
    ['foo=1', 'foo', none],
    ['page_size=1&foo=', 'foo', none],
    ['page_sise=1', 'page_sise', 'is not a parameter of this call; did you mean page_size?'],
    ['page_size=1&foo', 'foo', 'must have a value'],
    ['page_size', 'page_size', 'must have a value'],
    ['=1', 'query', 'holds a value without a name'],
    ['f%22o%0a=1', 'f%22o%0a', none],
    ['"><script>=1', '"><script>', none],
    ['\\u0041"\\=1', '\\u0041"\\', none],
    ['page_size=x', 'page_size', 'must be a whole number between -2147483648 and 2147483647'],
    ['page_size=', 'page_size', 'must be a whole number between -2147483648 and 2147483647'],
    ['pageSize=1.5', 'page_size', 'must be a whole number between -2147483648 and 2147483647'],
    ['page_size.x=1', 'page_size', 'has no fields of its own'],
    ['page_size=1&pageSize=1', 'page_size', 'is given twice'],
    [`${'x'.repeat(300)}=1`, 'x'.repeat(200), none],
  ]
  for (const [query, field, message] of refused) {
    it(`is refused: ${query.slice(0, 30)}`, async () => {
      const answer = await gateway.call('GET', `/v1/tunnels?${query}`)
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body).fields).toEqual([{ field, message }])
      if (query.length < 200) expectAnswer(answer, [400, fieldBody(field, message)])
      expect(gateway.tunnels.heard).toEqual([])
    })
  }

  it('holds no more than 100 parameters, and of what belongs in a body a mask only', async () => {
    const refused = async (query: string, field: string, message: string, method = 'PATCH') =>
      expectAnswer(await gateway.call(method, `/v1/auth/keys/key_1?${query}`, { body: '{}' }), [
        400,
        fieldBody(field, message),
      ])
    await refused('update_mask.paths=name&'.repeat(101), 'query', 'holds more than 100 parameters')
    for (const query of [
      'metadata=1',
      'metadata.fields.a=1',
      'name=a',
      'permissions=a',
      'expires_at.seconds=1',
    ])
      await refused(query, query.split(/[.=]/)[0] ?? '', 'belongs in the body')
    await refused('update_mask.x=name', 'update_mask', 'has no fields of its own')
    expect(gateway.keys.heard).toEqual([])
    const mask = 'update_mask.paths=name&'.repeat(100)
    expect((await gateway.call('PATCH', `/v1/auth/keys/key_1?${mask}`, { body: '{}' })).status).toBe(200)
  })

  it('holds no password and no key, whatever else is sent, as a form of another site would', async () => {
    const before = gateway.auth.heard.length
    const form = {
      ...{ origin: 'http://evil.test', 'sec-fetch-site': 'cross-site', 'content-length': '0' },
      'content-type': 'application/x-www-form-urlencoded',
    }
    for (const [path, field] of [
      ['/v1/auth/login?email=a@b.c&password=p', 'email'],
      ['/v1/auth/register?password=p', 'password'],
      ['/v1/auth/register?invitation=iti_', 'invitation'],
      ['/v1/auth/password?current_password=p', 'current_password'],
      ['/v1/auth/keys/verify?key=it_', 'key'],
    ] as const)
      expectAnswer(await gateway.call('POST', path, { headers: form }), [
        400,
        fieldBody(field, 'belongs in the body'),
      ])
    expect(gateway.keys.heard).toEqual([])
    expect(gateway.auth.heard).toHaveLength(before)
  })
})
