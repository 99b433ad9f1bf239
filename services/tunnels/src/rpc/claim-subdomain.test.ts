import { randomBytes } from 'node:crypto'

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

  it('is given up after ten in a row that are taken, and nothing is written', async () => {
    const user = tunnels.user()
    throwDice(...Array<number>(10).fill(0))
    expect(await outcomesOf([user.createTunnel({ name: 'x', localPort: 1 })])).toEqual({ INTERNAL: 1 })
    expect((await user.listTunnels()).tunnels).toEqual([])
  })
})
