import { randomBytes } from 'node:crypto'
import { digestOf } from '@instatunnel/kit/secret'
import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { noServices, servicesOnly } from '../../test/services-only.ts'
import { startTunnels } from '../../test/start-tunnels.ts'

const pepper = () => randomBytes(32).toString('base64')
const p1 = pepper()
const tunnels = await startTunnels({ TOKEN_PEPPERS: JSON.stringify({ p1 }) })
afterAll(() => tunnels.close())

describe('LookUpToken', () => {
  it('finds tokens under an old pepper, and stores new ones under the last', async () => {
    const user = tunnels.user()
    const { tunnel: old } = await user.createTunnel({ name: 'x', localPort: 1 })
    const rotated = await startTunnels({
      ...tunnels.environment,
      TOKEN_PEPPERS: JSON.stringify({ p1, p2: pepper() }),
    })
    try {
      const { tunnel } = await rotated.user({ id: user.id }).createTunnel({ name: 'x', localPort: 1 })
      const peppers = await tunnels.sql`
        select token_pepper_id from tunnels where user_id = ${user.id} order by created_at`
      expect(peppers.map(({ tokenPepperId }) => tokenPepperId)).toEqual(['p1', 'p2'])
      for (const { id, token } of [old, tunnel].flatMap((made) => made ?? [])) {
        const found = await rotated.directory.lookUpToken({ digest: digestOf(token) })
        expect(found).toEqual({ tunnelId: id, userId: user.id, tokenGeneration: 0 })
      }
    } finally {
      await rotated.close()
    }
  })

  it('keeps neither a token nor its bare digest', async () => {
    const { tunnel } = await tunnels.user().createTunnel({ name: 'x', localPort: 1 })
    const token = tunnel?.token as string
    const [row] =
      await tunnels.sql`select t::text as text from tunnels as t where id = ${tunnel?.id as string}`
    for (const secret of [token, Buffer.from(token).toString('hex'), digestOf(token).toString('hex')]) {
      expect(row?.text).not.toContain(secret)
    }
  })

  it.each([
    ['a digest of nothing we made', digestOf('itt_00000000000000000000000000000000')],
    ['no digest', Buffer.alloc(0)],
    ['something far too long', Buffer.alloc(1_000_000)],
  ])('finds nothing by %s', async (_, digest) => {
    expect(await refused(tunnels.directory.lookUpToken({ digest }))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'TOKEN_UNKNOWN',
      message: 'No tunnel has this token',
      http: 404,
    })
  })

  it.each(noServices)('admits services only, not %s', async (_, metadata) => {
    const anyone = tunnels.callWith(metadata)
    expect(await refused(anyone.lookUpToken({ digest: digestOf('x') }))).toMatchObject(servicesOnly)
  })
})
