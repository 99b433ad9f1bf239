import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { expectNothingOfTheInside } from '@instatunnel/test/errors'
import type { Answer } from '@instatunnel/test/rest-client'
import { expectJsonHeaders } from '@instatunnel/test/shapes'
import { administrate } from '@instatunnel/test/sql'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import type { Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/**
 * Every call with a body, given everything that is wrong: it is refused in the one error shape by the name of the field,
 * nothing is written, and no answer and no line of any log tells a secret or what the inside looks like.
 */

let stack: TestStack
let accounts: Accounts
let sql: Sql
let root: Account
const logs: string[] = []
const calls: Call[] = []

beforeAll(async () => {
  const admin = { email: 'root@example.com', password: 'a long admin password' }
  stack = await startTestStack({
    settings: {
      INSTATUNNEL_ADMIN_EMAIL: admin.email,
      INSTATUNNEL_ADMIN_PASSWORD: admin.password,
      LOG_LEVEL: 'trace',
    },
  })
  for (const process of stack.processes()) {
    logs.push(...process.lines())
    process.onLine((line) => logs.push(line))
  }
  accounts = accountsOf(stack.call)
  sql = administrate(stack)
  root = await accounts.login(admin)
  const key = await accounts.key(root.token)
  const tunnel = await accounts.tunnel(root.token)
  calls.push(...callsOn({ key: key.id, tunnel: tunnel.id, user: root.id }))
})
afterAll(async () => {
  await sql.end()
  await stack.stop()
})

type Kind = 'text' | 'short text' | 'secret' | 'number' | 'yes or no' | 'list' | 'object' | 'mask' | 'time'

/** A call with a body: what makes it good, and of what kind each field is. */
interface Call {
  name: string
  method: string
  path: string
  good: Record<string, unknown>
  fields: Record<string, Kind>
  isPublic?: boolean
}

function callsOn(of: { key: string; tunnel: string; user: string }): Call[] {
  const call = (
    method: string,
    path: string,
    good: Call['good'],
    fields: Call['fields'],
    isPublic = false,
  ): Call => ({
    ...{
      name: `${method} ${path.replace(/\w+_[0-9a-z]{26}/, '{id}')}`,
      method,
      path,
      good,
      fields,
      isPublic,
    },
  })
  const [email, password] = ['new@example.com', 'a password that is secret']
  const chosen: Call['fields'] = {
    name: 'text',
    permissions: 'list',
    expires_in: 'number',
    expires_at: 'time',
    metadata: 'object',
  }
  const tunnel: Call['fields'] = { name: 'text', subdomain: 'short text', local_port: 'number' }
  return [
    call(
      'POST',
      '/v1/auth/register',
      { email, password },
      { email: 'text', password: 'text', name: 'text' },
      true,
    ),
    call('POST', '/v1/auth/login', { email, password }, { email: 'text', password: 'secret' }, true),
    call('POST', '/v1/auth/logout', {}, {}),
    call(
      'PATCH',
      '/v1/auth/user',
      { name: 'A' },
      { name: 'text', username: 'short text', update_mask: 'mask' },
    ),
    call(
      ...(['POST', '/v1/auth/password', { current_password: password, new_password: password }] as const),
      { current_password: 'secret', new_password: 'secret' },
    ),
    call('POST', '/v1/auth/keys', { name: 'A' }, { ...chosen, prefix: 'short text' }),
    call('POST', '/v1/api-keys', { name: 'A' }, { ...chosen, prefix: 'short text' }),
    call(
      'PATCH',
      `/v1/auth/keys/${of.key}`,
      { name: 'A' },
      { ...chosen, enabled: 'yes or no', update_mask: 'mask' },
    ),
    call(
      'POST',
      '/v1/auth/keys/verify',
      { key: 'it_0000000000000000' },
      { key: 'secret', permissions: 'list' },
    ),
    call('POST', '/v1/tunnels', { name: 'A', local_port: 1 }, tunnel),
    call('PATCH', `/v1/tunnels/${of.tunnel}`, { name: 'A' }, { ...tunnel, update_mask: 'mask' }),
    call('POST', `/v1/tunnels/${of.tunnel}/regenerate-token`, {}, {}),
    call(...(['PATCH', `/v1/admin/users/${of.user}`, { plan: 'pro' }] as const), {
      plan: 'short text',
      role: 'short text',
      update_mask: 'mask',
    }),
  ]
}

/** Values, as JSON, that no field of the kind takes. */
const wrong: Record<Kind, string[]> = {
  text: ['true', '{}', '[]', '["a"]', '{"a":1}', JSON.stringify('a'.repeat(2000)), '"a\\u0000b"'],
  'short text': [
    'true',
    '{}',
    '[]',
    '"a b"',
    JSON.stringify('a'.repeat(64)),
    '"a\\u0000b"',
    '"a\\u0007b"',
    '"\\u0430bcd"',
    '"../x"',
  ],
  secret: ['true', '{}', '[]', '["a"]', '{"a":1}', JSON.stringify('a'.repeat(2000))],
  number: [
    ...[
      '"abc"',
      '""',
      'true',
      '{}',
      '[1]',
      '1.5',
      '99999999999',
      '-99999999999',
      '-1',
      '0',
      '"0x10"',
      '"NaN"',
    ],
    '123456789012345678901234567890',
  ],
  'yes or no': ['"maybe"', '"true "', '2', '{}', '[]', '[true]', '""'],
  list: [
    ...[
      '"a"',
      '{}',
      '5',
      'true',
      '[5]',
      '[true]',
      '[[]]',
      '[{}]',
      '[null]',
      '[["tunnels:read"]]',
      '["a\\u0000"]',
    ],
    ...['["tunnels:read",""]', '["tunnels:read",null]', JSON.stringify(Array(40).fill('tunnels:read'))],
  ],
  object: [
    ...['"a"', '[]', '5', 'true', '{"a":"\\u0000"}', '{"a":123456789012345678901}', '{"a":1,"a":2}'],
    ...[JSON.stringify({ a: 'a'.repeat(5000) }), `{"a":${'['.repeat(20)}${']'.repeat(20)}}`],
  ],
  time: [
    ...[
      '"tomorrow"',
      '""',
      '5',
      'true',
      '{}',
      '[]',
      '"2099-01-01"',
      '"2099-01-01T00:00:00"',
      '"2099-13-01T00:00:00Z"',
    ],
    ...[
      '"2020-01-01T00:00:00Z"',
      '"9999-01-01T00:00:00Z"',
      '{"seconds":4070908800}',
      `"${'2'.repeat(5000)}"`,
    ],
  ],
  mask: [
    '5',
    'true',
    '[]',
    '["name"]',
    '"nope"',
    '"name,nope"',
    '"id"',
    '"user_id"',
    '"name.first"',
    '"*,name"',
  ],
}

/** The call's good body with one field more, or otherwise, as it stands. */
const withField = (call: Call, field: string, value: string) => {
  const rest = Object.entries(call.good).filter(([name]) => name !== field)
  return `{${[...rest.map(([name, good]) => `"${name}":${JSON.stringify(good)}`), `"${field}":${value}`]}}`
}

const send = (call: Call, body: string | Buffer, { query = '', headers = {} } = {}) =>
  stack.call(call.method, `${call.path}${query}`, {
    body,
    headers,
    ...(call.isPublic ? {} : { token: root.token }),
  })

/** What of an answer is not as it must be; undefined where all is well. */
function faultOf(
  answer: Answer,
  expected: { status: number; code: number; field?: string | undefined },
): string | undefined {
  const told = `${answer.status} ${answer.text}`
  try {
    expectNothingOfTheInside(answer)
    expectJsonHeaders(answer)
  } catch (error) {
    return `${told}: ${error}`
  }
  const { error, message, code, fields, ...rest } = answer.body ?? {}
  if (answer.status !== expected.status || code !== expected.code) return told
  if (typeof error !== 'string' || typeof message !== 'string' || Object.keys(rest).length > 0) return told
  if (expected.field === undefined) return undefined
  const names: string[] = (fields ?? []).map(({ field }: { field: string }) => field)
  const isNamed = names.some(
    (name) =>
      name === expected.field ||
      name.startsWith(`${expected.field}[`) ||
      name.startsWith(`${expected.field}.`),
  )
  return isNamed ? undefined : told
}

/** Everything that is kept, counted: users, keys, tunnels, what is told of them. */
async function written() {
  await expect
    .poll(
      async () =>
        (
          await sql`select id from auth.outbox union all select id from keys.outbox union all select id from tunnels.outbox`
        ).length,
      { timeout: 5000 },
    )
    .toBe(0)
  const [rows] = await sql`
    select (select count(*) from auth.users) as users, (select max(updated_at) from auth.users) as users_updated,
      (select count(*) from auth.sessions) as sessions, (select count(ended_at) from auth.sessions) as ended,
      (select count(*) from keys.api_keys) as keys, (select max(updated_at) from keys.api_keys) as keys_updated,
      (select count(revoked_at) from keys.api_keys) as revoked,
      (select count(*) from tunnels.tunnels) as tunnels, (select max(updated_at) from tunnels.tunnels) as tunnels_updated,
      (select sum(tunnels_created) from tunnels.usage) as made`
  return rows
}

/** Tries them all and tells what was not refused as it must be; nothing may have been written meanwhile. */
async function expectAllRefused(attempts: { what: string; attempt: () => Promise<string | undefined> }[]) {
  const before = await written()
  const faults: string[] = []
  const waiting = attempts.values()
  const work = async () => {
    for (const { what, attempt } of waiting) {
      const fault = await attempt()
      if (fault !== undefined) faults.push(`${what} → ${fault}`.slice(0, 500))
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  expect(faults).toEqual([])
  expect(await written()).toEqual(before)
}

describe('a body', () => {
  const invalid = { status: 400, code: 4000 }

  it('must be JSON to the letter, and an object', async () => {
    const bodies = [
      ...[
        '{',
        '}',
        '{"',
        '{"name"',
        '{"name":',
        '{"name":"A"',
        '{"name":"A",}',
        '{,}',
        '{"name":"A"}}',
        '{} {}',
        '{}x',
        'x',
      ],
      ...[
        "{'name':'A'}",
        '{name:"A"}',
        '{"name":A}',
        '{"name":"A" "b":1}',
        '{"name":undefined}',
        '{"name":NaN}',
        '{"name":01}',
      ],
      ...[
        '{"name":+1}',
        '{"name":.5}',
        '{"name":1.}',
        '{"name":0x10}',
        '{"name":"\u0007"}',
        '{"name":"\\x41"}',
        '{"name":"\\u12"}',
      ],
      ...[
        '// comment\n{}',
        '/* */{}',
        '{}/* */',
        '\ufeff{}',
        '<a/>',
        'a=b&c=d',
        'null',
        'true',
        '5',
        '"A"',
        '[]',
        '[{}]',
        '[{"name":"A"}]',
      ],
      '['.repeat(8_000),
    ]
    await expectAllRefused(
      calls.flatMap((call) =>
        bodies.map((body) => ({
          what: `${call.name} ${body.slice(0, 60)}`,
          attempt: async () => faultOf(await send(call, body), { ...invalid, field: 'body' }),
        })),
      ),
    )
  })

  it('must be UTF-8', async () => {
    const bodies = ['ff', 'c0af', 'eda080', 'f4908080', 'c3'].map((hex) =>
      Buffer.concat([Buffer.from('{"name":"'), Buffer.from(hex, 'hex'), Buffer.from('"}')]),
    )
    await expectAllRefused(
      calls.flatMap((call) =>
        bodies.map((body) => ({
          what: `${call.name} ${body.toString('hex')}`,
          attempt: async () => faultOf(await send(call, body), invalid),
        })),
      ),
    )
  })

  it('must be application/json', async () => {
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b',
      'application/xml',
      'text/json',
    ]
    const expected = { status: 415, code: 4015 }
    await expectAllRefused(
      calls.flatMap((call) =>
        [...types, 'application/jsonp', 'application/json, text/plain', ''].map((type) => ({
          what: `${call.name} ${type}`,
          attempt: async () =>
            faultOf(
              await send(call, JSON.stringify(call.good), { headers: { 'content-type': type } }),
              expected,
            ),
        })),
      ),
    )
  })

  it('may have a mebibyte, 8 KiB to register and to log in, and not one byte more', async () => {
    const mostBytes = ({ name }: Call) => (/login|register/.test(name) ? 8 : 1024) * 1024
    const padded = (call: Call, bytes: number) => {
      const bad = { local_port: 0, name: 'a\u0000', password: 'short', key: '' }
      const fields = Object.entries({ ...call.good, ...bad }).filter(([field]) => field in call.fields)
      const text = JSON.stringify(Object.fromEntries(fields))
      return text + ' '.repeat(bytes - Buffer.byteLength(text))
    }
    await expectAllRefused(
      calls.map((call) => ({
        what: call.name,
        attempt: async () =>
          faultOf(await send(call, padded(call, mostBytes(call) + 1)), { status: 413, code: 4014 }),
      })),
    )
    // One byte less gets as far as any: what is wrong with it is told by field.
    const [register, makeKey] = ['POST /v1/auth/register', 'POST /v1/auth/keys'].map(
      (name) => calls.find((call) => call.name === name) as Call,
    )
    for (const [call, bytes, field] of [
      [register, 8 * 1024, 'password'],
      [makeKey, 1024 * 1024, 'name'],
    ] as const)
      expect(faultOf(await send(call as Call, padded(call as Call, bytes)), { ...invalid, field })).toBe(
        undefined,
      )
  })

  it('holds of each field what it may: no other type, nothing too long, too large or unprintable', async () => {
    await expectAllRefused(
      calls.flatMap((call) =>
        Object.entries(call.fields).flatMap(([field, kind]) =>
          wrong[kind].map((value) => {
            const body = withField(call, field, value)
            return {
              what: `${call.name} ${field} ${value.slice(0, 60)}`,
              attempt: async () => faultOf(await send(call, body), { ...invalid, field }),
            }
          }),
        ),
      ),
    )
  })

  it('is not deeper than anything takes, and holds no half of a character and no number past all bounds', async () => {
    const deep = `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`
    await expectAllRefused(
      calls.flatMap((call) =>
        [
          { body: deep, field: 'a' },
          {
            body: withField(call, 'metadata', `{"a":${'['.repeat(2000)}${']'.repeat(2000)}}`),
            field: 'metadata',
          },
          ...Object.entries({
            ...{ name: '"a\\ud800b"', password: '"\\udc00"', local_port: '1e400', expires_in: '-1e400' },
          })
            .filter(([field]) => field in call.fields)
            .map(([field, value]) => ({ body: withField(call, field, value), field: 'body' })),
        ].map(({ body, field }) => ({
          what: `${call.name} ${body.slice(0, 99)}`,
          attempt: async () => faultOf(await send(call, body), { ...invalid, field }),
        })),
      ),
    )
  })

  it('holds no field that the call does not have, and is told the nearest', async () => {
    const misspelt = (name: string) => [`${name}s`, name.slice(0, -1), name.toUpperCase()]
    await expectAllRefused(
      calls.flatMap((call) => {
        const near = Object.keys(call.fields).flatMap((name) =>
          misspelt(name)
            .filter((field) => !(field in call.fields))
            .map((field) => ({ field, told: `did you mean ${name}?` })),
        )
        const none = ['scopes', 'user', '__proto__', 'x'.repeat(5000)].map((field) => ({
          field,
          told: 'is not a field of this call',
        }))
        return [...near, ...none].map(({ field, told }) => ({
          what: `${call.name} ${field}`,
          attempt: async () => {
            const answer = await send(call, withField(call, field, '["tunnels:read"]'))
            const fault = faultOf(answer, { ...invalid, field: field.slice(0, 200) })
            return fault ?? (answer.text.includes(told) ? undefined : answer.text)
          },
        }))
      }),
    )
  })

  it('holds masks that are names of fields and short, in whatever spelling, whoever sends them', async () => {
    const masks = ['a(a(a', 'name(x)', 'a('.repeat(8192), 'a,'.repeat(600), 'na me', 'näme']
    const held = calls.filter((call) => call.fields.update_mask)
    await expectAllRefused(
      held.flatMap((call) =>
        masks.flatMap((mask) => {
          const written = JSON.stringify(mask)
          const bodies = ['update_mask', 'updateMask', 'update\\u005fmask'].map((field) => ({
            field,
            body: withField(call, field, written),
            query: '',
          }))
          const queries = ['update_mask', 'updateMask', 'upd%61te_mask', 'update_mask.paths'].map((name) => ({
            field: 'update_mask',
            body: JSON.stringify(call.good),
            query: `?${name}=${encodeURIComponent(mask)}`,
          }))
          return [...bodies, ...queries].map(({ field, body, query }) => ({
            what: `${call.name}${query.slice(0, 40)} ${body.slice(0, 60)}`,
            attempt: async () => {
              const nobody = await stack.call(call.method, `${call.path}${query}`, { body })
              if (![400, 401, 413].includes(nobody.status)) return `without a credential: ${nobody.status}`
              return faultOf(await send(call, body, { query }), { ...invalid, field })
            },
          }))
        }),
      ),
    )
    expect((await stack.call('GET', '/healthz')).status).toBe(200)
  })

  it('gives each field once, however it is spelled', async () => {
    const camel = (name: string) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
    await expectAllRefused(
      calls.flatMap((call) =>
        Object.keys(call.fields).flatMap((field) => {
          const value = JSON.stringify(call.good[field] ?? (call.fields[field] === 'list' ? [] : null))
          const escaped = `\\u00${field.charCodeAt(0).toString(16)}${field.slice(1)}`
          return [field, camel(field), escaped].map((again) => ({
            what: `${call.name} ${field} and ${again}`,
            attempt: async () =>
              faultOf(await send(call, `{"${field}":${value},"${again}":${value}}`), {
                ...invalid,
                field: again,
              }),
          }))
        }),
      ),
    )
  })

  it('holds no more values than a service reads at once', async () => {
    const field = 'metadata'
    await expectAllRefused(
      calls
        .filter(({ fields }) => fields.metadata)
        .flatMap((call) =>
          [
            // Each is below 1 MiB, and would keep keys busy for a second, or be too large for it as protobuf.
            { of: `[${'{},'.repeat(300_000)}{}]`, message: 'holds more than 1000 items' },
            { of: `[${'{"a":1,"b":2},'.repeat(70_000)}{}]`, message: 'holds more than 1000 items' },
            { of: Array(99).fill(`[${'{},'.repeat(999)}{}]`), message: 'must be at most 16384 bytes' },
          ].map(({ of, message }) => ({
            what: `${call.name} ${message}`,
            attempt: async () =>
              faultOf(await send(call, withField(call, field, `{"a":[${of}]}`)), { ...invalid, field }),
          })),
        ),
    )
  })

  it('names nothing like what JavaScript has of its own', async () => {
    await expectAllRefused(
      calls
        .filter(({ fields }) => fields.metadata)
        .flatMap((call) =>
          ['{"__proto__":{"admin":true}}', '{"a":{"b":[{"__proto__":1}]}}', '{"__pro\\u0074o__":1}'].map(
            (metadata) => ({
              what: `${call.name} ${metadata}`,
              attempt: async () => faultOf(await send(call, withField(call, 'metadata', metadata)), invalid),
            }),
          ),
        ),
    )
  })

  it('has each required field, and not null for it', async () => {
    const required = calls.filter(({ method }) => method === 'POST')
    await expectAllRefused(
      required.flatMap((call) =>
        Object.keys(call.good).flatMap((field) =>
          [undefined, null, ''].map((value) => ({
            what: `${call.name} without ${field} (${JSON.stringify(value)})`,
            attempt: async () =>
              faultOf(await send(call, JSON.stringify({ ...call.good, [field]: value })), {
                ...invalid,
                field,
              }),
          })),
        ),
      ),
    )
  })

  it('has its fields to itself: none comes in the query', async () => {
    await expectAllRefused(
      calls.flatMap((call) =>
        Object.entries(call.good).map(([field, value]) => ({
          what: `${call.name} ${field}`,
          attempt: async () => {
            const query = `?${field}=${encodeURIComponent(String(value))}`
            return faultOf(await send(call, '', { query }), { ...invalid, field })
          },
        })),
      ),
    )
  })

  it('comes with no parameter of another call in the query', async () => {
    await expectAllRefused(
      calls.flatMap((call) =>
        ['unknown=1', 'page_size=1', '__proto__=1'].map((query) => ({
          what: `${call.name} ${query}`,
          attempt: async () =>
            faultOf(await send(call, JSON.stringify(call.good), { query: `?${query}` }), {
              ...invalid,
              field: query.split('=')[0],
            }),
        })),
      ),
    )
  })
})

describe('an error of ours', () => {
  it('is 500, the same for all, and leaves nothing half done', async () => {
    const ours = { error: 'internal', message: 'Something went wrong on our side.', code: 5000 }
    const user = await accounts.register()
    const before = await written()
    const broken = async (table: string, attempts: () => Promise<Answer>[]) => {
      const [schema, name] = table.split('.') as [string, string]
      await sql`alter table ${sql(table)} rename to gone`
      const answers = await Promise.all(attempts()).finally(
        () => sql`alter table ${sql(`${schema}.gone`)} rename to ${sql(name)}`,
      )
      for (const answer of answers) {
        expect({ status: answer.status, body: answer.body }).toEqual({ status: 500, body: ours })
        expectJsonHeaders(answer)
      }
    }
    const { token, email, password } = user
    await broken('auth.outbox', () => [
      stack.call('POST', '/v1/auth/login', { body: { email, password } }),
      stack.call('POST', '/v1/auth/register', { body: { email: 'half@example.com', password } }),
      stack.call('PATCH', '/v1/auth/user', { token, body: { name: 'Half' } }),
      stack.call('POST', '/v1/auth/password', {
        token,
        body: { current_password: password, new_password: `new ${password}` },
      }),
      stack.call('POST', '/v1/auth/logout', { token, body: {} }),
    ])
    await broken('keys.outbox', () => [
      stack.call('POST', '/v1/auth/keys', { token, body: { name: 'Half' } }),
    ])
    await broken('tunnels.outbox', () => [
      stack.call('POST', '/v1/tunnels', { token, body: { name: 'Half', local_port: 1 } }),
    ])
    expect(await written()).toEqual(before)
    bodyOf(await stack.call('GET', '/v1/auth/user', { token }))
    expect(logs.filter((line) => line.includes('"msg":"failed"')).length).toBeGreaterThanOrEqual(7)
  })
})

describe('the logs', () => {
  it('of the services, of Envoy and of the servers tell no secret', async () => {
    const { apiKey, token, email, password } = await accounts.register()
    const tunnel = await accounts.tunnel(apiKey)
    // Secrets where they belong, where they do not, and amid what cannot be read.
    const wrongPassword = `${password} or so`
    await stack.call('POST', '/v1/auth/login', { body: { email, password: wrongPassword } })
    await stack.call('POST', '/v1/auth/login', { body: `{"email":"${email}","password":"${password}"` })
    await stack.call('POST', '/v1/auth/login', { body: { email, password: { text: password } } })
    await stack.call('POST', '/v1/auth/login', {
      body: `password=${password}`,
      headers: { 'content-type': 'text/plain' },
    })
    await stack.call('POST', '/v1/auth/password', {
      token,
      body: { current_password: wrongPassword, new_password: password },
    })
    await stack.call('POST', '/v1/auth/keys/verify', { token, body: { key: apiKey } })
    await stack.call('POST', '/v1/auth/keys/verify', { token, body: { key: `${apiKey}0` } })
    for (const secret of [apiKey, token, tunnel.token]) {
      await stack.call('GET', `/v1/tunnels?key=${secret}&page_token=${secret}`, { token: secret })
      await stack.call('GET', '/v1/tunnels', {
        headers: { authorization: `Token ${secret}`, 'x-api-key': secret },
      })
      await stack.call('GET', '/v1/tunnels', {
        cookie: `instatunnel_session=${secret}`,
        headers: { origin: secret, referer: `http://x/?${secret}` },
      })
      await stack.call('GET', '/v1/tunnels', { token: `${secret}0` })
    }
    await stack.call('GET', '/v1/the-last-of-all')
    await expect
      .poll(() => logs.some((line) => line.includes('/v1/the-last-of-all')), { timeout: 5000 })
      .toBe(true)
    await expect
      .poll(() => logs.some((line) => line.includes('"service":"auth"')), { timeout: 5000 })
      .toBe(true)

    const platform = [
      ...[stack.secrets.authSecret, stack.secrets.tokenSecret],
      ...[stack.secrets.keyPeppers, stack.secrets.tokenPeppers].flatMap((json) =>
        Object.values<string>(JSON.parse(json)),
      ),
      ...Object.values(stack.secrets.serviceKeys).map((pem) => pem.split('\n')[1] ?? pem),
      ...Object.values(stack.databaseUrls).map((url) => new URL(url).password),
      ...Object.values(stack.nats.seeds),
    ]
    const others = ['a password that is secret', 'a long admin password']
    const secrets = [...accounts.secrets, ...platform, ...others].filter((secret) => secret.length >= 10)
    expect(secrets.length).toBeGreaterThan(25)
    const telling = logs.filter((line) => secrets.some((secret) => line.includes(secret)))
    expect(telling.map((line) => line.slice(0, 500))).toEqual([])
    // Nor the part of a token that signs, nor what is kept of a password.
    const signatures = [...accounts.secrets]
      .filter((secret) => secret.startsWith('eyJ'))
      .map((jwt) => jwt.split('.')[2] ?? jwt)
    expect(
      logs.filter((line) => line.includes('argon2') || signatures.some((part) => line.includes(part))),
    ).toEqual([])
  })
})
