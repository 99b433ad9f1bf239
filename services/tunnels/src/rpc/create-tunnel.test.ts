import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { outcomesOf } from '../../test/made.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels({ PUBLIC_URL: 'http://localhost:8080' })
afterAll(() => tunnels.close())

const rowsOf = async (userId: string) => {
  const rows = await tunnels.sql`select subdomain from tunnels where user_id = ${userId} order by id`
  return rows.map(({ subdomain }) => subdomain)
}

describe('CreateTunnel', () => {
  it('answers with the whole tunnel, its token shown', async () => {
    const user = tunnels.user()
    const { success, tunnel } = await user.createTunnel({
      name: 'My app',
      subdomain: 'whole-tunnel',
      localPort: 3000,
    })
    expect(success).toBe(true)
    expect(tunnel).toEqual({
      id: expect.stringMatching(/^tun_[0-9a-hjkmnp-tv-z]{26}$/),
      name: 'My app',
      subdomain: 'whole-tunnel',
      localPort: 3000,
      token: expect.stringMatching(/^itt_[0-9A-Za-z]{32}$/),
      status: 'inactive',
      domain: 'localhost',
      url: 'http://whole-tunnel.localhost:8080',
      createdAt: expect.any(Date),
      updatedAt: tunnel?.createdAt,
      lastConnected: undefined,
      userId: user.id,
      ephemeral: false,
    })
  })

  it('lower-cases the subdomain', async () => {
    const { tunnel } = await tunnels.user().createTunnel({ name: 'x', subdomain: 'MixedCase', localPort: 1 })
    expect(tunnel?.subdomain).toBe('mixedcase')
  })

  it.each([undefined, ''])('makes up a readable subdomain for %j', async (subdomain) => {
    const { tunnel } = await tunnels.user().createTunnel({ name: 'x', subdomain, localPort: 65535 })
    expect(tunnel?.subdomain).toMatch(/^[a-z]+-[a-z]+-[a-z0-9]{4}$/)
  })

  it.each([
    { fields: { name: '' }, message: 'name: must be 1 to 100 characters' },
    { fields: { name: 'n'.repeat(101) }, message: 'name: must be 1 to 100 characters' },
    { fields: { name: '🦦'.repeat(101) }, message: 'name: must be 1 to 100 characters' },
    { fields: { name: 'n'.repeat(1_000_000) }, message: 'name: must be 1 to 100 characters' },
    { fields: { name: ' \u3000' }, message: 'name: must not be blank' },
    { fields: { name: 'a\0b' }, message: 'name: must not hold control characters' },
    { fields: { name: 'a\u001b[31m' }, message: 'name: must not hold control characters' },
    { fields: { localPort: 0 }, message: 'local_port: must be from 1 to 65535' },
    { fields: { responseTimeout: -1 }, message: 'response_timeout: must be from 0 to 3600' },
    { fields: { responseTimeout: 3601 }, message: 'response_timeout: must be from 0 to 3600' },
    { fields: { localPort: -1 }, message: 'local_port: must be from 1 to 65535' },
    { fields: { localPort: 65_536 }, message: 'local_port: must be from 1 to 65535' },
    {
      fields: { subdomain: 'no' },
      message: 'subdomain: must be 3 to 63 characters of a-z, 0-9 and "-", with no "-" at either end',
    },
    {
      fields: { subdomain: 'null\0byte' },
      message: 'subdomain: must be 3 to 63 characters of a-z, 0-9 and "-", with no "-" at either end',
    },
    { fields: { subdomain: 'WWW' }, message: 'subdomain: is reserved; choose another' },
    {
      fields: { subdomain: 'xn--bcher-kva' },
      message: 'subdomain: must not have "--" as its third and fourth character',
    },
    {
      fields: { name: '', localPort: 0 },
      message: 'name: must be 1 to 100 characters; local_port: must be from 1 to 65535',
    },
  ])('refuses $message and writes nothing', async ({ fields, message }) => {
    const user = tunnels.user()
    expect(await refused(user.createTunnel({ name: 'x', localPort: 1, ...fields }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message,
      http: 400,
      body: { error: 'validation_error', code: 4000, message },
    })
    expect(await rowsOf(user.id)).toEqual([])
  })

  it('takes names of 100 characters, whatever they are', async () => {
    const user = tunnels.user()
    for (const name of ['n'.repeat(100), '🦦'.repeat(100), "Robert'); drop table tunnels;--"]) {
      const { tunnel } = await user.createTunnel({ name, localPort: 1 })
      expect(tunnel?.name).toBe(name)
    }
  })

  it('refuses a subdomain that another tunnel has', async () => {
    await tunnels.user().createTunnel({ name: 'x', subdomain: 'only-one', localPort: 1 })
    const user = tunnels.user()
    const message = 'The subdomain "only-one" is already in use; choose another'
    expect(
      await refused(user.createTunnel({ name: 'x', subdomain: 'Only-One', localPort: 1 })),
    ).toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'SUBDOMAIN_TAKEN',
      message,
      http: 400,
      body: { error: 'subdomain_taken', message, code: 4009 },
    })
    expect(await tunnels.directory.getUsage({ userId: user.id })).toMatchObject({ tunnelsCreated: 0 })
  })

  it('refuses a subdomain that the key is not for, taken or not, and an admin’s key too', async () => {
    await tunnels.user().createTunnel({ name: 'x', subdomain: 'outside-taken', localPort: 1 })
    for (const scopes of [['tunnels:write'], ['tunnels:write', 'admin:write']]) {
      const user = tunnels.user({ scopes, subdomains: ['inside-*', 'api?'] })
      for (const subdomain of ['outside-taken', 'outside-free', 'inside', 'API']) {
        const reserved = subdomain === 'API'
        const message = reserved
          ? 'subdomain: is reserved; choose another'
          : `This key is for the subdomains inside-*, api?: "${subdomain}" is not one; choose another`
        expect(await refused(user.createTunnel({ name: 'x', subdomain, localPort: 1 }))).toMatchObject({
          reason: reserved ? 'INVALID_FIELDS' : 'SUBDOMAIN_NOT_ALLOWED',
          message,
        })
      }
      expect(await rowsOf(user.id)).toEqual([])
      expect(await tunnels.directory.getUsage({ userId: user.id })).toMatchObject({ tunnelsCreated: 0 })
    }
  })

  it('answers that as forbidden', async () => {
    const user = tunnels.user({ subdomains: ['inside-*'] })
    const message = 'This key is for the subdomains inside-*: "outside" is not one; choose another'
    expect(await refused(user.createTunnel({ name: 'x', subdomain: 'Outside', localPort: 1 }))).toMatchObject(
      {
        code: 'PERMISSION_DENIED',
        reason: 'SUBDOMAIN_NOT_ALLOWED',
        message,
        http: 403,
        body: { error: 'forbidden', message, code: 4003 },
      },
    )
  })

  it('makes what the key is for, and makes up what fits', async () => {
    const user = tunnels.user({ subdomains: ['docs-*', 'only-this'] })
    const request = { name: 'x', localPort: 1 }
    expect(await user.createTunnel({ ...request, subdomain: 'only-this' })).toMatchObject({ success: true })
    expect(await user.createTunnel({ ...request, subdomain: 'Docs-Mine' })).toMatchObject({ success: true })
    await user.createTunnel(request)
    expect(await rowsOf(user.id)).toEqual([
      'only-this',
      'docs-mine',
      expect.stringMatching(/^docs-[a-z]+-[a-z]+-[a-z0-9]{4}$/),
    ])
  })

  it('counts tunnels outside towards the plan', async () => {
    const user = tunnels.user()
    for (let i = 0; i < 3; i++) await user.createTunnel({ name: 'x', localPort: 1 })
    const restricted = tunnels.user({ id: user.id, subdomains: ['planned-*'] })
    expect(await refused(restricted.createTunnel({ name: 'x', localPort: 1 }))).toMatchObject({
      reason: 'PLAN_LIMIT',
    })
  })

  it('gives one subdomain to exactly one of 50 users who ask at once', async () => {
    const users = Array.from({ length: 50 }, () => tunnels.user())
    const request = { name: 'x', subdomain: 'wanted-by-many', localPort: 1 }
    const outcomes = await outcomesOf(users.map((user) => user.createTunnel(request)))
    expect(outcomes).toEqual({ OK: 1, SUBDOMAIN_TAKEN: 49 })
  })

  it('gives exactly 3 tunnels to 50 creates at once on the free plan', async () => {
    const user = tunnels.user()
    const creates = Array.from({ length: 50 }, () => user.createTunnel({ name: 'x', localPort: 1 }))
    expect(await outcomesOf(creates)).toEqual({ OK: 3, PLAN_LIMIT: 47 })
    expect(await rowsOf(user.id)).toHaveLength(3)
    expect(await tunnels.directory.getUsage({ userId: user.id })).toMatchObject({
      tunnelsCount: 3,
      tunnelsCreated: 3,
    })
  })

  it('names the plan, its limit and the way out when the plan allows no more', async () => {
    const user = tunnels.user()
    for (let i = 0; i < 3; i++) await user.createTunnel({ name: 'x', localPort: 1 })
    const message = 'The free plan allows 3 tunnels at a time; delete one first, or move to a larger plan'
    expect(await refused(user.createTunnel({ name: 'x', localPort: 1 }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'PLAN_LIMIT',
      message,
      http: 403,
      body: { error: 'plan_limit', message, code: 4013 },
    })
    const pro = tunnels.user({ id: user.id, plan: 'pro' })
    await expect(pro.createTunnel({ name: 'x', localPort: 1 })).resolves.toMatchObject({ success: true })
  })

  it('allows another tunnel after one is deleted', async () => {
    const user = tunnels.user()
    const made = []
    for (let i = 0; i < 3; i++) made.push((await user.createTunnel({ name: 'x', localPort: 1 })).tunnel)
    await user.deleteTunnel({ id: made[0]?.id as string })
    await expect(user.createTunnel({ name: 'x', localPort: 1 })).resolves.toMatchObject({ success: true })
  })

  it('needs tunnels:write', async () => {
    const reader = tunnels.user({ scopes: ['tunnels:read', 'tunnels:delete'] })
    expect(await refused(reader.createTunnel({ name: 'x', localPort: 1 }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'SCOPE_MISSING',
      message: 'Insufficient permissions for this operation',
      body: { error: 'forbidden', required_scope: 'tunnels:write' },
    })
  })
})
