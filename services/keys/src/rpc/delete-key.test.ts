import { SERVICE_METADATA } from '@instatunnel/kit/guard'
import { createLog } from '@instatunnel/kit/log'
import { scopesOfRole } from '@instatunnel/kit/scope'
import { readJwt } from '@instatunnel/test/jwt'
import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made, notKeyIds, scopeMissing } from '../../test/made.ts'
import { type Launch, newSessionId, startKeys, type User } from '../../test/start-keys.ts'
import { readConfig } from '../config.ts'
import { start } from '../start.ts'

const keys = await startKeys()
afterAll(() => keys.close())

/** What is answered; how many replicas of auth others run on this NATS is not known. */
const receipt = (connectionsCut: number) => ({
  success: true,
  connectionsCut,
  replicasAcked: expect.any(Number),
  replicasTotal: expect.any(Number),
  tookMs: expect.any(Number),
  tunnels: [],
  tunnelsKnown: undefined,
  tokensRegenerated: undefined,
  tokensRegeneratedBefore: undefined,
})

const stateOf = async (user: User, id: string) => (await user.getKey({ id })).state

describe('DeleteKey', () => {
  it('revokes a key: it is found no more, by its secret or to be deleted', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    expect(await user.deleteKey({ id })).toEqual(receipt(0))
    expect(await keys.lookUp(secret)).toBeUndefined()
    expect(await refused(user.deleteKey({ id }))).toEqual(keyNotFound)
  })

  it('revokes once, however many ask at once', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => user.deleteKey({ id })))
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it("does not find another user's key, unless with admin:write", async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    for (const scopes of [scopesOfRole('user'), [...scopesOfRole('user'), 'admin:read']]) {
      expect(await refused(keys.user({ scopes }).deleteKey({ id }))).toEqual(keyNotFound)
    }
    await owner.getKey({ id })
    await keys.user({ role: 'admin' }).deleteKey({ id })
    expect(await stateOf(owner, id)).toBe('revoked')
  })

  it('keeps the key visible to its owner, with why and until when that can be undone', async () => {
    const user = keys.user()
    const { key, id } = await made(user)
    await user.deleteKey({ id, reason: 'no longer needed' })
    const revoked = await user.getKey({ id })
    expect(revoked).toEqual({
      ...key,
      state: 'revoked',
      updatedAt: expect.any(Date),
      revokedAt: revoked.updatedAt,
      revokedReason: 'no longer needed',
      restorableUntil: new Date(Number(revoked.revokedAt) + 24 * 60 * 60 * 1000),
    })
    expect((await user.listKeys({ state: 'revoked' })).keys).toEqual([revoked])
    expect((await user.listKeys()).keys).toEqual([])
  })

  it.each(['leaked', 'LEAKED', ' Leaked '])('offers to restore no key that was %j', async (reason) => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id, reason })
    expect(await user.getKey({ id })).toMatchObject({ revokedReason: reason, restorableUntil: undefined })
  })

  it('tells no reason where none was said', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    expect((await user.getKey({ id })).revokedReason).toBeUndefined()
  })

  it('refuses a credential that could not have made the key', async () => {
    const owner = keys.user()
    const { id } = await made(owner, { permissions: ['tunnels:*'] })
    const caller = keys.user({ id: owner.id, scopes: ['keys:manage', 'tunnels:read'] })
    expect(await refused(caller.deleteKey({ id }))).toEqual(scopeMissing('tunnels:delete'))
    await owner.getKey({ id })
  })

  it('lets one who is no admin any more revoke the keys of an admin’s time', async () => {
    const admin = keys.user({ role: 'admin' })
    const { id } = await made(admin, { permissions: ['users:manage', 'tunnels:read'] })
    const demoted = keys.user({ id: admin.id })
    expect(await demoted.deleteKey({ id })).toEqual(receipt(0))
  })

  it("ends a session's key", async () => {
    const user = keys.user()
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId, key } = await keys.directory.createSessionKey(request)
    await user.deleteKey({ id: keyId })
    expect(await keys.lookUp(key)).toBeUndefined()
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.user().deleteKey({ id }))).toEqual(keyNotFound)
  })

  it.each([
    { reason: 'x'.repeat(201), message: 'must be at most 200 characters' },
    { reason: 'x'.repeat(1_000_000), message: 'must be at most 200 characters' },
    { reason: 'a\0', message: 'must not hold control characters' },
  ])('refuses a reason that $message', async ({ reason, message }) => {
    const user = keys.user()
    const { id } = await made(user)
    expect(await refused(user.deleteKey({ id, reason }))).toEqual(invalid('reason', message))
    await user.getKey({ id })
  })
})

describe('DeleteKey of one that leaked', () => {
  const { tunnels } = keys
  const two = [
    { id: 'tun_1', name: 'Docs' },
    { id: 'tun_2', name: 'Shop' },
  ]
  beforeEach(() => {
    Object.assign(tunnels, { cut: 1, onCut: async () => {}, onRegenerate: async () => {}, tokens: two })
    for (const asked of [tunnels.asked, tunnels.listed, tunnels.regenerated]) asked.length = 0
  })
  const admin = () => keys.user({ role: 'admin' })

  it('names the tunnels whose tokens it could have read: all of its owner’s', async () => {
    const user = keys.user()
    const { id } = await made(user, { allowedSubdomains: ['docs-*'] })
    const answer = await user.deleteKey({ id, reason: ' Leaked' })
    expect(answer).toMatchObject({ tunnels: two, tunnelsKnown: true, connectionsCut: 1 })
    expect(answer.tokensRegenerated).toBeUndefined()
    expect(tunnels.listed).toEqual([{ userId: user.id, within: [] }])
    expect(tunnels.regenerated).toEqual([])
  })

  it.each([
    ['permissions', { permissions: ['logs:read'] }],
    ['networks', { allowedIps: ['192.0.2.0/24'] }],
    ['subdomains', { allowedSubdomains: ['docs-*'] }],
    ['a time', { expiresIn: 3600 }],
    ['a number of uses', { remaining: 5 }],
  ])('names and regenerates as many for a key that was held to %s after it had leaked', async (_, fields) => {
    const user = admin()
    const { id } = await made(user)
    await user.updateKey({ id, ...fields })
    expect(await user.deleteKey({ id, reason: 'leaked', regenerate: true })).toMatchObject({
      ...{ success: true, tunnels: two, tunnelsKnown: true, tokensRegenerated: true },
    })
    expect(tunnels.regenerated).toEqual([{ userId: user.id, within: [] }])
  })

  it('takes note of a key that is known to have leaked only after it was revoked', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id, reason: 'rotated away' })
    const leaked = { id, reason: 'leaked' }
    for (let n = 0; n < 2; n++)
      expect(await user.deleteKey(leaked)).toMatchObject({ success: true, tunnels: two, tunnelsKnown: true })
    expect(await user.getKey({ id })).toMatchObject({ revokedReason: 'leaked', restorableUntil: undefined })
    expect(await refused(user.restoreKey({ id }))).toMatchObject({ reason: 'KEY_NOT_RESTORABLE' })
    // It never becomes one that has not leaked.
    expect(await refused(user.deleteKey({ id, reason: 'rotated away' }))).toEqual(keyNotFound)
    expect(await refused(keys.user().deleteKey(leaked))).toEqual(keyNotFound)
  })

  it('regenerates those tokens, within what the caller may see', async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    const bound = { type: 'api_key' as const, id: 'key_2', subdomains: ['docs-*'] }
    const caller = keys.user({ id: owner.id, credential: bound })
    const answer = await caller.deleteKey({ id, reason: 'leaked', regenerate: true })
    expect(answer).toMatchObject({ tunnels: two, tokensRegenerated: true, connectionsCut: 3 })
    expect(tunnels.regenerated).toEqual([{ userId: owner.id, within: ['docs-*'] }])
  })

  it('revokes while tunnels is away, says so, and makes up for it when asked again', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    tunnels.tokens = { code: 14 }
    const request = { id, reason: 'leaked', regenerate: true }
    expect(await user.deleteKey(request)).toMatchObject({
      ...{ success: true, tunnels: [], tunnelsKnown: false, tokensRegenerated: false },
    })
    expect(await keys.lookUp(secret)).toBeUndefined()
    tunnels.tokens = two
    expect(await user.deleteKey(request)).toMatchObject({ tunnels: two, tokensRegenerated: true })
    expect(await refused(keys.user().deleteKey(request))).toEqual(keyNotFound)
  })

  it('regenerates once for each key, and then says that it did before', async () => {
    const user = keys.user()
    const [first, second] = [await made(user), await made(user)]
    const leaked = (id: string) => user.deleteKey({ id, reason: 'leaked', regenerate: true })
    expect(await leaked(first.id)).toMatchObject({ tokensRegenerated: true, connectionsCut: 3 })
    expect((await leaked(first.id)).tokensRegeneratedBefore).toBe(true)
    for (let n = 0; n < 5; n++)
      expect(await leaked(first.id)).toMatchObject({
        ...{ success: true, tunnels: two, tunnelsKnown: true, connectionsCut: 1 },
        ...{ tokensRegenerated: true, tokensRegeneratedBefore: true },
      })
    expect(tunnels.regenerated).toHaveLength(1)
    // Another key may have read the new ones.
    expect((await leaked(second.id)).tokensRegeneratedBefore).toBeUndefined()
    expect(tunnels.regenerated).toHaveLength(2)
  })

  it('regenerates once where it is asked several times at once; each call answers when that is done', async () => {
    const user = keys.user()
    const { id } = await made(user)
    let isDone = false
    tunnels.onRegenerate = async () => {
      await expect.poll(() => tunnels.asked.length, { timeout: 4000 }).toBe(6)
      isDone = true
    }
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const answer = await user.deleteKey({ id, reason: 'leaked', regenerate: true })
        expect(isDone).toBe(true)
        return answer
      }),
    )
    expect(tunnels.regenerated).toHaveLength(1)
    for (const answer of answers)
      expect(answer).toMatchObject({ tunnels: two, tunnelsKnown: true, tokensRegenerated: true })
    expect(answers.filter(({ tokensRegeneratedBefore }) => tokensRegeneratedBefore)).toHaveLength(5)
  })

  it('takes over where another call began to regenerate and never ended', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id, reason: 'leaked' })
    await keys.sql`update api_keys set regenerating_until = now() + interval '300 ms' where id = ${id}`
    const answer = await user.deleteKey({ id, reason: 'leaked', regenerate: true })
    expect(answer).toMatchObject({ tunnels: two, tokensRegenerated: true, connectionsCut: 3 })
    const [row] = await keys.sql`select regenerating_until < now() as is_over from api_keys where id = ${id}`
    expect(row).toEqual({ isOver: null })
  })

  it('regenerates for a key whose tokens were only named before, and for tunnels that a caller before did not see', async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    const within = (...subdomains: string[]) =>
      keys.user({ id: owner.id, credential: { type: 'api_key', id: 'key_2', subdomains } })
    await owner.deleteKey({ id, reason: 'leaked' })
    const before: (boolean | undefined)[] = []
    for (const caller of [within('a-*'), within('b-*', 'a-*'), within('b-*'), owner, owner, within('a-*')]) {
      const answer = await caller.deleteKey({ id, reason: 'leaked', regenerate: true })
      expect(answer.tokensRegenerated).toBe(true)
      before.push(answer.tokensRegeneratedBefore)
    }
    expect(before).toEqual([undefined, undefined, true, undefined, true, true])
    expect(tunnels.regenerated.map(({ within }) => within)).toEqual([['a-*'], ['b-*', 'a-*'], []])
  })

  it('regenerates nothing for one who may not, or for another reason, and then revokes nothing', async () => {
    const owner = keys.user()
    const { id } = await made(owner)
    const caller = keys.user({ id: owner.id, scopes: ['keys:manage'] })
    expect(await refused(caller.deleteKey({ id, reason: 'leaked', regenerate: true }))).toEqual(
      scopeMissing('tunnels:write'),
    )
    const message = 'is for a key that is deleted with reason "leaked"'
    const lost = { id, reason: 'lost', regenerate: true }
    expect(await refused(owner.deleteKey(lost))).toEqual(invalid('regenerate', message))
    expect(await stateOf(owner, id)).toBe('active')
    expect(tunnels.regenerated).toEqual([])
  })
})

describe("DeleteKey and the key's live connections", () => {
  const { tunnels } = keys
  beforeEach(() => {
    Object.assign(tunnels, { cut: 0, onCut: async () => {} })
    tunnels.asked.length = 0
  })

  it('has them cut off once the key is revoked, and tells how many there were', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    tunnels.cut = 3
    const found: unknown[] = []
    tunnels.onCut = async () => {
      found.push(await keys.lookUp(secret))
    }
    expect(await user.deleteKey({ id })).toEqual(receipt(3))
    expect(tunnels.asked).toEqual([{ credentialType: 'api_key', credentialId: id, reason: 'key_revoked' }])
    // By then nobody can connect with it anew.
    expect(found).toEqual([undefined])
    const token = String(tunnels.lastMetadata()?.get(SERVICE_METADATA)[0])
    expect(readJwt(token).claims).toMatchObject({ iss: 'keys', aud: 'tunnels' })
  })

  it("counts those of a session's key, and of another user's that an admin deletes", async () => {
    const user = keys.user()
    const request = { sessionId: newSessionId(), userId: user.id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    const { id } = await made(user)
    tunnels.cut = 2
    expect(await user.deleteKey({ id: keyId })).toEqual(receipt(2))
    expect(await keys.user({ role: 'admin' }).deleteKey({ id })).toEqual(receipt(2))
    expect(tunnels.asked.map(({ credentialId }) => credentialId)).toEqual([keyId, id])
  })

  it('are let alone where the call is refused', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const narrow = keys.user({ id: user.id, scopes: ['keys:manage'] })
    await refused(keys.user().deleteKey({ id }))
    await refused(narrow.deleteKey({ id }))
    await refused(user.deleteKey({ id, reason: '\0' }))
    expect(tunnels.asked).toEqual([])
  })

  it('are let alone by a logout, which asks for no number', async () => {
    const { id } = await made(keys.user())
    await keys.directory.revokeKey({ keyId: id, reason: 'logout' })
    expect(tunnels.asked).toEqual([])
  })

  it.each([2, 12, 13, 14])(
    'are not counted where tunnels fails with %i: the key is deleted',
    async (code) => {
      const user = keys.user()
      const { id } = await made(user)
      tunnels.cut = { code }
      expect(await user.deleteKey({ id })).toEqual(receipt(0))
      expect(await stateOf(user, id)).toBe('revoked')
    },
  )

  it('are not waited for where tunnels hangs: the key is deleted', async () => {
    const user = keys.user()
    const { id } = await made(user)
    tunnels.cut = 'hangs'
    expect(await user.deleteKey({ id })).toEqual(receipt(0))
    await expect.poll(tunnels.givenUp).toBe(1)
    expect(await stateOf(user, id)).toBe('revoked')
  })

  it('are not counted where nobody listens at TUNNELS_ADDRESS, and a line of the log says so', async () => {
    const lines: string[] = []
    const alone = await startKeys({ TUNNELS_ADDRESS: '127.0.0.1:1' }, {}, logging(lines))
    const user = alone.user()
    const { id, secret } = await made(user)
    expect(await user.deleteKey({ id })).toEqual(receipt(0))
    await alone.close()
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ level: 'warn', key: id, msg: 'nobody tells how many connections were cut' }),
    )
    expect(lines.join()).not.toContain(secret)
  })
})

/** Runs the service in this process and keeps what it warns of. */
const logging =
  (lines: string[]): Launch =>
  (environment, overrides) => {
    const log = createLog('keys', 'warn', { write: (line: string) => void lines.push(line) })
    return start(readConfig(environment), log, overrides)
  }
