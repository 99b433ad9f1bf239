import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { noServices, servicesOnly } from '../../test/services-only.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const tunnels = await startTunnels()
const { lookUpSubdomains } = tunnels.directory
afterAll(() => tunnels.close())

const foundOf = async (...subdomains: string[]) => (await lookUpSubdomains({ subdomains })).found.sort()

describe('LookUpSubdomains', () => {
  it('finds those that a tunnel has, whoever has it', async () => {
    await made(tunnels.user(), { subdomain: 'looked-up' })
    await made(tunnels.user(), { subdomain: 'looked-up-too' })
    expect(await foundOf('none', 'looked-up-too', 'looked-up', 'looked-up')).toEqual([
      'looked-up',
      'looked-up-too',
    ])
    expect(await foundOf()).toEqual([])
  })

  it('follows a tunnel to its next subdomain', async () => {
    const user = tunnels.user()
    const { id } = await made(user, { subdomain: 'before-the-change' })
    await user.updateTunnel({ id, subdomain: 'after-the-change' })
    expect(await foundOf('before-the-change', 'after-the-change')).toEqual(['after-the-change'])
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
  ])('finds nothing by %s, and the others beside it', async (_, subdomain) => {
    expect(await foundOf(subdomain, 'looked-up')).toEqual(['looked-up'])
  })

  it('refuses more than 500 at once', async () => {
    const names = Array.from({ length: 501 }, (_, n) => `name-${n}`)
    expect(await foundOf(...names.slice(1))).toEqual([])
    expect(await refused(lookUpSubdomains({ subdomains: names }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
    })
  })

  it.each(noServices)('admits services only, not %s', async (_, metadata) => {
    const anyone = tunnels.callWith(metadata)
    expect(await refused(anyone.lookUpSubdomains({ subdomains: ['x'] }))).toMatchObject(servicesOnly)
  })
})
