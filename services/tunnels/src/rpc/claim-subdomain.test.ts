import { randomBytes } from 'node:crypto'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { made, outcomesOf } from '../../test/made.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

// Names are made up of single bytes, everything else of several: six bytes a name, from here while there are any.
const dice: number[] = []
const random = (count: number) =>
  count === 1 && dice.length ? Buffer.of(dice.shift() ?? 0) : randomBytes(count)
const throwDice = (...faces: number[]) => {
  dice.splice(0, dice.length, ...faces.flatMap((face) => Array<number>(6).fill(face)))
}

const tunnels = await startTunnels({}, { random })
afterAll(() => tunnels.close())

describe('a made-up subdomain', () => {
  it('is made up again while another tunnel has it', async () => {
    const user = tunnels.user()
    throwDice(0)
    expect((await made(user)).subdomain).toBe('able-acorn-bbbb')
    throwDice(0, 0, 1)
    const second = await made(user)
    expect(second.subdomain).toBe('amber-alder-cccc')
    throwDice(0, 0, 2)
    const renamed = await user.updateTunnel({ id: second.id, subdomain: '', name: 'after' })
    expect(renamed).toMatchObject({ subdomain: 'bold-antler-dddd', name: 'after' })
  })

  it('fits what a key is for, and is made up again within it', async () => {
    const restricted = { subdomains: ['docs-demo', 'api-*'] }
    throwDice(0)
    expect((await made(tunnels.user(restricted))).subdomain).toBe('api-able-acorn-bbbb')
    const user = tunnels.user(restricted)
    throwDice(0, 1)
    const second = await made(user)
    expect(second.subdomain).toBe('api-amber-alder-cccc')
    throwDice(0, 2)
    const renamed = await user.updateTunnel({ id: second.id, subdomain: '' })
    expect(renamed.subdomain).toBe('api-bold-antler-dddd')
  })

  it.each([
    ['a key is for whole names only', ['docs-demo', 'docs-demo-2']],
    ['all that a key leaves open is taken', ['narrow-?', 'narrow']],
  ])('is refused with the way out where %s', async (_, subdomains) => {
    const owner = tunnels.user({ plan: 'business' })
    const all = [...'bcdfghjkmnpqrstvwxz23456789'].map((one) => made(owner, { subdomain: `narrow-${one}` }))
    await Promise.all(all)
    const user = tunnels.user({ subdomains })
    const message = `This key is for the subdomains ${subdomains.join(', ')}: none can be made up; name one`
    expect(await refused(made(user))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'SUBDOMAIN_NOT_ALLOWED',
      message,
      http: 403,
      body: { error: 'forbidden', message, code: 4003 },
    })
    expect(await tunnels.directory.getUsage({ userId: user.id })).toMatchObject({ tunnelsCreated: 0 })
    const named = await made(user, { subdomain: subdomains[1] })
    expect(named.subdomain).toBe(subdomains[1])
    expect(await refused(user.updateTunnel({ id: named.id, subdomain: '' }))).toMatchObject({ message })
    expect(await user.getTunnel({ id: named.id })).toEqual(named)
    for (const { id } of await Promise.all(all)) await owner.deleteTunnel({ id })
  })

  it('is given up after ten in a row that are taken, and nothing is written', async () => {
    const user = tunnels.user()
    throwDice(...Array<number>(10).fill(0))
    expect(await outcomesOf([user.createTunnel({ name: 'x', localPort: 1 })])).toEqual({ INTERNAL: 1 })
    expect((await user.listTunnels()).tunnels).toEqual([])
  })
})
