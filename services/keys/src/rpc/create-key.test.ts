import { scopesOfRole } from '@instatunnel/kit/scope'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, made, scopeMissing } from '../../test/made.ts'
import { startKeys, type User } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

const rowsOf = async (user: User) =>
  keys.sql`select id from api_keys where user_id = ${user.id}`.then((rows) => rows.map(({ id }) => id))

describe('CreateKey', () => {
  it('makes a key and tells its secret', async () => {
    const user = keys.user()
    const before = Date.now()
    const { apiKey, key } = await user.createKey({ name: 'CI', permissions: ['tunnels:read'] })
    expect(key).toMatch(/^it_[0-9A-Za-z]{16}$/)
    expect(apiKey).toEqual({
      id: expect.stringMatching(/^key_[0-9a-hjkmnp-tv-z]{26}$/),
      name: 'CI',
      key: `it_***...${key.slice(-3)}`,
      prefix: 'it_',
      start: key.slice(0, 5),
      keyPrefix: key.slice(0, 5),
      userId: user.id,
      sessionId: undefined,
      permissions: ['tunnels:read'],
      enabled: true,
      metadata: {},
      createdAt: expect.any(Date),
      updatedAt: apiKey?.createdAt,
      expiresAt: undefined,
      lastUsed: undefined,
      lastUsedAt: undefined,
      lastRequest: undefined,
      requestCount: 0,
      state: 'active',
      remaining: undefined,
      refillAmount: undefined,
      refillInterval: undefined,
      lastRefillAt: undefined,
      rateLimitEnabled: true,
      rateLimitTimeWindow: undefined,
      rateLimitMax: undefined,
      allowedIps: [],
      allowedSubdomains: [],
      revokedAt: undefined,
      revokedReason: undefined,
      restorableUntil: undefined,
      oldSecret: undefined,
    })
    expect(Number(apiKey?.createdAt)).toBeGreaterThanOrEqual(before)
    expect(await user.getKey({ id: apiKey?.id as string })).toEqual(apiKey)
  })

  it('keeps no secret, only what it is known again by', async () => {
    const { secret } = await made(keys.user())
    const [row] = await keys.sql`select * from api_keys where masked = ${`it_***...${secret.slice(-3)}`}`
    const kept = JSON.stringify(row, (_, value) =>
      value?.type === 'Buffer' ? Buffer.from(value).toString('hex') : value,
    )
    expect(kept).not.toContain(secret)
    expect(kept).not.toContain(digestOf(secret).toString('hex'))
    expect(row).toMatchObject({ pepperId: 'p1', hash: expect.any(Buffer) })
    expect(row?.hash).toHaveLength(32)
  })

  it('sets all that is chosen', async () => {
    const metadata = { team: 'a', deep: { user_id: [1, null, true, 'x', {}] }, fooBar: -0.5 }
    const { key, secret } = await made(keys.user(), { prefix: 'acme_', expiresIn: 60, metadata })
    expect(secret).toMatch(/^acme_[0-9A-Za-z]{32}$/)
    expect(key).toMatchObject({
      prefix: 'acme_',
      start: secret.slice(0, 6),
      keyPrefix: secret.slice(0, 6),
      key: `acme_***...${secret.slice(-3)}`,
      metadata,
      expiresAt: new Date(Number(key.createdAt) + 60_000),
    })
  })

  it.each(['i', 'it', 'itt', 'e', 'ey', 'IT_', '_', '-', 'x'.repeat(32)])(
    'takes the prefix %j, and the key is found by its secret',
    async (prefix) => {
      const { key, secret } = await made(keys.user(), { prefix })
      expect(secret).toMatch(new RegExp(`^${prefix}[0-9A-Za-z]{32}$`))
      expect(await keys.lookUp(secret)).toMatchObject({ id: key.id })
    },
  )

  it('holds all the scopes of its owner where none are asked for', async () => {
    const { key } = await made(keys.user())
    expect(key.permissions).toEqual(scopesOfRole('user'))
    const { key: admins } = await made(keys.user({ role: 'admin' }))
    expect(admins.permissions).toEqual(scopesOfRole('admin'))
  })

  it('may be a key without permissions, also by one who may do little', async () => {
    const { key, id, secret } = await made(keys.user({ scopes: ['keys:manage'] }), { noPermissions: true })
    expect(key.permissions).toEqual([])
    expect(await keys.lookUp(secret)).toMatchObject({ id, permissions: [] })
  })

  it('takes no_permissions that is false for one that is left out', async () => {
    const { key } = await made(keys.user(), { noPermissions: false })
    expect(key.permissions).toEqual(scopesOfRole('user'))
  })

  it('keeps permissions as they are asked for, sorted, each once', async () => {
    const { key } = await made(keys.user(), {
      permissions: ['tunnels:*', 'logs:read', 'tunnels:*', 'account:read'],
    })
    expect(key.permissions).toEqual(['account:read', 'logs:read', 'tunnels:*'])
  })

  it.each([
    { scopes: ['keys:manage', 'tunnels:read'], permissions: ['tunnels:write'], required: 'tunnels:write' },
    { scopes: ['keys:manage', 'tunnels:read'], permissions: ['tunnels:*'], required: 'tunnels:delete' },
    { scopes: ['keys:manage'], permissions: [], required: 'account:read' },
    { scopes: scopesOfRole('user'), permissions: ['*'], required: 'admin:read' },
    { scopes: scopesOfRole('user'), permissions: ['tunnels:read', 'admin:*'], required: 'admin:read' },
    { scopes: scopesOfRole('user'), permissions: ['users:manage'], required: 'users:manage' },
    { scopes: scopesOfRole('user'), permissions: ['org:*'], required: 'org:manage' },
  ])(
    'gives no scope that its creator lacks: $permissions asked for',
    async ({ scopes, permissions, required }) => {
      const user = keys.user({ scopes })
      expect(await refused(user.createKey({ name: 'x', permissions }))).toEqual(scopeMissing(required))
      expect(await rowsOf(user)).toEqual([])
    },
  )

  it("refuses an admin's narrow credential as any other", async () => {
    const user = keys.user({ role: 'admin', scopes: scopesOfRole('user') })
    expect(await refused(user.createKey({ name: 'x' }))).toEqual(scopeMissing('admin:read'))
  })

  const long = 'must be 1 to 100 characters'
  const seconds = 'must be from 1 to 315360000 seconds (ten years)'
  const alphabet = "must be 1 to 32 of A-Z, a-z, 0-9, '_' and '-'"
  const taken = (beginning: string) =>
    `must not begin with ${beginning}, which another credential begins with`
  const noScope = 'is not a scope, nor a pattern that matches one'
  it.each([
    { request: { name: '' }, field: 'name', message: long },
    { request: { name: 'x'.repeat(101) }, field: 'name', message: long },
    { request: { name: '🔑'.repeat(101) }, field: 'name', message: long },
    { request: { name: 'x'.repeat(1_000_000) }, field: 'name', message: long },
    { request: { name: ' \u00a0\u2003' }, field: 'name', message: 'must not be blank' },
    { request: { name: 'a\0b' }, field: 'name', message: 'must not hold control characters' },
    { request: { name: 'a\nb' }, field: 'name', message: 'must not hold control characters' },
    { request: { name: 'a\u009bb' }, field: 'name', message: 'must not hold control characters' },
    { request: { permissions: ['nope'] }, field: 'permissions[0]', message: noScope },
    { request: { permissions: ['tunnels:read', ''] }, field: 'permissions[1]', message: noScope },
    { request: { permissions: ['tunnels:\0'] }, field: 'permissions[0]', message: noScope },
    { request: { permissions: ['nope:*'] }, field: 'permissions[0]', message: noScope },
    { request: { permissions: [':*'] }, field: 'permissions[0]', message: noScope },
    { request: { permissions: ['*:*'] }, field: 'permissions[0]', message: noScope },
    { request: { permissions: ['tunnels*'] }, field: 'permissions[0]', message: noScope },
    { request: { permissions: ['TUNNELS:READ'] }, field: 'permissions[0]', message: noScope },
    {
      request: { permissions: Array(33).fill('logs:read') },
      field: 'permissions',
      message: 'must be at most 32',
    },
    {
      request: { permissions: Array(50_000).fill('no') },
      field: 'permissions',
      message: 'must be at most 32',
    },
    { request: { expiresIn: 0 }, field: 'expires_in', message: seconds },
    { request: { expiresIn: -1 }, field: 'expires_in', message: seconds },
    { request: { expiresIn: 315_360_001 }, field: 'expires_in', message: seconds },
    { request: { prefix: '' }, field: 'prefix', message: alphabet },
    { request: { prefix: 'x'.repeat(33) }, field: 'prefix', message: alphabet },
    { request: { prefix: 'ключ' }, field: 'prefix', message: alphabet },
    { request: { prefix: 'a b' }, field: 'prefix', message: alphabet },
    { request: { prefix: 'a\0' }, field: 'prefix', message: alphabet },
    { request: { prefix: 'a\n' }, field: 'prefix', message: alphabet },
    { request: { prefix: 'it_' }, field: 'prefix', message: taken('it_') },
    { request: { prefix: 'it_mine' }, field: 'prefix', message: taken('it_') },
    { request: { prefix: 'itt_' }, field: 'prefix', message: taken('itt_') },
    { request: { prefix: 'ito_x' }, field: 'prefix', message: taken('ito_') },
    { request: { prefix: 'eyJhbGci' }, field: 'prefix', message: taken('eyJ') },
  ])('refuses $field: $message', async ({ request, field, message }) => {
    const user = keys.user()
    expect(await refused(user.createKey({ name: 'x', ...request }))).toEqual(invalid(field, message))
    expect(await rowsOf(user)).toEqual([])
  })

  it('names all fields at fault', async () => {
    const { body } = await refused(
      keys.user().createKey({ name: '', permissions: ['x'], expiresIn: 0, prefix: 'it_' }),
    )
    expect(body.fields.map(({ field }: { field: string }) => field)).toEqual([
      'name',
      'permissions[0]',
      'expires_in',
      'prefix',
    ])
  })

  it.each([1, 315_360_000])('takes expires_in %i', async (expiresIn) => {
    const { key } = await made(keys.user(), { expiresIn })
    expect(Number(key.expiresAt) - Number(key.createdAt)).toBe(expiresIn * 1000)
  })

  it('takes expires_at, to the millisecond', async () => {
    for (const lifetimeMs of [60_000, 315_360_000_000 - 60_000]) {
      const expiresAt = new Date(Date.now() + lifetimeMs)
      const { key, secret } = await made(keys.user(), { expiresAt })
      expect(key.expiresAt).toEqual(expiresAt)
      expect(await keys.lookUp(secret)).toMatchObject({ expiresAt })
    }
  })

  it.each([
    { expiresAt: new Date(0) },
    { expiresAt: new Date(Date.now() - 1000) },
    { expiresAt: new Date(Date.now() + 315_360_000_000 + 600_000) },
    { expiresAt: new Date('9999-12-31T23:59:59Z') },
  ])('refuses $expiresAt', async ({ expiresAt }) => {
    const user = keys.user()
    expect(await refused(user.createKey({ name: 'x', expiresAt }))).toEqual(
      invalid('expires_at', 'must be after now, and at most ten years from now'),
    )
    expect(await rowsOf(user)).toEqual([])
  })

  it('refuses two fields that say the same, and names both', async () => {
    const user = keys.user()
    const fieldsOf = async (request: object) =>
      (await refused(user.createKey({ name: 'x', ...request }))).body.fields
    expect(await fieldsOf({ expiresIn: 60, expiresAt: new Date(Date.now() + 60_000) })).toEqual([
      { field: 'expires_in', message: 'must not be given beside expires_at' },
      { field: 'expires_at', message: 'must not be given beside expires_in' },
    ])
    expect(await fieldsOf({ permissions: ['logs:read'], noPermissions: true })).toEqual([
      { field: 'permissions', message: 'must not be given beside no_permissions' },
      { field: 'no_permissions', message: 'must not be given beside permissions' },
    ])
    expect(await rowsOf(user)).toEqual([])
  })

  it.each(['x', '🔑'.repeat(100), ' padded ', "'; drop table api_keys; --"])(
    'takes the name %j as it is',
    async (name) => {
      const { key } = await made(keys.user(), { name })
      expect(key.name).toBe(name)
    },
  )
})

describe("a key's metadata", () => {
  const nested = (depth: number): object => (depth === 1 ? {} : { a: nested(depth - 1) })
  const listed = (depth: number): unknown => (depth === 1 ? [] : [listed(depth - 1)])
  const sized = (bytes: number) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })

  it.each([
    { what: 'an empty object', metadata: {} },
    { what: '4 KiB', metadata: sized(4096) },
    { what: '16 levels of objects', metadata: nested(16) },
    { what: '16 levels, of lists below the first', metadata: { a: listed(15) } },
    { what: 'numbers to 2^53', metadata: { a: 2 ** 53, b: -(2 ** 53), c: 5e-324, d: 0.1 } },
    {
      what: 'names that objects have anyway',
      metadata: { constructor: 1, toString: 'x', prototype: {} },
    },
    { what: 'any text', metadata: { 'ключ\n"': '\u2028🔑\\u0000', ' ': '__proto__' } },
  ])('may be $what, and is given back as it was', async ({ metadata }) => {
    const user = keys.user()
    const { id, key } = await made(user, { metadata })
    expect(key.metadata).toEqual(metadata)
    expect((await user.getKey({ id })).metadata).toEqual(metadata)
  })

  it.each([
    { what: 'more than 4 KiB', metadata: sized(4097), message: 'must be at most 4096 bytes as JSON' },
    {
      what: 'more than 4 KiB of bytes in fewer characters',
      metadata: { a: 'я'.repeat(2100) },
      message: 'must be at most 4096 bytes as JSON',
    },
    { what: '17 levels', metadata: nested(17), message: 'must be at most 16 levels deep' },
    { what: '17 levels with lists', metadata: { a: listed(16) }, message: 'must be at most 16 levels deep' },
    {
      what: 'a number past 2^53',
      metadata: { a: [2 ** 53 + 2] },
      message: 'must hold numbers within 2^53 only',
    },
    {
      what: 'a field without a name',
      metadata: { a: [{ '': 1 }] },
      message: 'must not hold a field without a name',
    },
    { what: 'NaN', metadata: { a: Number.NaN }, message: 'must hold numbers within 2^53 only' },
    { what: 'Infinity', metadata: { a: -Infinity }, message: 'must hold numbers within 2^53 only' },
    {
      what: 'a NUL in a text',
      metadata: { a: 'x\0' },
      message: 'must hold no NUL characters and no lone surrogates',
    },
    {
      what: 'a NUL in a name',
      metadata: { 'x\0': 1 },
      message: 'must hold no NUL characters and no lone surrogates',
    },
  ])('is refused with $what', async ({ metadata, message }) => {
    const user = keys.user()
    expect(await refused(user.createKey({ name: 'x', metadata }))).toEqual(invalid('metadata', message))
    expect(await rowsOf(user)).toEqual([])
  })

  it.each([
    { what: 'at the top', metadata: { '--proto--': { admin: true } } },
    { what: 'in the depth', metadata: { a: [{ '--proto--': 1 }] } },
  ])('is refused with "__proto__" $what', async ({ metadata }) => {
    // No client of ours would send it: it is put into the bytes.
    const rewrite = (bytes: Buffer) =>
      Buffer.from(bytes.toString('latin1').replace('--proto--', '__proto__'), 'latin1')
    expect(await refused(keys.user({ rewrite }).createKey({ name: 'x', metadata }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'UNREADABLE_REQUEST',
      message: '"__proto__" is not accepted as a name',
      http: 400,
    })
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('is refused where it is nested past what can be read', async () => {
    expect(
      await refused(keys.user().createKey({ name: 'x', metadata: nested(200) as object })),
    ).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'UNREADABLE_REQUEST',
      http: 400,
    })
  })
})

describe('the limit of 1,000 keys', () => {
  async function fill(user: User, count: number) {
    await keys.sql`
      insert into api_keys (id, user_id, name, prefix, start, masked, hash, pepper_id, permissions, created_at, updated_at)
      select 'filled_' || ${user.id} || n, ${user.id}, 'x', 'it_', 'it_xx', 'it_***...xxx',
        sha256((${user.id} || n)::bytea), 'p1', '{}', now(), now()
      from generate_series(1, ${count}::integer) as n`
  }
  const refusal = {
    code: 'FAILED_PRECONDITION',
    reason: 'KEY_LIMIT',
    message: 'You have 1000 API keys, the most there may be; delete one first',
    metadata: {},
    http: 403,
    body: {
      error: 'plan_limit',
      message: 'You have 1000 API keys, the most there may be; delete one first',
      code: 4013,
    },
  }

  it('is exact under 50 creates at once', async () => {
    const user = keys.user()
    await fill(user, 990)
    const creates = Array.from({ length: 50 }, () => user.createKey({ name: 'x' }))
    const settled = await Promise.allSettled(creates)
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
    expect(await rowsOf(user)).toHaveLength(1000)
    for (const [index, { status }] of settled.entries()) {
      if (status === 'rejected') expect(await refused(creates[index] as Promise<unknown>)).toEqual(refusal)
    }
  })

  it('counts neither revoked keys nor those of sessions', async () => {
    const user = keys.user()
    await fill(user, 999)
    await keys.directory.createSessionKey({
      sessionId: `ses_${user.id}`,
      userId: user.id,
      permissions: ['logs:read'],
    })
    const { id } = await made(user)
    expect(await refused(user.createKey({ name: 'x' }))).toEqual(refusal)
    await user.deleteKey({ id })
    await made(user)
  })

  it('is of each user', async () => {
    const user = keys.user()
    await fill(user, 1000)
    await refused(user.createKey({ name: 'x' }))
    await made(keys.user())
  })
})
