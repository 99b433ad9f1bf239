import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid } from '../../test/made.ts'
import { newSessionId, newUserId, startKeys } from '../../test/start-keys.ts'

const keys = await startKeys()
afterAll(() => keys.close())

const requestFor = (userId = newUserId()) => ({
  sessionId: newSessionId(),
  userId,
  permissions: ['tunnels:read', 'keys:manage'],
})

describe('CreateSessionKey', () => {
  it('makes a key that never expires by itself, and tells its secret', async () => {
    const request = requestFor()
    const { keyId, key } = await keys.directory.createSessionKey(request)
    expect(keyId).toMatch(/^key_/)
    expect(key).toMatch(/^it_[0-9A-Za-z]{16}$/)
    expect(await keys.lookUp(key)).toEqual({
      id: keyId,
      userId: request.userId,
      sessionId: request.sessionId,
      masked: `it_***...${key.slice(-3)}`,
      permissions: ['keys:manage', 'tunnels:read'],
      enabled: true,
      expiresAt: undefined,
      rateLimitEnabled: true,
      isMetered: false,
      allowedIps: [],
      allowedSubdomains: [],
      secretGeneration: 0,
    })
  })

  it('replaces the secret where it is asked again: the one before stops working', async () => {
    const request = requestFor()
    const first = await keys.directory.createSessionKey(request)
    const second = await keys.directory.createSessionKey({ ...request, permissions: ['logs:read'] })
    expect(second.keyId).toBe(first.keyId)
    expect(second.key).not.toBe(first.key)
    expect(await keys.lookUp(first.key)).toBeUndefined()
    expect(await keys.lookUp(second.key)).toMatchObject({
      id: first.keyId,
      masked: `it_***...${second.key.slice(-3)}`,
      permissions: ['logs:read'],
      secretGeneration: 1,
    })
  })

  it('makes one key where it is asked 20 times at once, with one secret that works', async () => {
    const request = requestFor()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => keys.directory.createSessionKey(request)),
    )
    expect(new Set(answers.map(({ keyId }) => keyId)).size).toBe(1)
    const found = await Promise.all(answers.map(({ key }) => keys.lookUp(key)))
    expect(found.filter((key) => key !== undefined)).toHaveLength(1)
  })

  it('makes no other key for a session whose key was revoked', async () => {
    const request = requestFor()
    const { keyId } = await keys.directory.createSessionKey(request)
    await keys.directory.revokeKey({ keyId, reason: 'logout' })
    const message = "This session's key was revoked; it gets no other"
    expect(await refused(keys.directory.createSessionKey(request))).toEqual({
      code: 'ABORTED',
      reason: 'SESSION_KEY_REVOKED',
      message,
      metadata: {},
      http: 409,
      body: { error: 'conflict', message, code: 4010 },
    })
  })

  it("gives no one the key of another's session", async () => {
    const request = requestFor()
    const { key } = await keys.directory.createSessionKey(request)
    expect(await refused(keys.directory.createSessionKey({ ...request, userId: newUserId() }))).toMatchObject(
      {
        code: 'ABORTED',
        reason: 'SESSION_KEY',
        message: 'This session is of another user',
      },
    )
    expect(await keys.lookUp(key)).toBeDefined()
  })

  it.each([
    { change: { sessionId: '' }, field: 'session_id', message: 'is not the id of a session' },
    { change: { sessionId: 'ses_\0' }, field: 'session_id', message: 'is not the id of a session' },
    { change: { sessionId: 'x'.repeat(101) }, field: 'session_id', message: 'is not the id of a session' },
    { change: { userId: '' }, field: 'user_id', message: 'is not the id of a user' },
    { change: { userId: 'user_\0' }, field: 'user_id', message: 'is not the id of a user' },
    { change: { permissions: [] }, field: 'permissions', message: 'must not be empty' },
    {
      change: { permissions: ['x'] },
      field: 'permissions[0]',
      message: 'is not a scope, nor a pattern that matches one',
    },
  ])('refuses $field: $message', async ({ change, field, message }) => {
    const request = { ...requestFor(), ...change }
    expect(await refused(keys.directory.createSessionKey(request))).toEqual(invalid(field, message))
  })
})
