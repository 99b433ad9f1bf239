import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { askAuth } from '@instatunnel/test/direct'
import { aField, expectError, expectScopeMissing, expectUnauthorized } from '@instatunnel/test/errors'
import { createConnectSigner } from '@instatunnel/test/identity'
import { forgeries } from '@instatunnel/test/jwt'
import { atOnce } from '@instatunnel/test/load'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { type AskToConnect, askToConnect, connectRaw } from '@instatunnel/test/raw-agent'
import { restClient } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Who may connect which tunnel: its owner, with the scope for it, or its own token; and nobody past the gateway. */

const connectLimit = 20

let stack: TestStack
let accounts: Accounts
let root: Account
let open: OpenTunnel
let ada: Account
let stranger: Account
beforeAll(async () => {
  const admin = { email: 'root@example.com', password: 'a long admin password' }
  stack = await startTestStack({
    settings: {
      INSTATUNNEL_ADMIN_EMAIL: admin.email,
      INSTATUNNEL_ADMIN_PASSWORD: admin.password,
      LIMIT_CONNECT_PER_MINUTE: `${connectLimit}`,
    },
  })
  accounts = accountsOf(stack.call)
  root = await accounts.login(admin)
  open = await openTunnel(stack, accounts)
  ada = open.owner
  stranger = await accounts.register()
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

const ask = (options: Partial<AskToConnect>) => askToConnect(stack, { tunnelId: open.id, ...options })
/** How an agent is refused; fails where it is not. */
const refusal = async (options: Partial<AskToConnect>) => {
  const { answer, socket } = await ask(options)
  socket?.destroy()
  expect(socket).toBeUndefined()
  return answer
}
const noTunnel = { message: 'Tunnel not found' }

describe('is refused', () => {
  it('who has no credential, or none that is good', async () => {
    const gone = await accounts.key(ada.token)
    bodyOf(await stack.call('DELETE', `/v1/auth/keys/${gone.id}`, { token: ada.token }))
    const wrong = ['', `it_${'x'.repeat(16)}`, `${ada.apiKey}x`, `itt_${'x'.repeat(32)}`, 'eyJ.x.x', gone.key]
    expectUnauthorized(await refusal({}))
    for (const credential of wrong) expectUnauthorized(await refusal({ credential }))
    const headers = { authorization: `Basic ${btoa(`${ada.apiKey}:`)}` }
    expectUnauthorized(await refusal({ headers }))
  })

  it('who is somebody else, an admin too, as if there were no such tunnel', async () => {
    for (const { token, apiKey } of [stranger, root])
      for (const credential of [token, apiKey])
        expectError(await refusal({ credential }), 'not_found', noTunnel)
  })

  it('who lacks the scope', async () => {
    const { key } = await accounts.key(ada.token, { permissions: ['tunnels:read', 'tunnels:delete'] })
    expectScopeMissing(await refusal({ credential: key }), 'tunnels:write')
  })

  it("a tunnel's token, at any other: its owner's, a stranger's, and none", async () => {
    const second = await accounts.tunnel(ada.token)
    const theirs = await accounts.tunnel(stranger.token)
    for (const tunnelId of [second.id, theirs.id, 'tun_00000000000000000000000000'])
      expectError(await refusal({ tunnelId, credential: open.token }), 'forbidden', {
        message: "A tunnel's token is good for connecting that tunnel only",
      })
    expectError(await refusal({ credential: theirs.token }), 'forbidden', {
      message: "A tunnel's token is good for connecting that tunnel only",
    })
  })

  it('a token that was replaced, and that of a tunnel that was deleted', async () => {
    const tunnel = await accounts.tunnel(ada.token)
    const path = `/v1/tunnels/${tunnel.id}`
    const { token } = bodyOf(await stack.call('POST', `${path}/regenerate-token`, { token: ada.token }))
    expectUnauthorized(await refusal({ tunnelId: tunnel.id, credential: tunnel.token }))
    bodyOf(await stack.call('DELETE', path, { token: ada.token }))
    expectUnauthorized(await refusal({ tunnelId: tunnel.id, credential: token }))
    expectError(await refusal({ tunnelId: tunnel.id, credential: ada.apiKey }), 'not_found', noTunnel)
  })

  it('what is no tunnel’s id', async () => {
    for (const tunnelId of ['tun_1', 'docs-demo', '%00', 'a'.repeat(5000), "'--"])
      expectError(await refusal({ tunnelId, credential: ada.apiKey }), 'not_found', noTunnel)
  })

  it('a browser on another site that has the cookie', async () => {
    const cookie = `instatunnel_session=${ada.token}`
    for (const [name, value] of [
      ['origin', 'http://evil.localhost'],
      ['sec-fetch-site', 'same-site'],
      ['sec-fetch-site', 'cross-site'],
    ] as const) {
      const answer = await refusal({ headers: { cookie, [name]: value } })
      expect([answer.status, answer.body.error]).toEqual([403, 'forbidden'])
    }
  })

  it('an MCP server, on a plan without', async () => {
    const answer = await refusal({ credential: ada.apiKey, query: '?mode=mcp' })
    expect([answer.status, answer.body.error]).toEqual([403, 'plan_limit'])
    expect(answer.body.message).toMatch(/pro/)
  })

  it('what asks for anything else', async () => {
    const credential = ada.apiKey
    expectError(
      await refusal({ credential, query: '?mode=http' }),
      'validation_error',
      aField('mode', 'must be mcp'),
    )
    const unknown = aField('x', 'is no parameter of this call')
    expectError(await refusal({ credential, query: '?x=1' }), 'validation_error', unknown)
    for (const [name, value] of [
      ['agent', 'short'],
      ['agent', 'no spaces are allowed'],
      ['generation', '0'],
      ['generation', '1.5'],
      ['generation', '99999999999999999999'],
    ] as const) {
      const answer = await refusal({ credential, headers: { [`instatunnel-${name}`]: value } })
      expect([answer.status, answer.body.error], value).toEqual([400, 'validation_error'])
    }
    for (const upgrade of ['websocket', 'instatunnel-peer', 'h2c', 'tcp'])
      expect([400, 403, 426]).toContain((await refusal({ credential, headers: { upgrade } })).status)
  })

  it('what is no request for an upgrade', async () => {
    const path = `/v1/tunnels/${open.id}/connect`
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const answer = await stack.call(method, path, { token: ada.apiKey })
      expect(answer.status, method).toBeGreaterThanOrEqual(400)
      expect(answer.status, method).toBeLessThan(500)
    }
  })
})

it('an agent’s newest connection counts: an older one neither takes its place nor stays', async () => {
  const tunnel = await accounts.tunnel(stranger.token)
  const as = (generation: number) => ({
    tunnelId: tunnel.id,
    credential: tunnel.token,
    headers: { 'instatunnel-agent': 'an-agent-of-many', 'instatunnel-generation': `${generation}` },
  })
  const second = await connectRaw(stack, as(2))
  for (const generation of [1, 2]) {
    const answer = await refusal(as(generation))
    expectError(answer, 'conflict', { message: 'This agent has a newer connection' })
  }
  const third = await connectRaw(stack, as(3))
  await second.closed
  expect(third.socket.destroyed).toBe(false)
  third.socket.destroy()
})

it('a tunnel may be connected so often a minute; who is refused takes nothing of that away', async () => {
  const tunnel = await accounts.tunnel(stranger.token)
  const tunnelId = tunnel.id
  await atOnce(connectLimit * 2, () => refusal({ tunnelId, credential: ada.apiKey }))
  await atOnce(connectLimit * 2, () => refusal({ tunnelId, credential: open.token }))
  for (let generation = 1; generation <= connectLimit; generation++) {
    const headers = { 'instatunnel-generation': `${generation}` }
    const { socket } = await connectRaw(stack, { tunnelId, credential: tunnel.token, headers })
    socket.destroy()
  }
  const answer = await refusal({ tunnelId, credential: stranger.apiKey })
  expect([answer.status, answer.body.error]).toEqual([429, 'rate_limited'])
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
})

describe('past the gateway', () => {
  /** What a relay answers to whoever reaches its port. */
  const atRelay = (token: string) =>
    restClient({ port: stack.service('relay').port })('GET', `/v1/tunnels/${open.id}/connect`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'instatunnel',
        'instatunnel-agent': '0123456789abcdef',
        'instatunnel-generation': '1',
        'x-instatunnel-connect': token,
      },
    })

  it('nobody is an agent without auth’s word for it', async () => {
    const stranger = createConnectSigner()
    const claims = { tunnel: { id: open.id, subdomain: open.subdomain, tokenGeneration: 0 } }
    const forged = await stranger.sign(ada.id, claims)
    const auth = askAuth(stack)
    const method = '/instatunnel.tunnels.v1.TunnelService/ListTunnels'
    const { identity } = await auth.rpcs.authenticate({ bearer: ada.token, method })
    const [{ publicKey = '' } = {}] = (await auth.rpcs.listIdentityKeys()).keys
    auth.close()
    const tokens = [
      ['', 'none'],
      ['identity', identity],
      ['session', ada.token],
      ['key', ada.apiKey],
      ['another signer', forged],
      ...forgeries(identity, { better: claims, publicKey }),
    ]
    for (const [name, token = ''] of tokens) {
      const answer = await atRelay(token)
      expect([answer.status, answer.body.error], name).toEqual([401, 'unauthorized'])
    }
  })
})
