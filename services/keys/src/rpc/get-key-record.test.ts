import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { keyNotFound, made, notKeyIds } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

describe('GetKeyRecord', () => {
  it('answers by the id what LookUpKeys answers by the secret, as it is now', async () => {
    const user = keys.user()
    const { id, secret } = await made(user, { permissions: ['tunnels:*', 'account:read'], expiresIn: 60 })
    const record = await keys.directory.getKeyRecord({ id })
    expect(record).toEqual(await keys.lookUp(secret))
    expect(record).toMatchObject({ id, userId: user.id, enabled: true })

    await user.updateKey({ id, enabled: false, permissions: ['logs:read'] })
    expect(await keys.directory.getKeyRecord({ id })).toEqual({
      ...record,
      enabled: false,
      permissions: ['logs:read'],
    })
  })

  it('tells how many secrets it had before, and until when the last of them works', async () => {
    const user = keys.user()
    const { id } = await made(user)
    const generation = async () => {
      const { secretGeneration, oldSecretEndsAt, sunsetAt } = await keys.directory.getKeyRecord({ id })
      expect(sunsetAt).toBeUndefined()
      return { secretGeneration, oldSecretEndsAt }
    }
    expect(await generation()).toEqual({ secretGeneration: 0, oldSecretEndsAt: undefined })
    const { apiKey } = await user.rotateKey({ id, gracePeriod: 60 })
    expect(await generation()).toEqual({ secretGeneration: 1, oldSecretEndsAt: apiKey?.oldSecret?.endsAt })
    await user.endGracePeriod({ id })
    expect(await generation()).toEqual({ secretGeneration: 1, oldSecretEndsAt: undefined })
    await user.rotateKey({ id })
    expect(await generation()).toEqual({ secretGeneration: 2, oldSecretEndsAt: undefined })
  })

  it("names a session's key's session", async () => {
    const request = { sessionId: newSessionId(), userId: keys.user().id, permissions: ['logs:read'] }
    const { keyId } = await keys.directory.createSessionKey(request)
    expect(await keys.directory.getKeyRecord({ id: keyId })).toMatchObject({ sessionId: request.sessionId })
  })

  it('does not find a revoked key', async () => {
    const user = keys.user()
    const { id } = await made(user)
    await user.deleteKey({ id })
    expect(await refused(keys.directory.getKeyRecord({ id }))).toEqual(keyNotFound)
  })

  it.each(notKeyIds)('does not find %j', async (id) => {
    expect(await refused(keys.directory.getKeyRecord({ id }))).toEqual(keyNotFound)
  })
})
