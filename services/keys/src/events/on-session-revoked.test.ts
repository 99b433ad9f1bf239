import { freshNats } from '@instatunnel/test/nats'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { newSessionId, newUserId, startKeys } from '../../test/start-keys.ts'
import { type Tell, tellerOf } from '../../test/teller.ts'

const nats = await freshNats()
const keys = await startKeys({ NATS_URL: nats.url, NATS_SEED: nats.seeds.keys })
afterAll(() => keys.close())

const observer = await nats.observe()
const revocationsOf = (keyId: string) =>
  observer.events.filter(({ type, data }) => type.endsWith('key.revoked') && data.key_id === keyId)
const toldRevoked = (keyId: string) =>
  observer.event(({ type, data }) => type.endsWith('key.revoked') && data.key_id === keyId)

const newRequest = () => ({ sessionId: newSessionId(), userId: newUserId(), permissions: ['logs:read'] })
let told = 0
const tellEnded = (tell: Tell, sessionId: unknown, id = `evt_${told++}`, delivery = id) =>
  tell('session.revoked', id, { session_id: sessionId, user_id: newUserId(), reason: 'logout' }, delivery)

/** Resolves once every event told so far has been acted on. */
async function heard(tell: Tell) {
  const { sessionId, ...rest } = newRequest()
  const { keyId } = await keys.directory.createSessionKey({ sessionId, ...rest })
  await tellEnded(tell, sessionId)
  await toldRevoked(keyId)
}

describe('session.revoked', () => {
  it("revokes the session's key and tells so", async () => {
    const tell = await tellerOf(nats)
    const request = newRequest()
    const other = await keys.directory.createSessionKey(newRequest())
    const { keyId, key } = await keys.directory.createSessionKey(request)
    await tellEnded(tell, request.sessionId)
    expect((await toldRevoked(keyId)).data).toEqual({
      key_id: keyId,
      user_id: request.userId,
      reason: 'session_ended',
    })
    expect(await keys.user({ id: request.userId }).getKey({ id: keyId })).toMatchObject({
      state: 'revoked',
      revokedReason: 'session_ended',
      restorableUntil: undefined,
    })
    expect(await keys.lookUp(key)).toBeUndefined()
    expect(await keys.lookUp(other.key)).toBeDefined()
  })

  it('is told once, however often it is delivered, and not where the key was revoked before', async () => {
    const tell = await tellerOf(nats)
    const [first, second] = [newRequest(), newRequest()]
    const one = await keys.directory.createSessionKey(first)
    const two = await keys.directory.createSessionKey(second)
    await keys.directory.revokeKey({ keyId: two.keyId, reason: 'logout' })
    for (const delivery of ['one', 'two']) await tellEnded(tell, first.sessionId, 'evt_twice', delivery)
    await tellEnded(tell, first.sessionId)
    await tellEnded(tell, second.sessionId)
    await heard(tell)
    expect(revocationsOf(one.keyId)).toHaveLength(1)
    expect(revocationsOf(two.keyId).map(({ data }) => data.reason)).toEqual(['logout'])
  })

  it('leaves a session that ended before its key was made without one', async () => {
    const tell = await tellerOf(nats)
    const request = newRequest()
    await tellEnded(tell, request.sessionId)
    await heard(tell)
    expect(await refused(keys.directory.createSessionKey(request))).toMatchObject({
      code: 'ABORTED',
      reason: 'SESSION_KEY_REVOKED',
      message: "This session's key was revoked; it gets no other",
    })
  })

  it('lets nothing malformed hold up what comes after it', async () => {
    const tell = await tellerOf(nats)
    for (const sessionId of [undefined, '', 'ses_\0', 'x'.repeat(1000), 7, {}])
      await tellEnded(tell, sessionId)
    for (const data of ['null', '[]', '"x"']) await tell('session.revoked', `evt_${told++}`, data)
    await heard(tell)
  })

  it('is heard though NATS restarts, and what was done meanwhile is told', async () => {
    const tell = await tellerOf(nats)
    const [before, during] = [newRequest(), newRequest()]
    const one = await keys.directory.createSessionKey(before)
    await tellEnded(tell, before.sessionId)
    await nats.kill()
    const two = await keys.directory.createSessionKey(during)
    await nats.start()
    await tellEnded(tell, during.sessionId)
    await Promise.all([toldRevoked(one.keyId), toldRevoked(two.keyId)])
    await observer.event(({ type, data }) => type.endsWith('key.created') && data.key_id === two.keyId)
    expect([revocationsOf(one.keyId), revocationsOf(two.keyId)].map(({ length }) => length)).toEqual([1, 1])
  })
})
