import { setImmediate } from 'node:timers/promises'
import { createLog } from '@instatunnel/kit/log'
import type { CheckConnectionRequest } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ConnectedAgent, occupy, openConnections } from '../test/agents.ts'
import { createClock } from '../test/clock.ts'
import { createArrivals } from './arrivals.ts'
import { watchCredentials } from './credential-watch.ts'
import { createEndedCredentials } from './ended-credentials.ts'
import type { CredentialEnd } from './events/credential-ends.ts'
import type { CutRequest } from './events/on-cut.ts'
import { createRenames } from './renames.ts'

const SESSION = { type: 'session', id: 'ses_1', sessionId: 'ses_1' } as const
const SESSION_KEY = { type: 'api_key', id: 'key_ses', sessionId: 'ses_1' } as const
const TOKEN = { type: 'tunnel_token', id: 'tun_1' } as const

/** What auth says of a connection; "" lets it live on, until then where that is said. */
type Said = string | { reason: ''; expiresAt: number; expiryReason?: string }

/** A watch whose time the test lets pass, and auth, which answers so. */
function open(answer: (asked: CheckConnectionRequest) => Said | Promise<Said> = () => '') {
  const clock = createClock()
  const logged: string[] = []
  const { connections, connect } = openConnections(clock)
  const ended = createEndedCredentials(clock.now)
  const asked: CheckConnectionRequest[] = []
  const auth = { answer, underWay: 0, most: 0 }
  const nats = { isHeard: true }
  const renamed = createRenames({
    connections,
    ended,
    routes: { routesOf: () => [], routesTo: () => [], forget: () => {} },
    arrivals: createArrivals(clock),
    known: { forget: () => {} },
  })
  const machine = { aheadMs: 0 }
  const watch = watchCredentials({
    ...clock,
    now: () => new Date(clock.now().getTime() + machine.aheadMs),
    monotonicNow: clock.now,
    connections,
    ended,
    renamed,
    isHearing: () => nats.isHeard,
    log: createLog('relay', 'warn', { write: (line) => logged.push(line) }),
    auth: {
      async checkConnection(request) {
        asked.push(request)
        auth.most = Math.max(auth.most, ++auth.underWay)
        try {
          const said = await auth.answer(request)
          return typeof said === 'string' ? { reason: said } : said
        } finally {
          auth.underWay--
        }
      },
    },
  })
  onTestFinished(() => watch.close())
  const heard = async (end: CredentialEnd) => {
    watch.heard(end, clock.now())
    await setImmediate()
  }
  const pass = async (ms: number) => {
    clock.pass(ms)
    await setImmediate()
  }
  return { clock, machine, connections, connect, watch, heard, pass, asked, auth, ended, logged, nats }
}

/** A connection of each kind, at a tunnel of its own user's; and by key_1 one at another tunnel. */
function openAll(answer?: Parameters<typeof open>[0]) {
  const all = open(answer)
  const { connect } = all
  const agents = {
    key: connect(),
    session: connect({ credential: SESSION }),
    sessionKey: connect({ credential: SESSION_KEY }),
    oldToken: connect({ credential: TOKEN }),
    newToken: connect({ credential: TOKEN, tokenGeneration: 1 }),
    otherKey: connect({ credential: { type: 'api_key', id: 'key_2' } }),
    elsewhere: connect({ tunnelId: 'tun_2', subdomain: 'shop' }),
    stranger: connect({
      tunnelId: 'tun_3',
      subdomain: 'blog',
      userId: 'user_2',
      credential: { type: 'api_key', id: 'key_3' },
    }),
  }
  const namesOf = (these: Iterable<unknown>) =>
    Object.entries(agents)
      .filter(([, { connection }]) => ![...these].includes(connection))
      .map(([name]) => name)
  const inService = () => ['tun_1', 'tun_2', 'tun_3'].flatMap((id) => all.connections.ofTunnel(id))
  return { ...all, agents, goneNow: () => namesOf(inService()) }
}

const ends = (type: 'api_key' | 'session' | 'tunnel_token', id: string, reason: string) =>
  ({ kind: 'ended', credential: { type, id }, reason }) as CredentialEnd

describe('an event', () => {
  it.each<[string, CredentialEnd, string[], string]>([
    ['a revoked key', ends('api_key', 'key_1', 'key_revoked'), ['key', 'elsewhere'], 'key_revoked'],
    ["a session's revoked key", ends('api_key', 'key_ses', 'key_revoked'), ['sessionKey'], 'key_revoked'],
    ['a session', ends('session', 'ses_1', 'session_ended'), ['session', 'sessionKey'], 'session_ended'],
    [
      'a deleted tunnel',
      { kind: 'tunnel_deleted', tunnelId: 'tun_1' },
      ['key', 'session', 'sessionKey', 'oldToken', 'newToken', 'otherKey'],
      'tunnel_deleted',
    ],
  ])('of %s cuts exactly what that admitted, and tells why', async (_, end, names, reason) => {
    const { heard, agents, goneNow, asked } = openAll()
    await heard(end)
    expect(goneNow()).toEqual(names)
    for (const name of names) expect(await agents[name as keyof typeof agents].sentAway).toBe(reason)
    expect(asked).toEqual([])
  })

  it('of a regenerated token cuts those with an older one; holders of keys live on', async () => {
    const { heard, agents, goneNow, asked } = openAll(({ tokenGeneration }) =>
      tokenGeneration === 0 ? 'token_regenerated' : '',
    )
    await heard(ends('tunnel_token', 'tun_1', 'token_regenerated'))
    expect(goneNow()).toEqual(['oldToken'])
    expect(await agents.oldToken.sentAway).toBe('token_regenerated')
    const token = { tunnelId: 'tun_1', credentialType: 'tunnel_token', credentialId: 'tun_1', mode: '' }
    expect(asked).toEqual([
      { ...token, secretGeneration: 0, tokenGeneration: 0 },
      { ...token, secretGeneration: 0, tokenGeneration: 1 },
    ])
  })

  it("of a key's other secret cuts those with an older one, and has auth say which that is", async () => {
    const { heard, connect, connections, asked } = open(({ secretGeneration }) =>
      secretGeneration === 1 ? 'key_rotated' : '',
    )
    const [old, current] = [1, 2].map((secretGeneration) =>
      connect({ credential: { type: 'api_key', id: 'key_1', secretGeneration } }),
    )
    await heard({ kind: 'recheck', keyId: 'key_1' })
    expect(connections.all()).toEqual([current?.connection])
    expect(await old?.sentAway).toBe('key_rotated')
    expect(asked.map(({ secretGeneration }) => secretGeneration)).toEqual([1, 2])
  })

  it("of a key's other networks cuts those from elsewhere, and tells auth where each is from", async () => {
    const { heard, connect, connections, asked } = open(({ address }) =>
      address === '192.0.2.1' ? '' : 'address_not_allowed',
    )
    const [inside, outside] = ['192.0.2.1', '198.51.100.1'].map((address) => connect({ address }))
    await heard({ kind: 'recheck', keyId: 'key_1' })
    expect(connections.all()).toEqual([inside?.connection])
    expect(await outside?.sentAway).toBe('address_not_allowed')
    expect(asked.map(({ address }) => address)).toEqual(['192.0.2.1', '198.51.100.1'])
  })

  it('of another name sends those away that have the old one, and lets what is in flight finish', async () => {
    const { heard, agents, goneNow, connect, connections } = openAll()
    const renamed = connect({ subdomain: 'manual' })
    const stream = occupy(agents.key)
    await heard({ kind: 'tunnel_renamed', tunnelId: 'tun_1', subdomain: 'manual' })
    expect(goneNow()).toEqual(['key', 'session', 'sessionKey', 'oldToken', 'newToken', 'otherKey'])
    expect(connections.at('manual')).toEqual([renamed.connection])
    expect(await agents.key.sentAway).toBe('tunnel_changed')
    expect(agents.key.connection.link.ended).toBe(false)
    stream?.reset(0)
  })

  it('of another response timeout holds for the connections that there are, and ends none', async () => {
    const { heard, goneNow, agents, connections } = openAll()
    const before = connections.ofTunnel('tun_1')
    await heard({ kind: 'tunnel_limited', tunnelId: 'tun_1', responseTimeout: 0 })
    expect(before.map(({ responseTimeout }) => responseTimeout)).toEqual(before.map(() => 0))
    expect(agents.elsewhere.connection.responseTimeout).toBeUndefined()
    await heard({ kind: 'tunnel_limited', tunnelId: 'tun_1', responseTimeout: undefined })
    expect(before.map(({ responseTimeout }) => responseTimeout)).toEqual(before.map(() => undefined))
    expect(goneNow()).toEqual([])
  })

  it('ends also what only finishes', async () => {
    const { heard, agents, connections } = openAll(() => 'key_disabled')
    const stream = occupy(agents.key)
    connections.retire((each) => each === agents.key.connection, 'leaving')
    await heard({ kind: 'recheck', keyId: 'key_1' })
    expect(agents.key.connection.link.ended).toBe(true)
    stream?.reset(0)
  })

  it('of an update that changed no name sends nobody away, nor does one of long ago', async () => {
    const { heard, watch, goneNow, clock } = openAll()
    await heard({ kind: 'tunnel_renamed', tunnelId: 'tun_1', subdomain: 'docs' })
    const longAgo = new Date(clock.now().getTime() - 60_000)
    watch.heard({ kind: 'tunnel_renamed', tunnelId: 'tun_1', subdomain: 'former' }, longAgo)
    expect(goneNow()).toEqual([])
  })

  it.each<[string, CredentialEnd, number]>([
    ['key', { kind: 'recheck', keyId: 'key_1' }, 2],
    ['user', { kind: 'recheck', userId: 'user_1' }, 7],
    ['stranger', { kind: 'recheck', userId: 'user_9' }, 0],
  ])(
    'of a changed %s has auth asked at once about what that holds, and about nothing else',
    async (_, end, n) => {
      const { heard, asked, goneNow } = openAll()
      await heard(end)
      expect(asked).toHaveLength(n)
      expect(goneNow()).toEqual([])
    },
  )

  it('cuts also what was only finishing', async () => {
    const { heard, agents, connections } = openAll()
    occupy(agents.key)
    connections.retire((each) => each === agents.key.connection, 'draining')
    await heard(ends('api_key', 'key_1', 'key_revoked'))
    await agents.key.ended
    expect(agents.key.connection.link.ended).toBe(true)
  })
})

describe('a credential that expires', () => {
  it.each([
    ['key_expired', { type: 'api_key', id: 'key_1' }],
    ['key_rotated', { type: 'api_key', id: 'key_1' }],
    ['session_expired', SESSION],
    ['session_expired', SESSION_KEY],
  ] as const)('cuts with %s, to the second, once auth says so', async (reason, credential) => {
    const { clock, connect, pass, connections, asked } = open(() => reason)
    const expiresAt = clock.now().getTime() / 1000 + 10.5
    const agent = connect({ credential: { ...credential, expiresAt, expiryReason: reason } })
    connect()
    await pass(10_499)
    expect(connections.size).toBe(2)
    await pass(500)
    expect(connections.size).toBe(1)
    expect(await agent.sentAway).toBe(reason)
    expect(asked).toHaveLength(1)
  })

  const key = { type: 'api_key', id: 'key_1', expiryReason: 'key_expired' } as const

  it('by our clock alone, which has jumped, sends nobody away', async () => {
    const { clock, machine, connect, pass, connections, asked, auth } = open()
    const expiresAt = clock.now().getTime() / 1000 + 300
    auth.answer = () => ({ reason: '', expiresAt })
    connect({ credential: { ...key, expiresAt } })
    machine.aheadMs = 600_000
    await pass(250)
    expect(asked).toHaveLength(1)
    machine.aheadMs = 0
    for (let passed = 0; passed < 299_000; passed += 1000) await pass(1000)
    expect(connections.size).toBe(1)
    auth.answer = () => 'key_expired'
    await pass(1250)
    expect(connections.size).toBe(0)
  })

  it('where auth has not seen that yet is asked about again in a moment', async () => {
    const { clock, connect, pass, connections, asked, auth } = open()
    const expiresAt = clock.now().getTime() / 1000 + 1
    auth.answer = () => ({ reason: '', expiresAt })
    const agent = connect({ credential: { ...key, expiresAt } })
    await pass(1000)
    expect([asked.length, connections.size]).toEqual([1, 1])
    auth.answer = () => 'key_expired'
    await pass(250)
    expect(connections.size).toBe(0)
    expect(await agent.sentAway).toBe('key_expired')
  })

  it('ends half a minute later where auth cannot be asked', async () => {
    const { clock, connect, pass, connections } = open(() => Promise.reject(new Error('away')))
    const expiresAt = clock.now().getTime() / 1000 + 1
    const agent = connect({ credential: { ...key, expiresAt } })
    for (let passed = 0; passed < 30_000; passed += 1000) await pass(1000)
    expect(connections.size).toBe(1)
    for (let passed = 0; passed < 6000; passed += 1000) await pass(1000)
    expect(connections.size).toBe(0)
    expect(await agent.sentAway).toBe('key_expired')
  })
})

describe('an expiry that was changed since the agent came', () => {
  const key = { type: 'api_key', id: 'key_1' } as const

  it('counts as it is now: later, sooner, or none any more', async () => {
    const { clock, connect, pass, heard, auth, connections } = open()
    const inSeconds = (seconds: number) => clock.now().getTime() / 1000 + seconds
    connect({ credential: { ...key, expiresAt: inSeconds(10) } })
    auth.answer = () => ({ reason: '', expiresAt: inSeconds(20) })
    await heard({ kind: 'recheck', keyId: 'key_1' })
    await pass(15_000)
    expect(connections.size).toBe(1)
    auth.answer = () => ''
    await heard({ kind: 'recheck', keyId: 'key_1' })
    await pass(15_000)
    expect(connections.size).toBe(1)
    auth.answer = () => ({ reason: '', expiresAt: inSeconds(2) })
    await heard({ kind: 'recheck', keyId: 'key_1' })
    await pass(1999)
    expect(connections.size).toBe(1)
    auth.answer = () => 'key_expired'
    await pass(250)
    expect(connections.size).toBe(0)
  })

  it('is told with the reason that it has', async () => {
    const { clock, connect, pass, heard, auth } = open()
    const agent = connect({ credential: { ...key, expiresAt: 2e9, expiryReason: 'key_expired' } })
    const expiresAt = clock.now().getTime() / 1000 + 1
    auth.answer = () => ({ reason: '', expiresAt, expiryReason: 'key_rotated' })
    await heard({ kind: 'recheck', keyId: 'key_1' })
    auth.answer = () => Promise.reject(new Error('away'))
    for (let passed = 0; passed < 37_000; passed += 1000) await pass(1000)
    expect(await agent.sentAway).toBe('key_rotated')
  })
})

describe('auth is asked about each connection', () => {
  it('every five seconds while nothing is heard', async () => {
    const { connect, asked, pass, nats } = open()
    connect()
    nats.isHeard = false
    await pass(250)
    await pass(4999)
    expect(asked).toHaveLength(0)
    await pass(251)
    expect(asked).toHaveLength(1)
    await pass(250)
    await pass(5250)
    expect(asked).toHaveLength(2)
  })

  it('once a minute, from when it came', async () => {
    const { connect, pass, asked } = open()
    connect({ mode: 'mcp', tokenGeneration: 3 })
    await pass(59_999)
    expect(asked).toEqual([])
    await pass(1)
    const about = { tunnelId: 'tun_1', credentialType: 'api_key', credentialId: 'key_1' }
    expect(asked).toEqual([{ ...about, tokenGeneration: 3, secretGeneration: 0, mode: 'mcp' }])
    await pass(59_999)
    expect(asked).toHaveLength(1)
    await pass(1)
    expect(asked).toHaveLength(2)
  })

  it.each([
    ['key_disabled', 'key_disabled'],
    ['scope_lost', 'scope_lost'],
    ['plan_limit', 'plan_limit'],
    ['something_newer', 'scope_lost'],
  ])('and what it says is over, for %s, is cut and told %s', async (reason, told) => {
    const { connect, pass, connections } = open(() => reason)
    const agent = connect()
    await pass(60_000)
    expect(connections.size).toBe(0)
    expect(await agent.sentAway).toBe(told)
  })

  it('16 at once at most, and about the next as soon as one is answered', async () => {
    const answers: (() => void)[] = []
    const { connect, pass, asked, auth } = open(
      () => new Promise((resolve) => answers.push(() => resolve(''))),
    )
    for (let n = 0; n < 40; n++) connect()
    await pass(60_000)
    expect(asked).toHaveLength(16)
    await pass(10_000)
    expect(asked).toHaveLength(16)
    answers.shift()?.()
    await setImmediate()
    expect(asked).toHaveLength(17)
    while (answers.length > 0) {
      answers.shift()?.()
      await setImmediate()
    }
    expect(asked).toHaveLength(40)
    expect(auth.most).toBe(16)
  })

  it('first about what something was heard of, however many wait', async () => {
    const answers: (() => void)[] = []
    const { connect, pass, asked, heard } = open(
      () => new Promise((resolve) => answers.push(() => resolve(''))),
    )
    for (let n = 0; n < 40; n++) connect()
    connect({ credential: { type: 'api_key', id: 'key_2' } })
    await pass(60_000)
    await heard({ kind: 'recheck', keyId: 'key_2' })
    answers.shift()?.()
    await setImmediate()
    expect(asked.at(-1)?.credentialId).toBe('key_2')
  })

  it('once more where something was heard while it was being asked about', async () => {
    const answers: ((reason: string) => void)[] = []
    const { connect, pass, asked, heard, connections } = open(
      () => new Promise((resolve) => answers.push(resolve)),
    )
    connect()
    await pass(60_000)
    await heard({ kind: 'recheck', keyId: 'key_1' })
    expect(asked).toHaveLength(1)
    answers[0]?.('')
    await setImmediate()
    expect(asked).toHaveLength(2)
    answers[1]?.('key_disabled')
    await setImmediate()
    expect(connections.size).toBe(0)
  })

  it('again after 5 s where it was away, and nothing is cut because of that', async () => {
    const { connect, pass, asked, auth, connections, logged } = open(() => Promise.reject(new Error('away')))
    for (let n = 0; n < 20; n++) connect()
    await pass(60_000)
    expect(asked).toHaveLength(20)
    expect(auth.most).toBe(16)
    await pass(4999)
    expect(asked).toHaveLength(20)
    await pass(1)
    expect(asked).toHaveLength(40)
    expect(connections.size).toBe(20)
    expect(logged).toHaveLength(2)
    auth.answer = () => ''
    await pass(5000)
    expect(asked).toHaveLength(60)
    await pass(59_999)
    expect(asked).toHaveLength(60)
  })

  it('no more once it has gone, or all is closed', async () => {
    const answers: (() => void)[] = []
    const { connect, pass, asked, connections, watch } = open(
      () => new Promise((resolve) => answers.push(() => resolve(''))),
    )
    const agents: ConnectedAgent[] = []
    for (let n = 0; n < 18; n++) agents.push(connect())
    await pass(60_000)
    connections.cut((each) => each === agents[16]?.connection, 'leaving')
    answers.shift()?.()
    await setImmediate()
    expect(asked).toHaveLength(17)
    watch.close()
    for (const answer of answers) answer()
    await pass(120_000)
    expect(asked).toHaveLength(17)
  })

  it('at once where it was let through just before something about it changed', async () => {
    const { connect, pass, heard, asked, connections } = open(() => 'key_disabled')
    await heard({ kind: 'recheck', keyId: 'key_1' })
    const agent = connect()
    await pass(250)
    expect(asked).toHaveLength(1)
    expect(connections.size).toBe(0)
    expect(await agent.sentAway).toBe('key_disabled')
  })

  it('at once where it was let through just after an end that auth may not have seen', async () => {
    const { connect, pass, heard, asked } = open()
    await heard(ends('api_key', 'key_1', 'key_revoked'))
    await pass(2000)
    connect()
    connect({ credential: { type: 'api_key', id: 'key_2' } })
    await pass(250)
    expect(asked).toHaveLength(1)
    await pass(30_000)
    expect(asked).toHaveLength(1)
  })
})

describe('a cut that is asked for', () => {
  const key: CutRequest = { credentialType: 'api_key', credentialId: 'key_1', reason: 'key_revoked' }
  const token: CutRequest = {
    credentialType: 'tunnel_token',
    credentialId: 'tun_1',
    reason: 'token_regenerated',
    tokenGeneration: 1,
  }

  it('cuts what the credential holds, and tells how many; the event finds no more', async () => {
    const { watch, heard, agents, goneNow } = openAll()
    expect(watch.cut(key)).toBe(2)
    expect(goneNow()).toEqual(['key', 'elsewhere'])
    expect(await agents.key.sentAway).toBe('key_revoked')
    await heard(ends('api_key', 'key_1', 'key_revoked'))
    expect(watch.cut(key)).toBe(0)
  })

  it('tells as many where the event came first', async () => {
    const { watch, heard } = openAll()
    await heard(ends('api_key', 'key_1', 'key_revoked'))
    expect(watch.cut(key)).toBe(2)
  })

  it('tells as many where auth was asked first', async () => {
    const { watch, heard, goneNow } = openAll(({ tokenGeneration }) =>
      tokenGeneration === 0 ? 'token_regenerated' : '',
    )
    await heard(ends('tunnel_token', 'tun_1', 'token_regenerated'))
    expect(watch.cut(token)).toBe(1)
    expect(goneNow()).toEqual(['oldToken'])
  })

  it.each([
    [9999, 2],
    [10_000, 0],
  ])('tells, %i ms after the event, of %i', async (ms, told) => {
    const { watch, heard, pass } = openAll()
    await heard(ends('api_key', 'key_1', 'key_revoked'))
    await pass(ms)
    expect(watch.cut(key)).toBe(told)
  })

  it('tells of none that something else had ended', async () => {
    const { watch, heard } = openAll()
    await heard({ kind: 'tunnel_deleted', tunnelId: 'tun_1' })
    expect(watch.cut({ ...key, credentialId: 'key_ses' })).toBe(0)
  })

  it("cuts of a tunnel's token what has an older one, each time, and tells of each once", () => {
    const { watch, goneNow } = openAll()
    expect(watch.cut(token)).toBe(1)
    expect(goneNow()).toEqual(['oldToken'])
    expect(watch.cut({ ...token, tokenGeneration: 2 })).toBe(1)
    expect(goneNow()).toEqual(['oldToken', 'newToken'])
  })

  it('tells of no other credential, and of none that holds nothing', async () => {
    const { watch, heard, goneNow } = openAll()
    await heard(ends('session', 'ses_1', 'session_ended'))
    expect(watch.cut(key)).toBe(2)
    expect(watch.cut({ ...key, credentialId: 'key_ses' })).toBe(0)
    expect(watch.cut({ ...key, credentialId: 'key_9' })).toBe(0)
    expect(watch.cut({ ...key, credentialType: 'session' })).toBe(0)
    expect(goneNow()).toEqual(['key', 'session', 'sessionKey', 'elsewhere'])
  })

  it('counts what was only finishing', () => {
    const { watch, agents, connections } = openAll()
    occupy(agents.key)
    connections.retire((each) => each === agents.key.connection, 'leaving')
    expect(watch.cut(key)).toBe(2)
  })
})
