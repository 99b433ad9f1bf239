import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { notTunnelIds, tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { noServices, servicesOnly } from '../../test/services-only.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

// Ids order by the millisecond: here no two tunnels are made in one.
let time = Date.now()
const tunnels = await startTunnels({}, { now: () => new Date(time++) })
const { lookUpTunnel } = tunnels.directory
afterAll(() => tunnels.close())

describe('LookUpTunnel', () => {
  it('tells whose tunnel it is, and how many of theirs are older', async () => {
    const user = tunnels.user()
    await made(tunnels.user())
    const [first, second] = [await made(user), await made(user, { ephemeral: true })]
    const record = ({ id, subdomain }: typeof first, olderTunnels: number) => ({
      tunnelId: id,
      userId: user.id,
      subdomain,
      tokenGeneration: 0,
      olderTunnels,
    })
    expect(await lookUpTunnel({ tunnelId: first.id })).toEqual(record(first, 0))
    expect(await lookUpTunnel({ tunnelId: second.id })).toEqual(record(second, 1))
    await user.deleteTunnel({ id: first.id })
    expect(await lookUpTunnel({ tunnelId: second.id })).toEqual(record(second, 0))
  })

  it('tells how long its local server may take to answer, where that was chosen', async () => {
    const user = tunnels.user()
    const { id } = await made(user, { responseTimeout: 0 })
    expect((await lookUpTunnel({ tunnelId: id })).responseTimeout).toBe(0)
    await user.updateTunnel({ id, updateMask: ['response_timeout'] })
    expect((await lookUpTunnel({ tunnelId: id })).responseTimeout).toBeUndefined()
  })

  it('counts the tokens that the tunnel had before', async () => {
    const user = tunnels.user()
    const { id } = await made(user)
    for (const generation of [1, 2, 3]) {
      await user.regenerateToken({ id })
      expect((await lookUpTunnel({ tunnelId: id })).tokenGeneration).toBe(generation)
    }
  })

  it.each(notTunnelIds)('finds nothing by %s', async (_, tunnelId) => {
    expect(await refused(lookUpTunnel({ tunnelId }))).toMatchObject(tunnelNotFound)
  })

  it.each(noServices)('admits services only, not %s', async (_, metadata) => {
    const anyone = tunnels.callWith(metadata)
    expect(await refused(anyone.lookUpTunnel({ tunnelId: 'x' }))).toMatchObject(servicesOnly)
  })
})
