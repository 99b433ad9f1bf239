import { createHash } from 'node:crypto'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { natsUser } from '@instatunnel/test/nats-user'
import type { Observer, SeenEvent } from '@instatunnel/test/observer'
import { anId, aTime } from '@instatunnel/test/shapes'
import { administrate } from '@instatunnel/test/sql'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import type { Sql } from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** Every change tells its event: exactly, once, in order, and also where services and NATS die in between. */

let stack: TestStack
let accounts: Accounts
let observer: Observer
let sql: Sql
let admin: Account

beforeAll(async () => {
  const settings = {
    INSTATUNNEL_ADMIN_EMAIL: 'root@example.com',
    INSTATUNNEL_ADMIN_PASSWORD: 'a long admin password',
  }
  stack = await startTestStack({ settings })
  accounts = accountsOf(stack.call)
  observer = await stack.observe()
  sql = administrate(stack)
  admin = await accounts.login({
    email: settings.INSTATUNNEL_ADMIN_EMAIL,
    password: settings.INSTATUNNEL_ADMIN_PASSWORD,
  })
})
afterAll(async () => {
  await sql.end()
  await stack.stop()
})

const post = async (path: string, token: string, body: object = {}) =>
  bodyOf(await stack.call('POST', path, { token, body }))
const patch = async (path: string, token: string, body: object) =>
  bodyOf(await stack.call('PATCH', path, { token, body }))
const remove = async (path: string, token: string) => bodyOf(await stack.call('DELETE', path, { token }))

const ofSubject = (subject: string) =>
  observer.events.filter(({ headers }) => headers['ce-subject'] === subject)
const kindOf = ({ type }: SeenEvent) => type.replace('instatunnel.events.', '')

/** Everything told about a resource so far, once as many as these have been. */
async function toldOf(subject: string, kinds: readonly string[]): Promise<SeenEvent[]> {
  await observer.event(() => ofSubject(subject).length >= kinds.length)
  const told = ofSubject(subject)
  expect(told.map(kindOf)).toEqual(kinds)
  return told
}

/** That an event is a CloudEvent in binary mode of this service, with this data and nothing else. */
function expectEvent(
  event: SeenEvent | undefined,
  service: string,
  kind: string,
  subject: string,
  data: object,
) {
  const type = `instatunnel.events.${kind}`
  expect(event).toMatchObject({ subject: type, type, data: {} })
  expect(event?.data).toEqual(data)
  expect(event?.headers).toEqual({
    'nats-msg-id': event?.id,
    'ce-specversion': '1.0',
    'ce-id': anId('evt_'),
    'ce-type': type,
    'ce-source': `/instatunnel/${service}`,
    'ce-subject': subject,
    'ce-time': aTime,
    'content-type': 'application/json',
  })
  expect(event?.stream).toBe(kind.startsWith('usage.') ? 'INSTATUNNEL_USAGE' : 'INSTATUNNEL')
}

describe('each change tells its event', () => {
  it('of users: registered, logged in, updated by themselves and by an admin', async () => {
    const user = await accounts.register()
    const again = await accounts.login(user)
    await patch('/v1/auth/user', user.token, { name: 'Ada', username: 'ada' })
    await patch('/v1/auth/user', user.token, { name: 'Ada' }) // changes nothing
    await patch(`/v1/admin/users/${user.id}`, admin.token, { plan: 'pro' })
    const secret = `changed ${user.password}`
    await post('/v1/auth/password', user.token, { current_password: user.password, new_password: secret })

    const kinds = [
      'user.registered',
      'user.logged_in',
      'user.logged_in',
      'user.updated',
      'user.updated',
      'user.updated',
    ]
    const [registered, first, second, self, plan, password] = await toldOf(user.id, kinds)
    const { id: user_id, email } = user
    const event = (seen: SeenEvent | undefined, kind: string, data: object) =>
      expectEvent(seen, 'auth', kind, user_id, { user_id, ...data })
    event(registered, 'user.registered', { email, plan: 'free', role: 'user' })
    const address = '127.0.0.1'
    event(first, 'user.logged_in', { session_id: await sessionOf(user.token), address })
    event(second, 'user.logged_in', { session_id: anId('ses_'), address })
    event(self, 'user.updated', {
      plan: 'free',
      role: 'user',
      status: 'active',
      changed: ['name', 'username'],
    })
    event(plan, 'user.updated', { plan: 'pro', role: 'user', status: 'active', changed: ['plan'] })
    event(password, 'user.updated', { plan: 'pro', role: 'user', status: 'active', changed: ['password'] })
    expect((await stack.call('GET', '/v1/tunnels', { token: again.token })).status).toBe(401)
  })

  it('of a failed login: one for an e-mail and address, however many there are', async () => {
    const user = await accounts.register()
    const attempt = (email: string) =>
      stack.call('POST', '/v1/auth/login', { body: { email, password: 'a wrong password' } })
    for (let i = 0; i < 3; i++) expect((await attempt(user.email.toUpperCase())).status).toBe(401)
    expect((await attempt('nobody@example.com')).status).toBe(401)
    const [failed] = await toldOf(user.email, ['user.login_failed'])
    expectEvent(failed, 'auth', 'user.login_failed', user.email, { email: user.email, address: '127.0.0.1' })
    await toldOf('nobody@example.com', ['user.login_failed'])
  })

  it('of sessions: revoked by logout, by hand, by a new password', async () => {
    const user = await accounts.register()
    const [out, ended, changed] = [
      await accounts.login(user),
      await accounts.login(user),
      await accounts.login(user),
    ]
    const ids = await Promise.all([out, ended, changed].map(({ token }) => sessionOf(token)))
    await post('/v1/auth/logout', out.token)
    await remove(`/v1/auth/sessions/${ids[1]}`, user.token)
    await post('/v1/auth/password', user.token, {
      current_password: user.password,
      new_password: `changed ${user.password}`,
    })
    for (const [i, reason] of ['logout', 'revoked', 'password_changed'].entries()) {
      const session_id = String(ids[i])
      const [revoked] = await toldOf(session_id, ['session.revoked'])
      expectEvent(revoked, 'auth', 'session.revoked', session_id, { session_id, user_id: user.id, reason })
    }
  })

  it('of keys: created, updated, revoked', async () => {
    const user = await accounts.register()
    const { id } = await accounts.key(user.token, {
      name: 'CI',
      permissions: ['tunnels:read', 'tunnels:*'],
      expires_in: 3600,
      metadata: { team: 'a secret of the owner’s' },
    })
    const path = `/v1/auth/keys/${id}`
    await patch(path, user.token, { name: 'CD', enabled: false })
    await patch(path, user.token, { name: 'CD' }) // changes nothing
    await remove(`${path}?reason=leaked`, user.token)

    const [created, updated, revoked] = await toldOf(id, ['key.created', 'key.updated', 'key.revoked'])
    const whose = { key_id: id, user_id: user.id }
    expectEvent(created, 'keys', 'key.created', id, {
      ...whose,
      name: 'CI',
      permissions: ['tunnels:*', 'tunnels:read'],
      expires_at: aTime,
    })
    expectEvent(updated, 'keys', 'key.updated', id, { ...whose, changed: ['name', 'enabled'] })
    expectEvent(revoked, 'keys', 'key.revoked', id, { ...whose, reason: 'leaked' })
  })

  it('of a session’s key: created with it, revoked with it; of a key that logs itself out', async () => {
    const user = await accounts.register()
    const session_id = await sessionOf(user.token)
    const created = await observer.event(
      ({ data }) => data.session_id === session_id && data.key_id !== undefined,
    )
    const { key_id } = created.data
    expectEvent(created, 'keys', 'key.created', key_id, {
      key_id,
      user_id: user.id,
      name: 'Session key',
      permissions: (await whoIs(user.token)).scopes,
      session_id,
    })
    const { id, key } = await accounts.key(user.token)
    await post('/v1/auth/logout', key)
    await post('/v1/auth/logout', user.token)
    const [, ended] = await toldOf(key_id, ['key.created', 'key.revoked'])
    expectEvent(ended, 'keys', 'key.revoked', key_id, { key_id, user_id: user.id, reason: 'session_ended' })
    const [, out] = await toldOf(id, ['key.created', 'key.revoked'])
    expectEvent(out, 'keys', 'key.revoked', id, { key_id: id, user_id: user.id, reason: 'logout' })
  })

  it('of tunnels: created, updated, token regenerated, deleted', async () => {
    const user = await accounts.register()
    const { id } = await accounts.tunnel(user.apiKey, { subdomain: 'told-about' })
    const path = `/v1/tunnels/${id}`
    await patch(path, user.apiKey, { subdomain: 'told-again', local_port: 3001 })
    await patch(path, user.apiKey, { local_port: 3001 }) // changes nothing
    keep(await post(`${path}/regenerate-token`, user.apiKey))
    await remove(path, user.apiKey)

    const kinds = ['tunnel.created', 'tunnel.updated', 'tunnel.token_regenerated', 'tunnel.deleted']
    const [created, updated, regenerated, deleted] = await toldOf(id, kinds)
    const whose = { tunnel_id: id, user_id: user.id }
    expectEvent(created, 'tunnels', 'tunnel.created', id, { ...whose, subdomain: 'told-about' })
    expectEvent(updated, 'tunnels', 'tunnel.updated', id, {
      ...whose,
      subdomain: 'told-again',
      changed: ['subdomain', 'local_port'],
    })
    expectEvent(regenerated, 'tunnels', 'tunnel.token_regenerated', id, whose)
    expectEvent(deleted, 'tunnels', 'tunnel.deleted', id, { ...whose, subdomain: 'told-again' })
  })

  it('of the use of keys: every admitted call, and no refused one', async () => {
    const user = await accounts.register()
    const { id, key } = await accounts.key(user.token, { permissions: ['tunnels:read'] })
    for (let i = 0; i < 5; i++) bodyOf(await stack.call('GET', '/v1/tunnels', { token: key }))
    expect((await stack.call('GET', '/v1/auth/user', { token: key })).status).toBe(403)
    expect((await post('/v1/auth/keys/verify', user.token, { key })).code).toBe('VALID')
    const uses = () => observer.events.filter((event) => kindOf(event) === 'usage.key').flatMap(usesIn)
    const counted = () => uses().reduce((sum, use) => sum + (use.key_id === id ? use.count : 0), 0)
    await observer.event(() => counted() >= 6)
    // A batch later nothing more has been counted.
    const { key: other, id: otherId } = await accounts.key(user.token)
    bodyOf(await stack.call('GET', '/v1/tunnels', { token: other }))
    const last = await observer.event(
      (event) => kindOf(event) === 'usage.key' && usesIn(event).some((use) => use.key_id === otherId),
    )
    expect(counted()).toBe(6)
    const data = {
      uses: usesIn(last).map(() => ({ key_id: anId('key_'), count: expect.any(Number), last: aTime })),
    }
    expectEvent(last, 'auth', 'usage.key', 'keys', data)
  })

  it('of what was refused there is none', async () => {
    const user = await accounts.register()
    const { id } = await accounts.tunnel(user.apiKey, { subdomain: 'only-created' })
    const other = await accounts.register()
    const refused = await Promise.all([
      stack.call('POST', '/v1/tunnels', {
        token: other.token,
        body: { name: 'A', local_port: 1, subdomain: 'only-created' },
      }),
      stack.call('DELETE', `/v1/tunnels/${id}`, { token: other.token }),
      stack.call('PATCH', `/v1/tunnels/${id}`, { token: other.token, body: { name: 'Mine' } }),
      stack.call('PATCH', `/v1/tunnels/${id}`, { token: user.token, body: { subdomain: 'www' } }),
      stack.call('POST', '/v1/auth/keys', {
        token: other.token,
        body: { name: 'A', permissions: ['admin:write'] },
      }),
    ])
    expect(refused.map(({ status }) => status)).toEqual([400, 404, 404, 400, 403])
    await remove(`/v1/tunnels/${id}`, user.apiKey)
    await toldOf(id, ['tunnel.created', 'tunnel.deleted'])
    expect(
      observer.events
        .filter(({ data }) => data.user_id === other.id)
        .map(kindOf)
        .sort(),
    ).toEqual(['key.created', 'user.logged_in', 'user.registered'])
  })
})

describe('an event that its service could not tell at once', () => {
  it('killed between commit and publish: each is told once, by whoever starts next', async () => {
    const user = await accounts.register()
    await outboxesEmpty()
    await stack.nats.stop()
    const { id: tunnelId } = await accounts.tunnel(user.apiKey)
    const { id: keyId } = await accounts.key(user.token)
    await patch('/v1/auth/user', user.token, { name: 'Ada' })
    const untold = await Promise.all(services.map((name) => outboxOf(name)))
    expect(untold.map((rows) => rows.map(({ type }) => type))).toEqual([
      ['user.updated'],
      ['key.created'],
      ['tunnel.created'],
    ])
    await Promise.all(services.map((name) => stack.service(name).kill()))
    await stack.nats.start()
    await Promise.all(services.map((name) => stack.service(name).start()))
    await stack.gateway.healthy()

    await toldOf(tunnelId, ['tunnel.created'])
    await toldOf(keyId, ['key.created'])
    await toldOf(user.id, ['user.registered', 'user.logged_in', 'user.updated'])
    await outboxesEmpty()
    for (const { id } of untold.flat())
      expect(observer.events.filter((event) => event.id === id)).toHaveLength(1)
  })

  it('killed between publish and forgetting: told again under the same id, the stream has it once, in its place', async () => {
    const user = await accounts.register()
    await outboxesEmpty()
    await stack.nats.stop()
    const { id } = await accounts.tunnel(user.apiKey)
    // The lock lets the publisher read and tell the row, and not forget it.
    const forgetting = Promise.withResolvers<void>()
    const held = Promise.withResolvers<{ id: string }>()
    const lock = sql.begin(async (tx) => {
      const [row] = await tx<[{ id: string }]>`select id from tunnels.outbox where subject = ${id} for update`
      held.resolve(row)
      await forgetting.promise
    })
    const row = await held.promise
    await stack.nats.start()
    await toldOf(id, ['tunnel.created'])
    await stack.service('tunnels').kill()
    forgetting.resolve()
    await lock
    expect(await outboxOf('tunnels')).toMatchObject([{ id: row.id }])
    // NATS, too, must remember over a crash of its own.
    await stack.nats.kill()
    await stack.nats.start()
    await stack.service('tunnels').start()
    await stack.gateway.healthy()

    await outboxesEmpty()
    await patch(`/v1/tunnels/${id}`, user.token, { name: 'Renamed' })
    await remove(`/v1/tunnels/${id}`, user.token)
    await toldOf(id, ['tunnel.created', 'tunnel.updated', 'tunnel.deleted'])
    expect(observer.events.filter((event) => event.id === row.id)).toHaveLength(1)
  })

  it('while NATS is away, changes are accepted, reads are fine, and all is told in order when it is back', async () => {
    const user = await accounts.register()
    const one = await accounts.tunnel(user.apiKey, { subdomain: 'one-0' })
    await outboxesEmpty()
    await stack.nats.kill()
    const two = await accounts.tunnel(user.apiKey, { subdomain: 'two-0' })
    const paths = { one: `/v1/tunnels/${one.id}`, two: `/v1/tunnels/${two.id}` }
    for (let i = 1; i <= 8; i++) {
      for (const [name, path] of Object.entries(paths))
        await patch(path, user.apiKey, { subdomain: `${name}-${i}` })
    }
    const login = await accounts.login(user)
    await post('/v1/auth/logout', login.token)
    expect((await stack.call('GET', '/v1/tunnels', { token: login.token })).status).toBe(401)
    expect((await stack.call('GET', '/v1/tunnels', { token: login.apiKey })).status).toBe(401)
    for (const path of Object.values(paths)) {
      bodyOf(await stack.call('GET', path, { token: user.token }))
      await remove(path, user.apiKey)
    }
    await stack.nats.start()

    const kinds = ['tunnel.created', ...Array(8).fill('tunnel.updated'), 'tunnel.deleted']
    for (const { id, name } of [
      { ...one, name: 'one' },
      { ...two, name: 'two' },
    ]) {
      const subdomains = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8].map((i) => `${name}-${i}`)
      expect((await toldOf(id, kinds)).map(({ data }) => data.subdomain)).toEqual(subdomains)
    }
    await observer.event(({ data }) => data.reason === 'logout' && data.user_id === user.id)
    await observer.event(({ data }) => data.reason === 'session_ended' && data.user_id === user.id)
  })

  it('killed amid changes, NATS has each of them once and in order', async () => {
    const user = await accounts.register()
    const { id } = await accounts.tunnel(user.apiKey, { subdomain: 'order-0' })
    const subdomains = Array.from({ length: 150 }, (_, i) => `order-${i}`)
    const change = async () => {
      for (const subdomain of subdomains.slice(1))
        await patch(`/v1/tunnels/${id}`, user.apiKey, { subdomain })
    }
    const changing = change()
    await observer.event(({ data }) => data.subdomain === 'order-20')
    await stack.nats.kill()
    await stack.nats.start()
    await changing
    await observer.event(({ data }) => data.subdomain === subdomains.at(-1))
    expect(ofSubject(id).map(({ data }) => data.subdomain)).toEqual(subdomains)
  })
})

describe('no event', () => {
  it('holds a secret in any of its bytes', async () => {
    await outboxesEmpty()
    const bytes = await everyMessage()
    expect(bytes.length).toBeGreaterThan(50)
    const all = Buffer.concat(bytes)
    const secrets = [...accounts.secrets, ...more].flatMap((secret) => [
      secret,
      ...hashesOf(secret),
      ...partsOf(secret),
    ])
    expect(secrets.length).toBeGreaterThan(100)
    expect(secrets.filter((secret) => all.includes(secret))).toEqual([])
    for (const word of ['argon2', 'eyJ', 'itt_', 'a secret of the owner'])
      expect(all.includes(word), word).toBe(false)
    // That the search finds what is there.
    expect(all.includes('told-about')).toBe(true)
  })
})

const services = ['auth', 'keys', 'tunnels'] as const

const outboxOf = (name: (typeof services)[number]) =>
  sql<{ id: string; type: string }[]>`select id, type from ${sql(`${name}.outbox`)} order by seq`

/** Waits until all that was to be told has been told and forgotten. */
const outboxesEmpty = () =>
  expect.poll(() => Promise.all(services.map(outboxOf)), { timeout: 10_000 }).toEqual([[], [], []])

const whoIs = async (token: string) =>
  bodyOf(await stack.call('GET', '/v1/auth/whoami', { token })).credential
const sessionOf = async (token: string): Promise<string> => (await whoIs(token)).id

const usesIn = (event: SeenEvent): { key_id: string; count: number }[] => event.data.uses

const more: string[] = []
const keep = ({ token }: { token: string }) => more.push(token)

const hashesOf = (secret: string) => {
  const digest = createHash('sha256').update(secret).digest()
  return [digest.toString('hex'), digest.toString('base64'), digest.toString('base64url')]
}
/** A token's claims and signature, and a key without its prefix. */
const partsOf = (secret: string) =>
  secret.startsWith('eyJ')
    ? secret.split('.').slice(1)
    : secret.startsWith('it')
      ? [secret.slice(-16), secret.slice(-8)]
      : []

/** Headers and data of every message on both streams, as they lie there. */
async function everyMessage(): Promise<Uint8Array[]> {
  const connection = await connect(natsUser('observer', stack.nats.url, stack.nats.seeds.observer))
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const bytes: Uint8Array[] = []
  for (const stream of ['INSTATUNNEL', 'INSTATUNNEL_USAGE']) {
    const { state } = await manager.streams.info(stream)
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(stream, { seq })
      if (!message) continue
      const headers = [...message.header].map(([name, values]) => `${name}: ${values.join(', ')}`)
      bytes.push(Buffer.from([message.subject, ...headers, ''].join('\n')), message.data)
    }
  }
  await connection.close()
  return bytes
}
