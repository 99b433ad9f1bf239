import { isGoawayReason } from '@instatunnel/kit/goaway'
import { refused } from '@instatunnel/test/refused'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

const clock = { now: new Date() }
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const now = () => clock.now
const auth = await startAuth({ LIMIT_CONNECT_PER_MINUTE: '1' }, { now })
afterAll(() => auth.close())

/** A user with a tunnel and a key of its own, and what was admitted with each credential. */
async function connected() {
  const owner = await auth.register()
  const tunnel = auth.neighbours.addTunnel({ userId: owner.id })
  const { key } = auth.neighbours.addKey({ userId: owner.id, permissions: ['tunnels:write'] })
  const sessionId = String(decodeJwt(owner.token).sid)
  const sessionKey = auth.neighbours.addKey({ userId: owner.id, sessionId }).key
  const { tunnelId } = tunnel
  const byKey = { tunnelId, credentialType: 'api_key', credentialId: key.id }
  const bySession = { tunnelId, credentialType: 'session', credentialId: sessionId }
  const bySessionKey = { tunnelId, credentialType: 'api_key', credentialId: sessionKey.id }
  const byToken = { tunnelId, credentialType: 'tunnel_token', credentialId: tunnelId, tokenGeneration: 0 }
  const all = [byKey, bySession, bySessionKey, byToken]
  return { owner, tunnel, key, sessionKey, byKey, bySession, bySessionKey, byToken, all }
}

type Asked = Parameters<typeof auth.internal.checkConnection>[0]

/** Why a connection must end; empty where it may live on. */
async function reasonFor(connection: Asked): Promise<string> {
  const { reason } = await auth.internal.checkConnection(connection)
  if (reason !== '' && !isGoawayReason(reason)) throw new Error(`"${reason}" is no reason to part for`)
  return reason
}
const reasonsFor = (connections: readonly Asked[]) => Promise.all(connections.map(reasonFor))

const setPlan = (id: string, plan: string) => auth.sql`update users set plan = ${plan} where id = ${id}`

describe('CheckConnection', () => {
  it('lets what was admitted live on, however often it is asked', async () => {
    const { all } = await connected()
    for (let n = 0; n < 5; n++) expect(await reasonsFor(all)).toEqual(['', '', '', ''])
  })

  it('ends what a key admitted when the subdomain is not among its own any more, and whoever renamed it', async () => {
    const { key, tunnel, all } = await connected()
    key.allowedSubdomains = ['docs-*']
    expect(await reasonsFor(all)).toEqual(['', '', '', ''])
    key.allowedSubdomains = ['shop-*', 'docs']
    expect(await reasonsFor(all)).toEqual(['subdomain_not_allowed', '', '', ''])
    tunnel.subdomain = 'shop-demo'
    expect(await reasonsFor(all)).toEqual(['', '', '', ''])
  })

  it('ends what a key admitted from an address that is not among its own any more', async () => {
    const { key, all } = await connected()
    const from = (address: string | undefined) =>
      reasonsFor(all.map((connection) => ({ ...connection, address })))
    expect(await from('192.0.2.1')).toEqual(['', '', '', ''])
    key.allowedIps = ['192.0.2.0/24', '2001:db8::/32']
    for (const address of ['192.0.2.255', '::ffff:192.0.2.1', '2001:db8::1'])
      expect(await from(address)).toEqual(['', '', '', ''])
    // What is not known to be allowed is not, as for a call.
    for (const address of ['192.0.3.0', '2001:db9::1', 'localhost', '', undefined])
      expect(await from(address)).toEqual(['address_not_allowed', '', '', ''])
    key.allowedIps = []
    expect(await from('192.0.3.0')).toEqual(['', '', '', ''])
  })

  it("ends so also what a session's key admitted, and an old secret while it works", async () => {
    const { sessionKey, bySessionKey } = await connected()
    sessionKey.secretGeneration = 1
    sessionKey.oldSecretEndsAt = new Date(now().getTime() + MINUTE)
    sessionKey.allowedIps = ['192.0.2.0/24']
    const secrets = [0, 1].map((secretGeneration) => ({ ...bySessionKey, secretGeneration }))
    const from = (address: string) => reasonsFor(secrets.map((connection) => ({ ...connection, address })))
    expect(await from('192.0.2.1')).toEqual(['', ''])
    expect(await from('192.0.3.1')).toEqual(['address_not_allowed', 'address_not_allowed'])
  })

  it('tells of what has ended a key before it tells of the address, and of that before the scope', async () => {
    const { key, byKey } = await connected()
    key.allowedIps = ['192.0.2.0/24']
    key.permissions = ['tunnels:read']
    expect(await reasonFor(byKey)).toBe('address_not_allowed')
    key.enabled = false
    expect(await reasonFor(byKey)).toBe('key_disabled')
  })

  it('ends what a key admitted when the key is disabled, has expired, or is revoked', async () => {
    const { key, byKey, all } = await connected()
    key.enabled = false
    expect(await reasonsFor(all)).toEqual(['key_disabled', '', '', ''])
    key.enabled = true
    key.expiresAt = new Date(now().getTime() + MINUTE)
    expect(await reasonFor(byKey)).toBe('')
    pass(MINUTE)
    expect(await reasonsFor(all)).toEqual(['key_expired', '', '', ''])
    auth.neighbours.revokeKey(key.id)
    expect(await reasonsFor(all)).toEqual(['key_revoked', '', '', ''])
  })

  it('tells until when a connection may live on, as that is now', async () => {
    const { key, byKey, bySession, bySessionKey, byToken } = await connected()
    const standingOf = auth.internal.checkConnection
    const forEver = { reason: '', expiresAt: undefined, expiryReason: undefined }
    expect(await standingOf(byKey)).toEqual(forEver)
    expect(await standingOf(byToken)).toEqual(forEver)
    key.expiresAt = new Date(now().getTime() + MINUTE + 1)
    const expiresAt = key.expiresAt.getTime() / 1000
    expect(await standingOf(byKey)).toEqual({ reason: '', expiresAt, expiryReason: 'key_expired' })
    const session = await standingOf(bySession)
    expect(session.expiresAt).toBeGreaterThan(now().getTime() / 1000)
    expect(session.expiryReason).toBe('session_expired')
    expect(await standingOf(bySessionKey)).toEqual(session)
  })

  it('ends what an old secret admitted with its grace period, to the moment; what the new one did lives on', async () => {
    const { key, byKey: byOld } = await connected()
    const byNew = { ...byOld, secretGeneration: 1 }
    key.secretGeneration = 1
    key.oldSecretEndsAt = new Date(now().getTime() + MINUTE)
    expect(await auth.internal.checkConnection(byOld)).toEqual({
      reason: '',
      expiresAt: key.oldSecretEndsAt.getTime() / 1000,
      expiryReason: 'key_rotated',
    })
    expect(await auth.internal.checkConnection(byNew)).toEqual({ reason: '' })
    pass(MINUTE - 1)
    expect(await reasonsFor([byOld, byNew])).toEqual(['', ''])
    pass(1)
    expect(await reasonsFor([byOld, byNew])).toEqual(['key_rotated', ''])
  })

  it('ends at once what a secret admitted that has no grace period, or none any more', async () => {
    const { key, byKey } = await connected()
    const byGeneration = [0, 1, 2, 3].map((secretGeneration) => ({ ...byKey, secretGeneration }))
    key.secretGeneration = 2
    expect(await reasonsFor(byGeneration)).toEqual(['key_rotated', 'key_rotated', '', 'key_rotated'])
    key.oldSecretEndsAt = new Date(now().getTime() + MINUTE)
    expect(await reasonsFor(byGeneration)).toEqual(['key_rotated', '', '', 'key_rotated'])
    key.oldSecretEndsAt = undefined
    expect(await reasonsFor(byGeneration)).toEqual(['key_rotated', 'key_rotated', '', 'key_rotated'])
  })

  it("ends what a secret of a session's key admitted when another has replaced it", async () => {
    const { sessionKey, bySession, bySessionKey } = await connected()
    sessionKey.secretGeneration = 1
    const byNew = { ...bySessionKey, secretGeneration: 1 }
    expect(await reasonsFor([bySession, bySessionKey, byNew])).toEqual(['', 'key_rotated', ''])
  })

  it('judges an old secret while it works as the key: by what the key may do now', async () => {
    const { key, byKey } = await connected()
    key.secretGeneration = 1
    key.oldSecretEndsAt = new Date(now().getTime() + MINUTE)
    key.permissions = ['tunnels:read']
    expect(await reasonFor(byKey)).toBe('scope_lost')
    key.enabled = false
    expect(await reasonFor(byKey)).toBe('key_disabled')
    auth.neighbours.revokeKey(key.id)
    expect(await reasonFor(byKey)).toBe('key_revoked')
  })

  it('ends what a key admitted when it has lost the scope', async () => {
    const { key, byKey } = await connected()
    key.permissions = ['tunnels:delete', 'tunnels:read', 'tunnels:stats']
    expect(await reasonFor(byKey)).toBe('scope_lost')
  })

  it("ends what a session and the session's key admitted when it has ended", async () => {
    const { owner, all } = await connected()
    await auth.rest({ bearer: owner.token }).logout()
    expect(await reasonsFor(all)).toEqual(['', 'session_ended', 'session_ended', ''])
  })

  it("ends what a session and the session's key admitted when its seven days are over, also once it is forgotten", async () => {
    const { owner, all } = await connected()
    pass(7 * DAY)
    expect(await reasonsFor(all)).toEqual(['', 'session_expired', 'session_expired', ''])
    await auth.login(owner)
    expect(await reasonsFor(all)).toEqual(['', 'session_expired', 'session_expired', ''])
  })

  it("ends what a tunnel's token admitted when another has replaced it, and nothing else", async () => {
    const { tunnel, byToken, all } = await connected()
    tunnel.tokenGeneration = 1
    expect(await reasonsFor(all)).toEqual(['', '', '', 'token_regenerated'])
    expect(await reasonFor({ ...byToken, tokenGeneration: 1 })).toBe('')
  })

  it('ends everything when the tunnel is deleted', async () => {
    const { tunnel, all } = await connected()
    auth.neighbours.deleteTunnel(tunnel)
    expect(await reasonsFor(all)).toEqual(all.map(() => 'tunnel_deleted'))
  })

  it('ends everything when the plan does not allow the tunnel any more, or the mode', async () => {
    const { owner, tunnel, all } = await connected()
    tunnel.olderTunnels = 3
    expect(await reasonsFor(all)).toEqual(all.map(() => 'plan_limit'))
    await setPlan(owner.id, 'pro')
    const asMcp = all.map((connection) => ({ ...connection, mode: 'mcp' }))
    expect(await reasonsFor([...all, ...asMcp])).toEqual([...all, ...asMcp].map(() => ''))
    tunnel.olderTunnels = 0
    await setPlan(owner.id, 'free')
    expect(await reasonsFor(all)).toEqual(all.map(() => ''))
    expect(await reasonsFor(asMcp)).toEqual(asMcp.map(() => 'plan_limit'))
  })

  it("lets no credential hold another user's tunnel, an admin's neither, and no token another tunnel", async () => {
    const [{ byKey, bySession, byToken, tunnel }, other] = [await connected(), await connected()]
    const { tunnelId } = other.tunnel
    await auth.sql`update users set role = 'admin' where id = ${tunnel.userId}`
    expect(await reasonsFor([byKey, bySession].map((held) => ({ ...held, tunnelId })))).toEqual([
      'tunnel_deleted',
      'tunnel_deleted',
    ])
    expect(await reasonFor({ ...byToken, tunnelId })).toBe('token_regenerated')
  })

  it.each(['', 'x', 'key_\0', 'ses_\0', "' or true --", 'key_01h00000000000000000000000'])(
    'lets the id %j hold nothing',
    async (id) => {
      const { byKey, bySession, byToken } = await connected()
      const held = [byKey, bySession, byToken].map((connection) => ({ ...connection, credentialId: id }))
      expect(await reasonsFor(held)).toEqual(['key_revoked', 'session_expired', 'token_regenerated'])
      expect(await reasonsFor([byKey, bySession].map((held) => ({ ...held, tunnelId: id })))).toEqual([
        'tunnel_deleted',
        'tunnel_deleted',
      ])
    },
  )

  it('refuses a credential or a mode of a kind that there is not', async () => {
    const { byKey } = await connected()
    for (const credentialType of ['', 'key', 'API_KEY', '__proto__'])
      expect(await refused(auth.internal.checkConnection({ ...byKey, credentialType }))).toEqual(
        invalid({ field: 'credential_type', message: 'must be api_key, session or tunnel_token' }),
      )
    expect(await refused(auth.internal.checkConnection({ ...byKey, mode: 'MCP' }))).toEqual(
      invalid({ field: 'mode', message: 'must be mcp, or empty' }),
    )
  })

  it('decides nothing while keys or tunnels is away', async () => {
    const { byKey, bySession, bySessionKey, byToken, all } = await connected()
    const away = { code: 'UNAVAILABLE', reason: 'UNAVAILABLE' }
    auth.neighbours.away.keys = true
    for (const held of [byKey, bySessionKey])
      expect(await refused(auth.internal.checkConnection(held))).toMatchObject(away)
    expect(await reasonsFor([bySession, byToken])).toEqual(['', ''])
    auth.neighbours.away.keys = false
    auth.neighbours.away.tunnels = true
    for (const held of all) expect(await refused(auth.internal.checkConnection(held))).toMatchObject(away)
    auth.neighbours.away.tunnels = false
  })

  it('is for services only', async () => {
    const { owner, byKey } = await connected()
    const checked = await auth.check('/instatunnel.auth.v1.AuthService/WhoAmI', { bearer: owner.token })
    const identity = checked.admitted ? checked.headers : {}
    for (const metadata of [{}, identity, { 'x-instatunnel-service': 'relay' }])
      expect(await refused(auth.callWith(metadata).checkConnection(byKey))).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'SERVICES_ONLY',
      })
  })
})
