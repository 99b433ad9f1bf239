import { FRAME } from '@instatunnel/kit/frames'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { type TestAgent, within } from '@instatunnel/test/agent'
import { startCommand } from '@instatunnel/test/command'
import { makeTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { connectRaw, frame } from '@instatunnel/test/raw-agent'
import type { Answer } from '@instatunnel/test/rest-client'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { answered, visitorOf } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

/** A connection ends with what admitted it: within a second of the API's answer, and the agent hears why. */

const admin = { email: 'root@example.com', password: 'a long admin password' }

let stack: TestStack
let accounts: Accounts
let root: Account
let tunnel: Tunnel
let token: string
beforeAll(async () => {
  const settings = { INSTATUNNEL_ADMIN_EMAIL: admin.email, INSTATUNNEL_ADMIN_PASSWORD: admin.password }
  stack = await startTestStack({ settings })
  accounts = accountsOf(stack.call)
  root = await accounts.login(admin)
})
beforeEach(async () => {
  tunnel = await makeTunnel(stack, accounts)
  token = tunnel.owner.token
  return () => tunnel.close()
})
afterAll(() => stack?.stop())

/** What the API answered; the agent that ended by it, within a second, for this reason; and may not come again. */
async function ends(agent: TestAgent, action: () => Promise<Answer>, reason: string): Promise<Answer> {
  expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
  const answer = await action()
  bodyOf(answer)
  const since = performance.now()
  expect(await agent.ended).toMatchObject({ kind: 'sent_away', reason })
  expect(performance.now() - since).toBeLessThan(1000)
  return answer
}
const isOffline = async () => expect((await tunnel.visitor.get('/hello')).status).toBe(502)
const call = (method: string, path: string, body?: object, by = token) =>
  stack.call(method, path, { token: by, ...(body ? { body } : {}) })

describe('a key', () => {
  const withKey = async () => {
    const { id, key } = await accounts.key(token, { permissions: ['tunnels:write', 'tunnels:read'] })
    return { path: `/v1/auth/keys/${id}`, key, agent: await tunnel.connect({ credential: key }) }
  }

  it('that is revoked, which tells how many it connected', async () => {
    const { path, key, agent } = await withKey()
    const another = await tunnel.connect({ credential: key })
    const answer = await ends(agent, () => call('DELETE', path), 'key_revoked')
    expect(answer.body.connections_cut).toBe(2)
    expect(await another.ended).toMatchObject({ reason: 'key_revoked' })
    await isOffline()
    await expect(tunnel.connect({ credential: key })).rejects.toThrow(/"kind":"refused"/)
  })

  it('that connected nothing', async () => {
    const { id } = await accounts.key(token)
    const kept = await tunnel.connect()
    expect(bodyOf(await call('DELETE', `/v1/auth/keys/${id}`)).connections_cut).toBe(0)
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    expect(kept.events.map(({ kind }) => kind)).not.toContain('retrying')
  })

  it('that is disabled', async () => {
    const { path, agent } = await withKey()
    await ends(agent, () => call('PATCH', path, { enabled: false }), 'key_disabled')
    await isOffline()
  })

  it('that loses the scope', async () => {
    const { path, agent } = await withKey()
    await ends(agent, () => call('PATCH', path, { permissions: ['tunnels:read'] }), 'scope_lost')
    await isOffline()
  })

  it('that is for other subdomains only', async () => {
    const { path, agent } = await withKey()
    const elsewhere = { allowed_subdomains: ['no-such-tunnel'] }
    await ends(agent, () => call('PATCH', path, elsewhere), 'subdomain_not_allowed')
    await isOffline()
  })

  it('that is for other addresses only', async () => {
    const { path, key, agent } = await withKey()
    bodyOf(await call('PATCH', path, { allowed_ips: ['127.0.0.0/8', '::1'] }))
    const another = await tunnel.connect({ credential: key })
    const elsewhere = { allowed_ips: ['203.0.113.0/24'] }
    await ends(agent, () => call('PATCH', path, elsewhere), 'address_not_allowed')
    expect(await another.ended).toMatchObject({ reason: 'address_not_allowed' })
    await isOffline()
    await expect(tunnel.connect({ credential: key })).rejects.toThrow(/"kind":"refused"/)
  })

  it('that is changed otherwise keeps what it connected', async () => {
    const { path, agent } = await withKey()
    bodyOf(await call('PATCH', path, { name: 'Another name', permissions: ['tunnels:write'] }))
    // What would be cut is cut by now.
    const { path: other, agent: cut } = await withKey()
    await ends(cut, () => call('DELETE', other), 'key_revoked')
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    expect(agent.events.map(({ kind }) => kind)).not.toContain('retrying')
  })

  it('that expires', async () => {
    const { path, agent } = await withKey()
    const { expires_at } = bodyOf(await call('PATCH', path, { expires_in: 2 }))
    expect(await agent.ended).toMatchObject({ kind: 'sent_away', reason: 'key_expired' })
    const late = Date.now() - Date.parse(expires_at)
    expect(late).toBeGreaterThanOrEqual(0)
    expect(late).toBeLessThan(1000)
  })
})

describe('a name', () => {
  it('that is changed answers at once, and the former is 404 without waiting; under load', async () => {
    await tunnel.connect()
    const path = `/v1/tunnels/${tunnel.id}`
    const visit = (subdomain: string) => visitorOf(stack, subdomain).get('/hello')
    let former = tunnel.subdomain
    for (let round = 0; round < 3; round++) {
      const name = `${tunnel.subdomain}-${round}`.slice(-63)
      let isRenamed = false
      const load = Array.from({ length: 4 }, async () => {
        while (!isRenamed) await visit(former)
      })
      // Who asked for the new name before is no reason to wait.
      expect((await visit(name)).status).toBe(404)
      bodyOf(await call('PATCH', path, { subdomain: name }))
      isRenamed = true
      const since = performance.now()
      const olds = Promise.all(Array.from({ length: 10 }, () => visit(former)))
      const news = Promise.all(Array.from({ length: 20 }, () => visit(name)))
      expect((await olds).map(({ status }) => status)).toEqual(Array(10).fill(404))
      expect(performance.now() - since).toBeLessThan(2500) // an agent is waited for for 3 s
      expect((await news).map(({ status }) => status)).toEqual(Array(20).fill(200))
      await Promise.all(load)
      former = name
    }
  })
})

describe("a key's secret", () => {
  const rotate = async (path: string, gracePeriod = 0) =>
    bodyOf(await call('POST', `${path}/rotate`, { grace_period: gracePeriod }))
  const withKey = async () => {
    const { id, key } = await accounts.key(token, { permissions: ['tunnels:write'] })
    return { path: `/v1/auth/keys/${id}`, key, agent: await tunnel.connect({ credential: key }) }
  }
  /** Is asked about as well, once something is heard of its key: by now, as another key's agent has been cut. */
  const livesOn = async (agent: TestAgent) => {
    const { path, agent: other } = await withKey()
    await ends(other, () => call('PATCH', path, { enabled: false }), 'key_disabled')
    expect(agent.events.map(({ kind }) => kind)).not.toContain('retrying')
    expect(await Promise.race([agent.ended, 'it lives'])).toBe('it lives')
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
  }

  it('that is replaced ends what it connected; the new one connects, and stays', async () => {
    const { path, key, agent } = await withKey()
    const { body } = await ends(agent, () => call('POST', `${path}/rotate`, {}), 'key_rotated')
    await isOffline()
    await expect(tunnel.connect({ credential: key })).rejects.toThrow(/"kind":"refused"/)
    const current = await tunnel.connect({ credential: body.key })
    bodyOf(await call('PATCH', path, { name: 'Heard of again' }))
    await livesOn(current)
    await ends(current, () => call('POST', `${path}/rotate`, {}), 'key_rotated')
  })

  it('that is replaced while it connects holds nothing a second later', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, key } = await accounts.key(token, { permissions: ['tunnels:write'] })
      const connects = Array.from({ length: 4 }, () => tunnel.connect({ credential: key }))
      const rotated = rotate(`/v1/auth/keys/${id}`).then(() => performance.now())
      for (const connect of await Promise.allSettled(connects)) {
        if (connect.status === 'rejected') {
          expect(String(connect.reason)).toMatch(/refused|key_rotated/)
          continue
        }
        expect(await connect.value.ended).toMatchObject({ kind: 'sent_away', reason: 'key_rotated' })
        expect(performance.now() - (await rotated)).toBeLessThan(1000)
      }
    }
  })

  it('that is replaced ends the command, which says so and fails', async () => {
    const { id, key } = await accounts.key(token, { permissions: ['tunnels:write', 'tunnels:read'] })
    const { subdomain, site } = tunnel
    const command = await startCommand(stack, { subdomain, port: site.port, key })
    const since = performance.now()
    const cut = new Promise<number>((resolve) => {
      command.onLine((line) => {
        if (line.includes('The key that this agent connected with has another secret now'))
          resolve(performance.now() - since)
      })
    })
    await rotate(`/v1/auth/keys/${id}`)
    expect(await command.exited).toEqual({ code: 1, signal: null })
    expect(await within(cut, () => command.lines().join('\n'))).toBeLessThan(1500)
  })

  it('keeps what it connected for its grace period, to the second; the new one stays after it', async () => {
    const { path, key, agent } = await withKey()
    const { api_key: rotated, key: newer } = await rotate(path, 3)
    const current = await tunnel.connect({ credential: newer })
    const late = await tunnel.connect({ credential: key })
    for (const old of [agent, late]) {
      expect(await old.ended).toMatchObject({ kind: 'sent_away', reason: 'key_rotated' })
      const lateBy = Date.now() - Date.parse(rotated.old_secret.ends_at)
      expect(lateBy).toBeGreaterThanOrEqual(0)
      expect(lateBy).toBeLessThan(1000)
    }
    await livesOn(current)
  })

  it('whose grace period is ended ends at once', async () => {
    const { path, agent } = await withKey()
    const { key: newer } = await rotate(path, 3600)
    const current = await tunnel.connect({ credential: newer })
    await livesOn(agent)
    await ends(agent, () => call('DELETE', `${path}/rotate`), 'key_rotated')
    await livesOn(current)
  })

  it('before the old one ends with it: no more than two work', async () => {
    const { path, agent } = await withKey()
    const { key: second } = await rotate(path, 3600)
    const kept = await tunnel.connect({ credential: second })
    await ends(agent, () => call('POST', `${path}/rotate`, { grace_period: 3600 }), 'key_rotated')
    await livesOn(kept)
  })
})

describe('a session', () => {
  it('that is logged out, with what its key connected', async () => {
    const session = await accounts.login(tunnel.owner)
    const agent = await tunnel.connect({ credential: session.token })
    const withItsKey = await tunnel.connect({ credential: session.apiKey })
    const logOut = () => call('POST', '/v1/auth/logout', undefined, session.token)
    await ends(agent, logOut, 'session_ended')
    expect(await withItsKey.ended).toMatchObject({
      reason: expect.stringMatching(/session_ended|key_revoked/),
    })
    await isOffline()
  })

  it('that another session ends', async () => {
    const session = await accounts.login(tunnel.owner)
    const agent = await tunnel.connect({ credential: session.apiKey })
    const { sessions } = bodyOf(await call('GET', '/v1/auth/sessions', undefined, session.token))
    const { id } = sessions.find(({ current }: { current: boolean }) => current)
    const end = () => call('DELETE', `/v1/auth/sessions/${id}`)
    await ends(agent, end, 'session_ended')
  })

  it('that a new password ends, but for the one that it was set with', async () => {
    const session = await accounts.login(tunnel.owner)
    const agent = await tunnel.connect({ credential: session.token })
    const kept = await tunnel.connect({ credential: token })
    const change = { current_password: tunnel.owner.password, new_password: 'another long password' }
    await ends(agent, () => call('POST', '/v1/auth/password', change), 'session_ended')
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    expect(kept.events.map(({ kind }) => kind)).not.toContain('retrying')
  })
})

describe('an account', () => {
  const setStatus = (status: string) =>
    call('PATCH', `/v1/admin/users/${tunnel.owner.id}`, { status }, root.token)

  it('that is suspended, with all that it connected; restored, its keys and tokens connect again', async () => {
    const { key } = await accounts.key(token, { permissions: ['tunnels:write'] })
    const credentials = [key, tunnel.token, token, tunnel.owner.apiKey]
    const [agent, ...others] = await Promise.all(
      credentials.map((credential) => tunnel.connect({ credential })),
    )
    await ends(agent as TestAgent, () => setStatus('suspended'), 'account_suspended')
    for (const other of others) expect(await other.ended).toMatchObject({ reason: 'account_suspended' })
    await isOffline()
    for (const credential of credentials)
      await expect(tunnel.connect({ credential })).rejects.toThrow(/"kind":"refused"/)
    bodyOf(await setStatus('active'))
    for (const credential of [key, tunnel.token]) await tunnel.connect({ credential })
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    await expect(tunnel.connect({ credential: token })).rejects.toThrow(/"kind":"refused"/)
  })

  it('that is suspended and restored again and again is in the end as it was said last', async () => {
    const { key } = await accounts.key(token, { permissions: ['tunnels:write'] })
    for (const last of ['suspended', 'active']) {
      const agent = last === 'suspended' ? await tunnel.connect({ credential: key }) : undefined
      for (let n = 0; n < 5; n++)
        for (const status of ['active', 'suspended']) bodyOf(await setStatus(status))
      bodyOf(await setStatus(last))
      if (agent) expect(await agent.ended).toMatchObject({ reason: 'account_suspended' })
      if (agent) await isOffline()
    }
    await tunnel.connect({ credential: key })
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
  })

  it('whose tunnel is renamed while it is suspended has it at the new name alone once it is restored', async () => {
    const agent = await tunnel.connect({ credential: tunnel.token })
    await ends(agent, () => setStatus('suspended'), 'account_suspended')
    const subdomain = `${tunnel.subdomain}-2`
    bodyOf(await call('PATCH', `/v1/tunnels/${tunnel.id}`, { subdomain }, root.token))
    const renamed = visitorOf(stack, subdomain)
    expect([(await renamed.get('/hello')).status, (await tunnel.visitor.get('/hello')).status]).toEqual([
      502, 404,
    ])
    bodyOf(await setStatus('active'))
    await tunnel.connect({ credential: tunnel.token })
    expect([(await renamed.get('/hello')).text, (await tunnel.visitor.get('/hello')).status]).toEqual([
      'hello',
      404,
    ])
  })
})

describe('a tunnel', () => {
  it('whose token is regenerated, which tells how many held the old one', async () => {
    const agent = await tunnel.connect({ credential: tunnel.token })
    const another = await tunnel.connect({ credential: tunnel.token })
    const kept = await tunnel.connect()
    const regenerate = () => call('POST', `/v1/tunnels/${tunnel.id}/regenerate-token`)
    const { body } = await ends(agent, regenerate, 'token_regenerated')
    expect(body.connections_cut).toBe(2)
    expect(await another.ended).toMatchObject({ reason: 'token_regenerated' })
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    expect(kept.events.map(({ kind }) => kind)).not.toContain('retrying')
    await expect(tunnel.connect({ credential: tunnel.token })).rejects.toThrow(/"kind":"refused"/)
    // What was told of once is not told of again.
    await tunnel.connect({ credential: body.token })
    expect(bodyOf(await regenerate()).connections_cut).toBe(1)
    expect(bodyOf(await regenerate()).connections_cut).toBe(0)
  })

  it('that is deleted: its agents go, and its name is free', async () => {
    const agent = await tunnel.connect({ credential: tunnel.token })
    const another = await tunnel.connect()
    await ends(agent, () => call('DELETE', `/v1/tunnels/${tunnel.id}`), 'tunnel_deleted')
    expect(await another.ended).toMatchObject({ reason: 'tunnel_deleted' })
    const again = await makeTunnel(stack, accounts, undefined, { subdomain: tunnel.subdomain })
    await again.connect()
    expect((await again.visitor.get('/hello')).text).toBe('hello')
    await again.close()
  })

  it('that has another name: its agents are there at once, and nobody under the old one', async () => {
    const agent = await tunnel.connect()
    const before = agent.events.length
    const subdomain = `${tunnel.subdomain.slice(0, 50)}-too`
    bodyOf(await call('PATCH', `/v1/tunnels/${tunnel.id}`, { subdomain }))
    const since = performance.now()
    const { url } = await agent.event('connected', before)
    expect(performance.now() - since).toBeLessThan(1000)
    expect(url).toBe(`http://${subdomain}.localhost:${stack.gateway.port}`)
    expect((await visitorOf(stack, subdomain).get('/hello')).text).toBe('hello')
    expect((await tunnel.visitor.get('/hello')).status).toBe(404)
  })
})

describe('a plan', () => {
  const setPlan = (plan: string) => call('PATCH', `/v1/admin/users/${tunnel.owner.id}`, { plan }, root.token)

  it('that allows a tunnel no more, and the older ones go on', async () => {
    bodyOf(await setPlan('pro'))
    const newer = []
    for (let i = 0; i < 3; i++) newer.push(await makeTunnel(stack, accounts, tunnel.owner))
    const kept = await Promise.all([tunnel, ...newer].map((each) => each.connect()))
    const last = kept.pop() as TestAgent
    await ends(last, () => setPlan('free'), 'plan_limit')
    for (const each of [tunnel, ...newer.slice(0, 2)])
      expect((await each.visitor.get('/hello')).text).toBe('hello')
    for (const { events } of kept) expect(events.map(({ kind }) => kind)).not.toContain('retrying')
    await Promise.all(newer.map((each) => each.close()))
  })

  it('that allows no MCP any more', async () => {
    bodyOf(await setPlan('business'))
    const agent = await tunnel.connect({ mode: 'mcp' })
    const plain = await tunnel.connect()
    await ends(agent, () => setPlan('free'), 'plan_limit')
    expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
    expect(plain.events.map(({ kind }) => kind)).not.toContain('retrying')
    await expect(tunnel.connect({ mode: 'mcp' })).rejects.toThrow(/plan_limit/)
  })
})

it('an agent that has said that it leaves ends no later for that', async () => {
  const { id, key } = await accounts.key(token)
  const agent = await connectRaw(stack, { tunnelId: tunnel.id, credential: key })
  const answer = expect(tunnel.visitor.get('/')).rejects.toThrow('aborted')
  const { stream } = await agent.opened()
  agent.socket.write(Buffer.concat([frame(FRAME.head, stream, '200\nOK'), frame(FRAME.goaway, 0, 'leaving')]))
  await expect.poll(async () => (await tunnel.visitor.get('/hello')).status).toBe(502)
  bodyOf(await call('PATCH', `/v1/auth/keys/${id}`, { enabled: false }))
  const since = performance.now()
  await answer
  expect(performance.now() - since).toBeLessThan(1000)
  agent.socket.destroy()
})

it('what is in flight is cut off, and not taken for whole', async () => {
  const { id, key } = await accounts.key(token)
  await tunnel.connect({ credential: key })
  const arrival = tunnel.site.arrival('/half')
  const asked = tunnel.visitor.ask('/half').end()
  ;(await arrival).response.write('half')
  const pieces = (await answered(asked)).setEncoding('utf8')[Symbol.asyncIterator]()
  expect((await pieces.next()).value).toBe('half')
  const brokenOff = expect(pieces.next()).rejects.toThrow('aborted')
  bodyOf(await call('DELETE', `/v1/auth/keys/${id}`))
  await brokenOff
})
