import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { startTunnels } from '../../test/start-tunnels.ts'

// Ids order by the millisecond: here no two tunnels are made in one.
let time = Date.now()
const tunnels = await startTunnels({}, { now: () => new Date(time++) })
afterAll(() => tunnels.close())

describe('ListTunnels', () => {
  it("lists the caller's tunnels alone, newest first, page by page", async () => {
    const user = tunnels.user()
    await tunnels.user().createTunnel({ name: "another's", localPort: 1 })
    for (const name of ['first', 'second', 'third']) await user.createTunnel({ name, localPort: 1 })
    const first = await user.listTunnels({ pageSize: 2 })
    expect(first.tunnels.map(({ name }) => name)).toEqual(['third', 'second'])
    const second = await user.listTunnels({ pageSize: 2, pageToken: first.nextPageToken })
    expect(second.tunnels.map(({ name }) => name)).toEqual(['first'])
    expect(second.nextPageToken).toBe('')
    expect((await user.listTunnels()).tunnels).toHaveLength(3)
  })

  it('lists nothing for a user without tunnels', async () => {
    expect(await tunnels.user().listTunnels()).toEqual({ tunnels: [], nextPageToken: '' })
  })

  it('leaves out what a key is not for, in pages that are full all the same', async () => {
    const user = tunnels.user({ plan: 'pro' })
    for (let i = 0; i < 5; i++) {
      await user.createTunnel({ name: 'in', subdomain: `listed-${i}`, localPort: 1 })
      await user.createTunnel({ name: 'out', subdomain: `unlisted-${i}`, localPort: 1 })
    }
    const restricted = tunnels.user({ id: user.id, subdomains: ['listed-*', 'other'] })
    const pages: string[][] = []
    let pageToken = ''
    do {
      const page = await restricted.listTunnels({ pageSize: 2, pageToken })
      pages.push(page.tunnels.map(({ subdomain }) => subdomain))
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    expect(pages).toEqual([['listed-4', 'listed-3'], ['listed-2', 'listed-1'], ['listed-0']])
    expect((await user.listTunnels()).tunnels).toHaveLength(10)
  })

  it('takes what is special to LIKE for what it is', async () => {
    const user = tunnels.user()
    await user.createTunnel({ name: 'x', subdomain: 'like-this', localPort: 1 })
    for (const pattern of ['%', 'like_this', 'like%', '\\'])
      expect((await tunnels.user({ id: user.id, subdomains: [pattern] }).listTunnels()).tunnels).toEqual([])
  })

  it('masks tokens to credentials without tunnels:write', async () => {
    const user = tunnels.user()
    const { tunnel } = await user.createTunnel({ name: 'x', localPort: 1 })
    const reader = tunnels.user({ id: user.id, scopes: ['tunnels:read'] })
    const [shown] = (await reader.listTunnels()).tunnels
    expect(shown?.token).toBe(`itt_***...${tunnel?.token.slice(-3)}`)
    expect((await user.listTunnels()).tunnels[0]?.token).toBe(tunnel?.token)
  })

  it.each([
    { request: { pageSize: -1 }, message: 'page_size: must not be negative' },
    { request: { pageToken: 'x' }, message: 'page_token: must be the next_page_token of the page before' },
    {
      request: { pageToken: Buffer.from('tun_\0').toString('base64url') },
      message: 'page_token: must be the next_page_token of the page before',
    },
    {
      request: { pageToken: 'A'.repeat(1_000_000) },
      message: 'page_token: must be the next_page_token of the page before',
    },
  ])('refuses $message', async ({ request, message }) => {
    expect(await refused(tunnels.user().listTunnels(request))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      message,
    })
  })

  it('needs tunnels:read', async () => {
    const writer = tunnels.user({ scopes: ['tunnels:write'] })
    expect(await refused(writer.listTunnels())).toMatchObject({
      code: 'PERMISSION_DENIED',
      body: { required_scope: 'tunnels:read' },
    })
  })
})
