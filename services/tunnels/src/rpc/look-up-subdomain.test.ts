import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { tunnelNotFound } from '../../test/not-tunnel-ids.ts'
import { noServices, servicesOnly } from '../../test/services-only.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
const { lookUpSubdomain, lookUpTunnel } = tunnels.directory
afterAll(() => tunnels.close())

describe('LookUpSubdomain', () => {
  it('tells of the tunnel that has it what LookUpTunnel tells', async () => {
    const user = tunnels.user()
    await made(user)
    const { id } = await made(user, { subdomain: 'looked-up' })
    const record = await lookUpSubdomain({ subdomain: 'looked-up' })
    expect(record).toMatchObject({ tunnelId: id, userId: user.id, subdomain: 'looked-up' })
    expect(record).toEqual(await lookUpTunnel({ tunnelId: id }))
  })

  it('follows the tunnel to its next subdomain', async () => {
    const user = tunnels.user()
    const { id } = await made(user, { subdomain: 'before-the-change' })
    await user.updateTunnel({ id, subdomain: 'after-the-change' })
    expect(await lookUpSubdomain({ subdomain: 'after-the-change' })).toMatchObject({ tunnelId: id })
    expect(await refused(lookUpSubdomain({ subdomain: 'before-the-change' }))).toMatchObject(tunnelNotFound)
  })

  it.each([
    ['nothing', ''],
    ['what nobody has', 'nobody-has-this'],
    ['capitals', 'LOOKED-UP'],
    ['two labels', 'a.looked-up'],
    ['a pattern', 'looked-u%'],
    ['a NUL byte', 'looked-up\0'],
    ['SQL', "x' or true --"],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('finds nothing by %s', async (_, subdomain) => {
    expect(await refused(lookUpSubdomain({ subdomain }))).toMatchObject(tunnelNotFound)
  })

  it.each(noServices)('admits services only, not %s', async (_, metadata) => {
    const anyone = tunnels.callWith(metadata)
    expect(await refused(anyone.lookUpSubdomain({ subdomain: 'x' }))).toMatchObject(servicesOnly)
  })
})
