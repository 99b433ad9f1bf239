import { refused } from '@instatunnel/test/refused'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { invalid, made } from '../../test/made.ts'
import { newSessionId, startKeys } from '../../test/start-keys.ts'

let time = Date.parse('2026-01-01')
const keys = await startKeys({}, { now: () => new Date(time++) })
afterAll(() => keys.close())

describe('ListKeys', () => {
  it("lists the caller's keys, newest first, without secrets", async () => {
    const user = keys.user()
    await made(keys.user())
    const [first, second] = [await made(user), await made(user)]
    const listed = await user.listKeys()
    expect(listed).toEqual({ keys: [second.key, first.key], nextPageToken: '' })
    expect(JSON.stringify(listed)).not.toContain(first.secret)
  })

  it('lists nothing for one who has none', async () => {
    expect(await keys.user().listKeys()).toEqual({ keys: [], nextPageToken: '' })
  })

  it("lists an admin's own only", async () => {
    await made(keys.user())
    expect((await keys.user({ role: 'admin' }).listKeys()).keys).toEqual([])
  })

  it('does not list revoked keys', async () => {
    const user = keys.user()
    const [first, second] = [await made(user), await made(user)]
    await user.deleteKey({ id: second.id })
    expect((await user.listKeys()).keys).toEqual([first.key])
  })

  describe('of one state', () => {
    const user = keys.user()
    const ids: Record<string, string> = {}
    beforeAll(async () => {
      for (const name of ['active', 'disabled', 'expired', 'both', 'revoked', 'purged']) {
        ids[name] = (await made(user, { name, expiresIn: 100_000_000 })).id
      }
      const { disabled = '', expired = '', both = '', revoked = '', purged = '' } = ids
      for (const id of [disabled, both]) await user.updateKey({ id, enabled: false })
      for (const id of [expired, both, revoked, purged]) await user.updateKey({ id, expiresIn: 1 })
      await user.deleteKey({ id: purged })
      time += 30 * 24 * 60 * 60 * 1000
      await user.deleteKey({ id: revoked })
    })

    it.each([
      ['active', ['active']],
      ['disabled', ['disabled']],
      ['expired', ['both', 'expired']],
      ['revoked', ['revoked']],
      ['', ['both', 'expired', 'disabled', 'active']],
    ])('lists those that are %j', async (state, names) => {
      const { keys: listed } = await user.listKeys({ state })
      expect(listed.map(({ name }) => name)).toEqual(names)
      if (state !== '') expect(new Set(listed.map((key) => key.state))).toEqual(new Set([state]))
    })

    it('pages through them', async () => {
      const one = await user.listKeys({ state: 'expired', pageSize: 1 })
      const two = await user.listKeys({ state: 'expired', pageSize: 1, pageToken: one.nextPageToken })
      expect([one, two].map((page) => page.keys.map(({ name }) => name))).toEqual([['both'], ['expired']])
      expect(two.nextPageToken).toBe('')
    })

    it("lists no other user's revoked keys, not even to an admin", async () => {
      expect((await keys.user({ role: 'admin' }).listKeys({ state: 'revoked' })).keys).toEqual([])
    })

    it.each(['gone', 'ACTIVE', 'active,revoked', "' or 1=1 --", '\0', '*'])('refuses %j', async (state) => {
      expect(await refused(user.listKeys({ state }))).toEqual(
        invalid('state', 'must be one of active, disabled, expired, revoked'),
      )
    })
  })

  it("lists a session's key with its session", async () => {
    const user = keys.user()
    const sessionId = newSessionId()
    const { keyId, key } = await keys.directory.createSessionKey({
      sessionId,
      userId: user.id,
      permissions: ['tunnels:read'],
    })
    expect((await user.listKeys()).keys).toMatchObject([
      {
        id: keyId,
        name: 'Session key',
        key: `it_***...${key.slice(-3)}`,
        sessionId,
        permissions: ['tunnels:read'],
        expiresAt: undefined,
      },
    ])
  })

  it('pages without leaving out or repeating any, whatever is made or revoked meanwhile', async () => {
    const user = keys.user()
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.unshift((await made(user)).id)
    const one = await user.listKeys({ pageSize: 2 })
    await made(user)
    await user.deleteKey({ id: ids[1] as string })
    const two = await user.listKeys({ pageSize: 2, pageToken: one.nextPageToken })
    const three = await user.listKeys({ pageSize: 2, pageToken: two.nextPageToken })
    expect([one, two, three].map((page) => page.keys.map(({ id }) => id))).toEqual([
      [ids[0], ids[1]],
      [ids[2], ids[3]],
      [ids[4]],
    ])
    expect(three.nextPageToken).toBe('')
  })

  it.each(['x', 'tun_01h00000000000000000000000', '\0', 'a'.repeat(10_000)])(
    'refuses the page_token %j',
    async (pageToken) => {
      expect(await refused(keys.user().listKeys({ pageToken }))).toEqual(
        invalid('page_token', 'must be the next_page_token of the page before'),
      )
    },
  )

  it('refuses a negative page_size', async () => {
    expect(await refused(keys.user().listKeys({ pageSize: -1 }))).toEqual(
      invalid('page_size', 'must not be negative'),
    )
  })
})
