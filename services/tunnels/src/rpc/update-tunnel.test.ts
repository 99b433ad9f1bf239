import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made, outcomesOf } from '../../test/made.ts'
import { notTunnelIds, tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
afterAll(() => tunnels.close())

describe('UpdateTunnel', () => {
  it('changes what is present, keeps the rest, and returns the tunnel', async () => {
    const user = tunnels.user()
    const before = await made(user)
    const after = await user.updateTunnel({ id: before.id, name: 'after' })
    expect(after).toEqual({ ...before, name: 'after', updatedAt: expect.any(Date) })
    expect(Number(after.updatedAt)).toBeGreaterThan(Number(before.updatedAt))
    expect(await user.getTunnel({ id: before.id })).toEqual(after)
  })

  it('changes all three at once, and the URL with the subdomain', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    const change = { name: 'new', subdomain: 'All-Three', localPort: 4000 }
    expect(await user.updateTunnel({ id, ...change })).toMatchObject({
      name: 'new',
      subdomain: 'all-three',
      localPort: 4000,
      url: 'http://all-three.localhost:8080',
    })
  })

  it('leaves an ephemeral tunnel ephemeral', async () => {
    const user = tunnels.user()
    const { id } = await made(user, { ephemeral: true })
    expect(await user.updateTunnel({ id, localPort: 4000, updateMask: ['*'], name: 'x' })).toMatchObject({
      ephemeral: true,
      localPort: 4000,
    })
    expect((await user.getTunnel({ id })).ephemeral).toBe(true)
  })

  it('sets how long the local server may take to answer, for ever too, and clears it', async () => {
    const user = tunnels.user()
    const { id } = await made(user, { responseTimeout: 300 })
    expect((await user.getTunnel({ id })).responseTimeout).toBe(300)
    expect((await user.updateTunnel({ id, name: 'kept' })).responseTimeout).toBe(300)
    expect((await user.updateTunnel({ id, responseTimeout: 0 })).responseTimeout).toBe(0)
    const cleared = await user.updateTunnel({ id, updateMask: ['response_timeout'] })
    expect(cleared.responseTimeout).toBeUndefined()
    expect(await user.getTunnel({ id })).toEqual(cleared)
  })

  it('sets exactly the fields of the mask', async () => {
    const user = tunnels.user()
    const { id, subdomain } = await made(user)
    const change = { name: 'masked', localPort: 1, updateMask: ['name'] }
    expect(await user.updateTunnel({ id, ...change })).toMatchObject({
      name: 'masked',
      localPort: 3000,
      subdomain,
    })
  })

  it.each([
    { request: { updateMask: ['subdomain'] } },
    { request: { subdomain: '' } },
    { request: { name: 'x', localPort: 1, updateMask: ['*'] } },
  ])('makes up a new subdomain for one that is cleared: $request', async ({ request }) => {
    const user = tunnels.user()
    const { id, subdomain } = await made(user)
    const after = await user.updateTunnel({ id, ...request })
    expect(after.subdomain).toMatch(/^[a-z]+-[a-z]+-[a-z0-9]{4}$/)
    expect(after.subdomain).not.toBe(subdomain)
  })

  it('leaves updated_at alone where nothing changes', async () => {
    const user = tunnels.user()
    const before = await made(user)
    const { id, name, localPort } = before
    expect(await user.updateTunnel({ id, name, localPort, subdomain: before.subdomain })).toEqual(before)
    expect(await user.updateTunnel({ id })).toEqual(before)
  })

  it.each([
    { request: { name: '' }, message: 'name: must be 1 to 100 characters' },
    { request: { name: 'a\nb' }, message: 'name: must not hold control characters' },
    { request: { updateMask: ['name'] }, message: 'name: must be 1 to 100 characters' },
    { request: { localPort: 0 }, message: 'local_port: must be from 1 to 65535' },
    { request: { updateMask: ['local_port'] }, message: 'local_port: must be from 1 to 65535' },
    { request: { updateMask: ['localPort'] }, message: 'local_port: must be from 1 to 65535' },
    { request: { subdomain: 'admin' }, message: 'subdomain: is reserved; choose another' },
    {
      request: { updateMask: ['token'] },
      message:
        'update_mask: "token" cannot be updated; name some of name, subdomain, local_port, response_timeout',
    },
    {
      request: { updateMask: ['user_id'] },
      message:
        'update_mask: "user_id" cannot be updated; name some of name, subdomain, local_port, response_timeout',
    },
  ])('refuses $message for $request and changes nothing', async ({ request, message }) => {
    const user = tunnels.user()
    const before = await made(user)
    expect(await refused(user.updateTunnel({ id: before.id, ...request }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message,
      http: 400,
    })
    expect(await user.getTunnel({ id: before.id })).toEqual(before)
  })

  it('refuses a subdomain that another tunnel has, and keeps the name as it was', async () => {
    await made(tunnels.user(), { subdomain: 'kept-by-another' })
    const user = tunnels.user()
    const before = await made(user)
    const change = { name: 'after', subdomain: 'kept-by-another' }
    expect(await refused(user.updateTunnel({ id: before.id, ...change }))).toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'SUBDOMAIN_TAKEN',
      message: 'The subdomain "kept-by-another" is already in use; choose another',
      http: 400,
      body: { code: 4009 },
    })
    expect(await user.getTunnel({ id: before.id })).toEqual(before)
  })

  it('gives one subdomain to exactly one of 50 tunnels that ask at once', async () => {
    const users = Array.from({ length: 50 }, () => tunnels.user())
    const all = await Promise.all(users.map(async (user) => ({ user, ...(await made(user)) })))
    const updates = all.map(({ user, id }) => user.updateTunnel({ id, subdomain: 'wanted-by-many' }))
    expect(await outcomesOf(updates)).toEqual({ OK: 1, SUBDOMAIN_TAKEN: 49 })
  })

  it('lets two tunnels that swap subdomains at once neither wait nor have both', async () => {
    const user = tunnels.user()
    const [a, b] = [await made(user, { subdomain: 'swap-a' }), await made(user, { subdomain: 'swap-b' })]
    for (let round = 0; round < 10; round++) {
      const updates = [
        user.updateTunnel({ id: a.id, subdomain: 'swap-b' }),
        user.updateTunnel({ id: b.id, subdomain: 'swap-a' }),
      ]
      expect(await outcomesOf(updates)).toEqual({ SUBDOMAIN_TAKEN: 2 })
    }
  })

  it("does not find another user's tunnel, but with admin:write", async () => {
    const owner = tunnels.user()
    const { id } = await made(owner)
    const write = ['tunnels:write', 'tunnels:read']
    const request = { id, name: 'by another' }
    expect(await refused(tunnels.user({ scopes: write }).updateTunnel(request))).toMatchObject(tunnelNotFound)
    const reader = tunnels.user({ scopes: [...write, 'admin:read'] })
    expect(await refused(reader.updateTunnel(request))).toMatchObject(tunnelNotFound)
    const admin = tunnels.user({ scopes: [...write, 'admin:write'] })
    expect(await admin.updateTunnel(request)).toMatchObject({ name: 'by another', userId: owner.id })
  })

  it('does not find what a key is not for, an admin’s neither, whatever is to change', async () => {
    const user = tunnels.user()
    const before = await made(user)
    const admin = { scopes: ['tunnels:write', 'tunnels:read', 'admin:write'] }
    for (const one of [{ id: user.id }, admin]) {
      const restricted = tunnels.user({ ...one, subdomains: ['upd-*'] })
      for (const change of [{ name: 'x' }, { subdomain: 'upd-mine' }, { subdomain: '' }, {}])
        expect(await refused(restricted.updateTunnel({ id: before.id, ...change }))).toMatchObject(
          tunnelNotFound,
        )
    }
    expect(await user.getTunnel({ id: before.id })).toEqual(before)
  })

  it('renames within what a key is for, and no further', async () => {
    await made(tunnels.user(), { subdomain: 'beyond-taken' })
    const user = tunnels.user({ subdomains: ['upd-*', 'updated'] })
    const before = await made(user, { subdomain: 'upd-1' })
    const { id } = before
    for (const subdomain of ['beyond-taken', 'beyond-free']) {
      const message = `This key is for the subdomains upd-*, updated: "${subdomain}" is not one; choose another`
      expect(await refused(user.updateTunnel({ id, subdomain, name: 'after' }))).toMatchObject({
        code: 'PERMISSION_DENIED',
        reason: 'SUBDOMAIN_NOT_ALLOWED',
        message,
        http: 403,
        body: { error: 'forbidden', message, code: 4003 },
      })
    }
    expect(await user.getTunnel({ id })).toEqual(before)
    expect(await user.updateTunnel({ id, subdomain: 'updated' })).toMatchObject({ subdomain: 'updated' })
    expect(await user.updateTunnel({ id, name: 'after' })).toMatchObject({ name: 'after' })
    expect((await user.updateTunnel({ id, subdomain: '' })).subdomain).toMatch(/^upd-[a-z]+-[a-z]+-/)
  })

  it.each(notTunnelIds)('finds nothing by %s', async (_, id) => {
    expect(await refused(tunnels.user().updateTunnel({ id, name: 'x' }))).toMatchObject(tunnelNotFound)
  })
})
