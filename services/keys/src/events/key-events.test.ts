import { digestOf } from '@instatunnel/kit/secret'
import { freshNats } from '@instatunnel/test/nats'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { newSessionId, newUserId, startKeys } from '../../test/start-keys.ts'

const nats = await freshNats()
const keys = await startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys })
afterAll(() => keys.close())

const observer = await nats.observe()

/** The events told of a key, once the last of them is that it was revoked. */
async function toldOf(id: string) {
  await observer.event(({ type, headers }) => type.endsWith('.revoked') && headers['ce-subject'] === id)
  return observer.events.filter(({ headers }) => headers['ce-subject'] === id)
}

describe('the events of keys', () => {
  it('are each told once, in order, by a CloudEvent without a secret', async () => {
    const user = keys.user()
    const { id, key, secret } = await made(user, {
      name: 'CI',
      permissions: ['tunnels:*'],
      expiresIn: 60,
      metadata: { in: 'no event' },
    })
    await user.updateKey({ id, name: 'CI 2', enabled: false, expiresIn: 90 })
    await user.updateKey({ id, name: 'CI 2' }) // changes nothing
    await refused(user.updateKey({ id, permissions: ['*'] })) // is refused
    await user.updateKey({ id, permissions: ['logs:read'], metadata: { a: 1 } })
    await user.deleteKey({ id, reason: 'leaked "here"' })
    await refused(user.deleteKey({ id }))

    const told = await toldOf(id)
    const whose = { key_id: id, user_id: user.id }
    expect(told.map(({ type, data }) => [type, data])).toEqual([
      [
        'instatunnel.events.key.created',
        { ...whose, name: 'CI', permissions: ['tunnels:*'], expires_at: key.expiresAt?.toISOString() },
      ],
      ['instatunnel.events.key.updated', { ...whose, changed: ['name', 'enabled', 'expires_at'] }],
      ['instatunnel.events.key.updated', { ...whose, changed: ['permissions', 'metadata'] }],
      ['instatunnel.events.key.revoked', { ...whose, reason: 'leaked "here"' }],
    ])
    for (const event of told) {
      expect(event.subject).toBe(event.type)
      expect(event.headers).toMatchObject({
        'ce-specversion': '1.0',
        'ce-id': expect.stringMatching(/^evt_[0-9a-z]{26}$/),
        'ce-source': '/instatunnel/keys',
        'ce-subject': id,
        'nats-msg-id': event.id,
      })
      const whole = JSON.stringify(event)
      for (const hidden of [secret, digestOf(secret).toString('hex'), digestOf(secret).toString('base64')]) {
        expect(whole).not.toContain(hidden)
      }
    }
    expect(new Set(told.map(({ id: event }) => event)).size).toBe(told.length)
  })

  it('tell of what only servers decide, of rotations, and that a key was restored', async () => {
    const admin = keys.user({ role: 'admin' })
    const { id, secret } = await made(admin)
    const counted = { remaining: 3, refillAmount: 5, refillInterval: 1000, rateLimitEnabled: false }
    await admin.updateKey({ id, ...counted, allowedIps: ['::1'], allowedSubdomains: ['a'] })
    await admin.updateKey({ id, remaining: 3 }) // changes nothing that is told
    const { apiKey, key: second } = await admin.rotateKey({ id, gracePeriod: 60 })
    await admin.endGracePeriod({ id })
    await admin.endGracePeriod({ id }) // has none
    const { key: third } = await admin.rotateKey({ id })
    await admin.deleteKey({ id, reason: 'first' })
    await admin.restoreKey({ id })
    await admin.deleteKey({ id, reason: 'second' })

    await observer.event(({ data }) => data.key_id === id && data.reason === 'second')
    const told = observer.events.filter(({ headers }) => headers['ce-subject'] === id).slice(1)
    const whose = { key_id: id, user_id: admin.id }
    const updated = (...changed: string[]) => ['instatunnel.events.key.updated', { ...whose, changed }]
    expect(told.map(({ type, data }) => [type, data])).toEqual([
      updated(
        'remaining',
        'refill_amount',
        'refill_interval',
        'rate_limit_enabled',
        'allowed_ips',
        'allowed_subdomains',
      ),
      [
        'instatunnel.events.key.rotated',
        { ...whose, grace_ends_at: apiKey?.oldSecret?.endsAt?.toISOString() },
      ],
      updated('old_secret'),
      ['instatunnel.events.key.rotated', whose],
      ['instatunnel.events.key.revoked', { ...whose, reason: 'first' }],
      updated('state'),
      ['instatunnel.events.key.revoked', { ...whose, reason: 'second' }],
    ])
    const whole = JSON.stringify(told)
    for (const hidden of [secret, second, third]) {
      expect(whole).not.toContain(hidden)
      expect(whole).not.toContain(digestOf(hidden).toString('base64'))
    }
  })

  it("tell of a session's key which session it is of, and that its secret was replaced", async () => {
    const request = { sessionId: newSessionId(), userId: newUserId(), permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    await keys.directory.createSessionKey(request)
    await keys.directory.revokeKey({ keyId, reason: 'logout' })
    await keys.directory.revokeKey({ keyId, reason: 'logout' })

    const whose = { key_id: keyId, user_id: request.userId }
    expect((await toldOf(keyId)).map(({ type, data }) => [type, data])).toEqual([
      [
        'instatunnel.events.key.created',
        { ...whose, name: 'Session key', permissions: ['logs:read'], session_id: request.sessionId },
      ],
      ['instatunnel.events.key.updated', { ...whose, changed: ['key'] }],
      ['instatunnel.events.key.revoked', { ...whose, reason: 'logout' }],
    ])
  })
})
