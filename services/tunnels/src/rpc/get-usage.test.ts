import { newId } from '@instatunnel/kit/id'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
afterAll(() => tunnels.close())

const zeros = { tunnelsCount: 0, tunnelsCreated: 0, dataTransferredBytes: 0, requestsServed: 0 }

describe('GetUsage', () => {
  it.each([
    ['a new user', newId('user_', new Date())],
    ['nobody', ''],
    ['no id of ours', 'somebody'],
    ['a NUL byte', 'user_01h0000000000000000000000\0'],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('answers zeros for %s', async (_, userId) => {
    expect(await tunnels.directory.getUsage({ userId })).toEqual(zeros)
  })

  it('counts tunnels now and tunnels ever made', async () => {
    const user = tunnels.user()
    const { tunnel } = await user.createTunnel({ name: 'x', localPort: 1 })
    await user.createTunnel({ name: 'x', localPort: 1 })
    await user.deleteTunnel({ id: tunnel?.id as string })
    expect(await tunnels.directory.getUsage({ userId: user.id })).toEqual({
      ...zeros,
      tunnelsCount: 1,
      tunnelsCreated: 2,
    })
  })

  it('admits services only', async () => {
    expect(await refused(tunnels.callWith({}).getUsage({ userId: 'x' }))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'SERVICES_ONLY',
      message: 'Only services of the platform may call this',
    })
  })
})
