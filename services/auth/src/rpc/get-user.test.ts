import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { scopeMissing } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

describe('GetUser', () => {
  it('answers with the account and what it has used', async () => {
    const { id, email, token } = await auth.register({ name: 'Ada' })
    auth.neighbours.usage.set(id, {
      tunnelsCount: 2,
      tunnelsCreated: 7,
      dataTransferredBytes: 2_400_000_000,
      requestsServed: 2 ** 53,
    })
    expect(await auth.rest({ bearer: token }).getUser()).toEqual({
      id,
      email,
      name: 'Ada',
      username: email.split('@')[0],
      plan: 'free',
      role: 'user',
      createdAt: expect.any(Date),
      tunnelsCount: 2,
      usage: {
        tunnelsCreated: 7,
        dataTransferred: '2.4 GB',
        dataTransferredBytes: 2_400_000_000,
        requestsServed: 2 ** 53,
      },
    })
  })

  it('answers with zeros for an account that never had a tunnel', async () => {
    const { token } = await auth.register()
    const { tunnelsCount, usage } = await auth.rest({ bearer: token }).getUser()
    expect({ tunnelsCount, usage }).toEqual({
      tunnelsCount: 0,
      usage: { tunnelsCreated: 0, dataTransferred: '0 B', dataTransferredBytes: 0, requestsServed: 0 },
    })
  })

  it('needs account:read', async () => {
    const { id } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['account:write', 'tunnels:*'] })
    await expect(auth.rest({ bearer: secret }).getUser()).rejects.toMatchObject({
      checked: scopeMissing('account:read'),
    })
  })

  it('answers 503 while tunnels is away', async () => {
    const { token } = await auth.register()
    auth.neighbours.away.tunnels = true
    expect(await refused(auth.rest({ bearer: token }).getUser())).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'UNAVAILABLE',
      http: 503,
      body: {
        error: 'unavailable',
        message: 'The service is not available right now; try again shortly.',
        code: 5003,
        retry_after: 1,
      },
    })
    auth.neighbours.away.tunnels = false
    await expect(auth.rest({ bearer: token }).getUser()).resolves.toMatchObject({ tunnelsCount: 0 })
  })
})
