import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, keyNotFound, made, notKeyIds } from '../../test/made.ts'
import { startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

describe('RevokeKey', () => {
  it('revokes a key, and succeeds where it was revoked before', async () => {
    const user = keys.user()
    const { id, secret } = await made(user)
    expect(await keys.directory.revokeKey({ keyId: id, reason: 'logout' })).toEqual({})
    expect(await keys.directory.revokeKey({ keyId: id, reason: 'logout' })).toEqual({})
    expect(await keys.lookUp(secret)).toBeUndefined()
    expect(await user.getKey({ id })).toMatchObject({ state: 'revoked', revokedReason: 'logout' })
  })

  it.each(notKeyIds)('does not find %j', async (keyId) => {
    expect(await refused(keys.directory.revokeKey({ keyId, reason: 'logout' }))).toEqual(keyNotFound)
  })

  it.each([
    { reason: 'x'.repeat(201), message: 'must be at most 200 characters' },
    { reason: '\0', message: 'must not hold control characters' },
  ])('refuses a reason that $message', async ({ reason, message }) => {
    expect(await refused(keys.directory.revokeKey({ keyId: 'key_', reason }))).toEqual(
      invalid('reason', message),
    )
  })
})
