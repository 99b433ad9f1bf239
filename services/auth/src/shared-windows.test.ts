import { freshNats } from '@instatunnel/test/nats'
import { natsUser } from '@instatunnel/test/nats-user'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection, nanos } from '@nats-io/transport-node'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { MINUTE, type WindowReplica, windowReplicas } from '../test/window-replicas.ts'
import { createRendezvous } from './domain/rendezvous.ts'
import type { Taken } from './domain/sliding-window.ts'
import { writeWindowMessage } from './domain/window-message.ts'

const server = await freshNats()
const clock = { now: new Date('2026-07-01T12:00:00Z') }
const now = () => clock.now
const pass = (ms: number) => {
  clock.now = new Date(clock.now.getTime() + ms)
}
const replicas = windowReplicas(server, now)
const connections: NatsConnection[] = []
afterEach(() => replicas.leave())
afterAll(() => Promise.all(connections.map((connection) => connection.close())))

let subjects = 0
const times = (count: number) => Array.from({ length: count }, (_, i) => i)

type Named = Pick<WindowReplica, 'name'>

/** A subject that this one of them owns, and nobody has counted yet. */
function subjectOf(owner: Named, among: readonly Named[], kind = 'read'): string {
  const { ownerOf } = createRendezvous()
  const names = among.map(({ name }) => name)
  for (;;) {
    const subject = `${kind}:user_${++subjects}`
    if (ownerOf(subject, names) === owner.name) return subject
  }
}

const admittedOf = (taken: readonly Taken[]) => taken.filter(({ admitted }) => admitted).length

/** Takes so many at once, spread over replicas. */
const takeAll = (from: readonly WindowReplica[], count: number, subject: string, limit: number) =>
  Promise.all(
    times(count).map((i) => (from[i % from.length] as WindowReplica).windows.take(subject, limit, now())),
  )

/** A connection of a user of NATS. */
async function as(user: 'auth' | 'keys'): Promise<NatsConnection> {
  const connection = await connect(natsUser(user, server.url, server.seeds[user]))
  connections.push(connection)
  return connection
}

/** All that replicas say to one another about windows, from now on. */
async function overheard() {
  const connection = await as('auth')
  const heard: string[] = []
  connection.subscribe('instatunnel.auth.limits.*', {
    callback: (_, message) => void heard.push(message.string()),
  })
  await connection.flush()
  return { heard, settled: () => connection.flush() }
}

describe('windows over replicas', () => {
  it.each([2, 3])(
    'of %i admit exactly as many as the limit, whoever is asked, all at once',
    async (count) => {
      const all = await replicas.start(count)
      for (const owner of all) {
        const subject = subjectOf(owner, all)
        const taken = await takeAll(all, 300, subject, 100)
        expect(admittedOf(taken)).toBe(100)
        // Each of the places was given once.
        const left = taken.filter(({ admitted }) => admitted).map(({ remaining }) => remaining)
        expect(left.sort((a, b) => a - b)).toEqual(times(100))
        expect(admittedOf(await takeAll(all, 30, subject, 100))).toBe(0)
      }
    },
  )

  it('slide over all of them: a place is free when its call has left, and not before', async () => {
    const all = await replicas.start(2)
    const subject = subjectOf(all[0] as WindowReplica, all)
    expect(admittedOf(await takeAll(all, 20, subject, 10))).toBe(10)
    pass(MINUTE - 1)
    expect(admittedOf(await takeAll(all, 20, subject, 10))).toBe(0)
    pass(1)
    expect(admittedOf(await takeAll(all, 20, subject, 10))).toBe(10)
  })

  it('are told of alike: what is left, and when a place is free', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all)
    expect(owner.windows.take(subject, 3, now())).toEqual({
      admitted: true,
      limit: 3,
      remaining: 2,
      resetSeconds: 60,
    })
    pass(20_000)
    expect(await other.windows.take(subject, 3, now())).toEqual({
      admitted: true,
      limit: 3,
      remaining: 1,
      resetSeconds: 40,
    })
    expect(await other.windows.look(subject, 3, now())).toEqual(owner.windows.look(subject, 3, now()))
    await other.windows.take(subject, 3, now())
    const refused = { admitted: false, limit: 3, remaining: 0, resetSeconds: 40 }
    expect([await other.windows.take(subject, 3, now()), owner.windows.take(subject, 3, now())]).toEqual([
      refused,
      refused,
    ])
  })

  it('spend nothing by a refusal, nor by a look', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all)
    for (const _ of times(50)) await other.windows.look(subject, 2, now())
    expect(admittedOf(await takeAll([other], 2, subject, 2))).toBe(2)
    pass(30_000)
    expect(admittedOf(await takeAll([other], 500, subject, 2))).toBe(0)
    pass(30_000)
    expect(admittedOf(await takeAll([other], 2, subject, 2))).toBe(2)
  })

  it('get back what is given back, from whoever took it', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all)
    for (const _ of times(20)) {
      for (const { windows } of all) {
        const at = now()
        expect((await windows.take(subject, 2, at)).admitted).toBe(true)
        windows.giveBack(subject, at)
        pass(100)
      }
    }
    // What the other one gave back has been heard when what it says next has.
    expect(await other.windows.look(subject, 2, now())).toMatchObject({ remaining: 2 })
  })

  it('ask once for all that comes in one turn, and once for each of two hundred', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const { heard, settled } = await overheard()
    const [one, two] = [subjectOf(owner, all), subjectOf(owner, all)]
    await Promise.all(times(100).map((i) => other.windows.take(i % 2 ? one : two, 1000, now())))
    await settled()
    expect(heard).toHaveLength(2)
    await takeAll([other], 450, one, 1000)
    await settled()
    expect(heard).toHaveLength(2 + 3 * 2)
  })
})

describe('a replica that need not ask', () => {
  it('answers at once and says nothing: where it is the only one, and for what it owns', async () => {
    const [alone] = (await replicas.start(1)) as [WindowReplica]
    const { heard, settled } = await overheard()
    for (const i of times(20)) {
      const taken = alone.windows.take(`read:user_${i}`, 10, now())
      expect(taken).not.toBeInstanceOf(Promise)
      expect(alone.windows.look(`read:user_${i}`, 10, now())).not.toBeInstanceOf(Promise)
      alone.windows.giveBack(`read:user_${i}`, now())
      expect(alone.windows.look(`read:user_${i}`, 10, now())).toMatchObject({ remaining: 10 })
    }
    const [another] = (await replicas.start(1)) as [WindowReplica]
    for (const replica of [alone, another]) {
      const taken = replica.windows.take(subjectOf(replica, [alone, another]), 10, now())
      expect(taken).not.toBeInstanceOf(Promise)
    }
    await settled()
    expect(heard).toEqual([])
  })

  it('counts by itself while NATS is away, and with the others again when it is back', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all)
    expect(admittedOf(await takeAll(all, 4, subject, 10))).toBe(4)
    await server.kill()
    await vi.waitFor(() => expect(other.replicas.isThere()).toBe(false), { timeout: 10_000 })
    const taken = times(20).map(() => other.windows.take(subject, 10, now()))
    expect(taken.some((one) => one instanceof Promise)).toBe(false)
    expect(admittedOf(taken as Taken[])).toBe(10)
    await server.start()
    await replicas.know()
    // The owner never forgot what it had counted.
    expect(admittedOf(await takeAll(all, 20, subject, 10))).toBe(6)
  })
})

describe('an owner that does not answer', () => {
  it('holds nobody up where it is dead: NATS says so, and calls are counted here', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const mute = await replicas.startMute()
    const among = [...all, mute]
    const [ofDead, ofMute] = [subjectOf(owner, among), subjectOf(mute, among)]
    await owner.kill()
    // It is thought to live for two seconds more.
    expect(other.replicas.live()).toContain(owner.name)
    const answered: string[] = []
    const ask = async (subject: string, whose: string) => {
      expect(await other.windows.take(subject, 10, now())).toMatchObject({ admitted: true, remaining: 9 })
      answered.push(whose)
    }
    await Promise.all([ask(ofMute, 'of the mute'), ask(ofDead, 'of the dead')])
    expect(answered).toEqual(['of the dead', 'of the mute'])
    expect(admittedOf(await takeAll([other], 30, ofDead, 10))).toBe(9)
    expect(other.logged.join()).toContain('their owner does not answer')
  })

  it('holds nobody up for long where it is mute: calls are counted here, and it is not asked for a while', async () => {
    const [other] = (await replicas.start(1)) as [WindowReplica]
    const mute = await replicas.startMute()
    const [subject, next] = [subjectOf(mute, [other, mute]), subjectOf(mute, [other, mute])]
    const began = performance.now()
    expect(admittedOf(await takeAll([other], 30, subject, 10))).toBe(10)
    expect(performance.now() - began).toBeLessThan(1000)
    expect(other.windows.take(next, 10, now())).toMatchObject({ admitted: true, remaining: 9 })
    // Later it may have come to itself.
    await vi.waitFor(() => expect(other.windows.look(subject, 10, now())).toBeInstanceOf(Promise))
    expect(performance.now() - began).toBeGreaterThan(250)
  })

  it('has calls counted here when it was waited for: no window runs on by that, and each is given back', async () => {
    const [other] = (await replicas.start(1)) as [WindowReplica]
    const mute = await replicas.startMute()
    const [subject, own] = [subjectOf(mute, [other, mute]), subjectOf(other, [other, mute])]
    for (const _ of times(2)) other.windows.take(own, 2, now())
    const at = now()
    const taken = other.windows.take(subject, 2, at)
    expect(taken).toBeInstanceOf(Promise)
    pass(10_000)
    expect(other.windows.take(own, 2, now())).toMatchObject({ admitted: false, resetSeconds: 50 })
    expect(await taken).toMatchObject({ admitted: true, remaining: 1, resetSeconds: 60 })
    expect(other.local.look(own, 2, now())).toMatchObject({ admitted: false, resetSeconds: 50 })
    other.windows.giveBack(subject, at)
    expect(other.local.look(subject, 2, now())).toMatchObject({ remaining: 2 })
  })

  it('is asked for ten thousand calls at most: the others are counted at once', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all)
    const taken = times(10_100).map(() => other.windows.take(subject, 20_000, now()))
    expect(taken.filter((one) => one instanceof Promise)).toHaveLength(10_000)
    await Promise.all(taken)
  })
})

describe('replicas that come and go', () => {
  it('take over what falls to them, and every limit is one again', async () => {
    const [first] = (await replicas.start(1)) as [WindowReplica]
    const two = [first, ...(await replicas.start(1))]
    const three = [...two, ...(await replicas.start(1))]
    for (const owner of three)
      expect(admittedOf(await takeAll(three, 60, subjectOf(owner, three), 20))).toBe(20)
    await first.leave()
    await replicas.know()
    const left = three.slice(1)
    for (const owner of left) expect(admittedOf(await takeAll(left, 60, subjectOf(owner, left), 20))).toBe(20)
  })

  it('admit no more than one window more by that', async () => {
    const two = await replicas.start(2)
    const subject = subjectOf(two[0] as WindowReplica, two)
    expect(admittedOf(await takeAll(two, 50, subject, 20))).toBe(20)
    await two[0]?.leave()
    await replicas.know()
    expect(admittedOf(await takeAll(two.slice(1), 50, subject, 20))).toBe(20)
    expect(admittedOf(await takeAll(two.slice(1), 50, subject, 20))).toBe(0)
  })

  it('are passed over within seconds where they died', async () => {
    const three = await replicas.start(3)
    const [dead, ...left] = three as [WindowReplica, WindowReplica, WindowReplica]
    const subject = subjectOf(dead, three)
    await dead.kill()
    await replicas.know()
    expect(admittedOf(await takeAll(left, 60, subject, 20))).toBe(20)
  })
})

describe('what others say on the line', () => {
  const lineOf = ({ name }: WindowReplica) => `instatunnel.auth.limits.${name}`

  it('is passed over where it is no message, or an answer to nothing', async () => {
    const all = await replicas.start(2)
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all)
    const liar = await as('auth')
    const answer = (from: string, id: number, answers: number) =>
      writeWindowMessage({
        kind: 'answer',
        from,
        id,
        at: 1,
        answers: times(answers).map(() => ({ admitted: true, limit: 1, remaining: 1, resetSeconds: 1 })),
      })
    const lies = ['', '{}', 'null', '[', '\u0000', `{"from":"${owner.name}","id":1,"asks":[["take",1]]}`]
    for (const id of times(20)) {
      lies.push(answer('auth_liar', id, 1), answer(owner.name, id, 0), answer(owner.name, id, 2))
    }
    expect((await other.windows.take(subject, 1, now())).admitted).toBe(true)
    const asked = other.windows.take(subject, 1, now())
    for (const lie of lies) for (const one of all) liar.publish(lineOf(one), lie)
    await liar.flush()
    expect((await asked).admitted).toBe(false)
    expect((await other.windows.take(subject, 1, now())).admitted).toBe(false)
    expect(all.flatMap(({ logged }) => logged)).toEqual([])
  })

  it('makes no replica admit more than its own settings allow', async () => {
    const all = await replicas.start(2, new Map([['write', 3]]))
    const [owner, other] = all as [WindowReplica, WindowReplica]
    const subject = subjectOf(owner, all, 'write')
    const taken = await takeAll([other], 50, subject, 1_000_000)
    expect(admittedOf(taken)).toBe(3)
    expect(taken[49]).toMatchObject({ admitted: false, limit: 3, remaining: 0 })
  })

  it('is for auth alone: no other service may say it, or hear it', async () => {
    const [replica] = (await replicas.start(1)) as [WindowReplica]
    for (const act of ['publish', 'subscribe'] as const) {
      const keys = await as('keys')
      const refused = Promise.withResolvers<string>()
      const listen = async () => {
        for await (const status of keys.status())
          if (status.type === 'error') refused.resolve(status.error.message)
      }
      listen()
      keys[act](lineOf(replica))
      expect(await refused.promise).toContain(lineOf(replica))
    }
  })

  it('counts nothing where another service has a stream deliver it', async () => {
    const [replica] = (await replicas.start(1)) as [WindowReplica]
    const subject = 'read:user_victim'
    const ask = { verb: 'take' as const, subject, limit: 1 }
    const forged = writeWindowMessage({ kind: 'ask', from: 'auth_x', id: 1, asks: [ask], returns: [] })
    const { heard } = await overheard()
    const keys = await as('keys')
    const jsm = await jetstreamManager(keys, { checkAPI: false })
    // NATS checks what a consumer's maker may publish nowhere: whatever keys may hear can be delivered there.
    await jsm.consumers.add('INSTATUNNEL', {
      name: 'keys-session-revoked',
      deliver_subject: lineOf(replica),
      filter_subject: 'instatunnel.events.session.revoked',
      inactive_threshold: nanos(10_000),
    })
    ;(await as('auth')).publish('instatunnel.events.session.revoked', forged)
    await vi.waitFor(() => expect(heard).toEqual([forged]))
    await replica.nats.ready.then(({ connection }) => connection.flush())
    expect(replica.local.look(subject, 1, now())).toMatchObject({ remaining: 1 })
  })
})
