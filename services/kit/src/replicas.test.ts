import { freshNats } from '@instatunnel/test/nats'
import { natsUser } from '@instatunnel/test/nats-user'
import { connect } from '@nats-io/transport-node'
import { describe, expect, it, onTestFinished } from 'vitest'
import { replicasOn, within } from '../test/replicas.ts'
import { answerAsked, askReplicas } from './replicas.ts'

const server = await freshNats()
const SUBJECT = 'instatunnel.auth.recall'

describe('followReplicas', () => {
  it('knows at once who lives, and who left; and soon who died', async () => {
    const { announce, follow, current } = replicasOn(server)
    const [a, b, dying] = ['auth_a', 'auth_b', 'auth_dying'].map((name) => announce(name))
    const replicas = follow()
    expect(replicas.isCurrent()).toBe(false)
    await current(replicas)
    expect(replicas.live()).toEqual(['auth_a', 'auth_b', 'auth_dying'])
    expect(replicas.has('auth_b')).toBe(true)

    const left = performance.now()
    await b?.close()
    await expect.poll(() => replicas.has('auth_b'), within).toBe(false)
    expect(performance.now() - left).toBeLessThan(1000)

    await dying?.nats.close() // without a word
    await expect.poll(replicas.live, within).toEqual(['auth_a'])
    expect(performance.now() - left).toBeLessThan(4000)
    await a?.close()
    await expect.poll(replicas.live, within).toEqual([])
    expect(replicas.isCurrent()).toBe(true)
  })

  it('knows nobody while NATS was never reached, and closes', async () => {
    const { follow, announce, connectAs } = replicasOn({ ...server, url: 'nats://127.0.0.1:1' })
    const replicas = follow()
    const { close } = announce('auth_a', connectAs('auth'))
    expect([replicas.live(), replicas.isThere(), replicas.isCurrent()]).toEqual([[], false, false])
    expect(await replicas.becomesCurrent(60_000)).toBe(false)
    replicas.close()
    await close()
  })

  it('is waited for until it knows who lives, for so long', async () => {
    const { announce, follow } = replicasOn(server)
    announce('auth_a')
    const replicas = follow()
    await expect.poll(replicas.isThere, within).toBe(true)
    expect(await replicas.becomesCurrent(1)).toBe(false)
    expect(await replicas.becomesCurrent(60_000)).toBe(true)
    expect(replicas.live()).toEqual(['auth_a'])
  })

  it('keeps whom it knew while NATS is away, and begins anew when it is back', async () => {
    const { announce, follow, current } = replicasOn(server)
    announce('auth_a')
    const gone = announce('auth_gone')
    const replicas = follow()
    await current(replicas)
    await server.kill()
    await expect.poll(replicas.isThere, within).toBe(false)
    expect(replicas.isCurrent()).toBe(false)
    expect(replicas.live()).toEqual(['auth_a', 'auth_gone'])
    await gone.nats.close()
    await server.start()
    await current(replicas)
    expect(replicas.begun).toHaveLength(2)
    await expect.poll(replicas.live, within).toEqual(['auth_a'])
  }, 40_000)

  it('notices within two seconds that NATS hangs, though its connections stay open', async () => {
    const { announce, follow, current, freeze } = replicasOn(server)
    announce('auth_a')
    const replicas = follow()
    await current(replicas)
    const frozen = performance.now()
    const thaw = freeze()
    await expect.poll(replicas.isThere, within).toBe(false)
    expect(performance.now() - frozen).toBeLessThan(3000)
    expect(replicas.live()).toEqual(['auth_a'])
    // So long that the client's own pings would not have noticed yet; it counts as gone until it was heard anew.
    await expect.poll(() => performance.now() - frozen > 4000, within).toBe(true)
    expect(replicas.isThere()).toBe(false)
    thaw()
    await current(replicas)
    expect(replicas.begun).toHaveLength(2)
    expect(replicas.live()).toEqual(['auth_a'])
  }, 40_000)
})

describe('another service', () => {
  it('makes nobody live, leave or answer by what it has a stream deliver, nor auth speak elsewhere', async () => {
    const { announce, follow, current, connectAs, log } = replicasOn(server)
    const { nats } = announce('auth_a')
    const replicas = follow()
    await current(replicas)
    const asked: unknown[] = []
    answerAsked({
      nats,
      log,
      subject: SUBJECT,
      answer(request) {
        asked.push(request)
        return { replica: 'auth_a' }
      },
    })
    const keys = await connectAs('keys').ready
    // Overhears what is delivered, on a connection of its own.
    const auth = (await connectAs('auth').ready).connection

    // NATS asks nowhere what a consumer's maker may publish: whatever keys may hear is delivered where it wants.
    const delivered: string[] = []
    const heardByKeys = [
      ['instatunnel.auth.here', 'INSTATUNNEL', 'keys-session-revoked', 'session.revoked'],
      [SUBJECT, 'INSTATUNNEL_USAGE', 'keys-usage', 'usage.key'],
    ] as const
    for (const [subject, stream, name, type] of heardByKeys) {
      auth.subscribe(subject, {
        callback: (_, message) => void delivered.push(`${subject} ${message.string()}`),
      })
      await keys.jsm.consumers.add(stream, {
        name,
        deliver_subject: subject,
        filter_subject: `instatunnel.events.${type}`,
        inactive_threshold: 10_000_000_000,
      })
    }
    const lies = [{ replica: 'auth_ghost' }, { replica: 'auth_a', leaving: true }].map((lie) =>
      JSON.stringify(lie),
    )
    for (const lie of lies)
      for (const [, , , type] of heardByKeys) auth.publish(`instatunnel.events.${type}`, lie)
    const told = lies.flatMap((lie) => [`instatunnel.auth.here ${lie}`, `${SUBJECT} ${lie}`]).sort()
    await expect.poll(() => delivered.filter((said) => told.includes(said)).sort(), within).toEqual(told)
    await (await nats.ready).connection.flush()
    expect(replicas.live()).toEqual(['auth_a'])
    expect(asked).toEqual([])

    const spoken: string[] = []
    const observer = await connect(natsUser('observer', server.url, server.seeds.observer))
    onTestFinished(() => observer.close())
    observer.subscribe('instatunnel.events.>', {
      callback: (_, message) => void spoken.push(message.string()),
    })
    await observer.flush()
    keys.connection.publish(SUBJECT, '{}', { reply: 'instatunnel.events.user.registered' })
    const answer = await keys.connection.request(SUBJECT, '{"after":true}')
    expect([answer.string(), asked]).toEqual(['{"replica":"auth_a"}', [{ after: true }]])
    expect(spoken).toEqual([])
  })
})

describe('askReplicas', () => {
  /** Replicas that answer so, and one who asks them. */
  async function asking(answers: Record<string, (request: unknown) => unknown>) {
    const on = replicasOn(server)
    const asked: unknown[] = []
    for (const [replica, answer] of Object.entries(answers)) {
      const { nats } = on.announce(replica)
      answerAsked({
        nats,
        log: on.log,
        subject: SUBJECT,
        answer(request) {
          asked.push(request)
          return answer(request)
        },
      })
    }
    const replicas = on.follow()
    await on.current(replicas)
    await expect.poll(replicas.live, within).toEqual(Object.keys(answers))
    const ask = async (of?: readonly string[], waitMs = 400) => {
      const began = performance.now()
      const { nats } = replicas
      const told = await askReplicas({
        ...{ nats, follow: replicas, subject: SUBJECT, request: { key: 'key_1' }, waitMs },
        ...(of && { of }),
      })
      return { ...told, tookMs: performance.now() - began }
    }
    return { ...on, ask, asked, replicas }
  }
  const acks = (replica: string) => () => ({ replica })

  it('asks every live replica, and resolves as soon as all have answered', async () => {
    const { ask, asked, logged } = await asking({ auth_a: acks('auth_a'), auth_b: acks('auth_b') })
    const { acked, total, tookMs } = await ask(undefined, 10_000)
    expect({ acked, total }).toEqual({ acked: ['auth_a', 'auth_b'], total: 2 })
    expect(asked).toEqual([{ key: 'key_1' }, { key: 'key_1' }])
    expect(tookMs).toBeLessThan(5000)
    expect(logged).toEqual([])
  })

  it('waits for those that are to be asked and live, and counts no other', async () => {
    const { ask } = await asking({ auth_a: acks('auth_a'), auth_mute: () => undefined })
    expect(await ask(['auth_a', 'auth_dead'])).toMatchObject({ acked: ['auth_a'], total: 1 })
    const { tookMs, ...told } = await ask(['auth_mute'])
    expect(told).toEqual({ acked: [], total: 1 })
    expect(tookMs).toBeGreaterThan(390)
    expect((await ask(['auth_dead'], 10_000)).tookMs).toBeLessThan(5000)
  })

  it.each([
    ['nothing', () => undefined],
    ['another form', () => ({ name: 'auth_b' })],
    ['too long a name', () => ({ replica: 'x'.repeat(101) })],
    ['an exception', () => Promise.reject(new Error('not today'))],
  ])('counts one that answers %s for nothing', async (_, answer) => {
    const { ask } = await asking({ auth_a: acks('auth_a'), auth_b: answer })
    expect(await ask()).toMatchObject({ acked: ['auth_a'], total: 2 })
  })

  it('waits no longer for one that dies meanwhile', async () => {
    const { ask, announce, replicas } = await asking({ auth_a: acks('auth_a') })
    const mute = announce('auth_mute')
    await expect.poll(replicas.live, within).toHaveLength(2)
    const asking10s = ask(undefined, 10_000)
    await mute.nats.close()
    const { acked, total, tookMs } = await asking10s
    expect({ acked, total }).toEqual({ acked: ['auth_a'], total: 1 })
    expect(tookMs).toBeLessThan(5000)
  })

  it('waits until who lives is known, and not at all where nobody listens', async () => {
    const on = replicasOn(server)
    const { nats } = on.announce('auth_a')
    const replicas = on.follow()
    await expect.poll(replicas.isThere, within).toBe(true)
    answerAsked({ nats, log: on.log, subject: SUBJECT, answer: () => ({ replica: 'auth_a' }) })
    await (await nats.ready).connection.flush()
    const ask = (subject: string) =>
      askReplicas({ nats: replicas.nats, follow: replicas, subject, request: {}, waitMs: 5000 })
    expect(await ask(SUBJECT)).toEqual({ acked: ['auth_a'], total: 1 })
    expect(replicas.isCurrent()).toBe(true)
    const alone = on.follow()
    await expect.poll(alone.isThere, within).toBe(true)
    const { nats: other } = alone
    const nobody = { live: () => [], isThere: () => true, isCurrent: () => false }
    const began = performance.now()
    await askReplicas({
      nats: other,
      follow: nobody,
      subject: 'instatunnel.auth.evict',
      request: {},
      waitMs: 5000,
    })
    expect(performance.now() - began).toBeLessThan(2000)
  })

  it('tells at once that nobody answered while NATS is away, or was never there', async () => {
    const { ask, replicas } = await asking({ auth_a: acks('auth_a') })
    await server.kill()
    await expect.poll(replicas.isThere, within).toBe(false)
    const { acked, total, tookMs } = await ask(undefined, 10_000)
    expect({ acked, total }).toEqual({ acked: [], total: 1 })
    expect(tookMs).toBeLessThan(5000)
    await server.start()
    await expect.poll(() => ask().then((told) => told.acked), within).toEqual(['auth_a'])

    const never = replicasOn({ ...server, url: 'nats://127.0.0.1:1' })
    const follow = never.follow()
    const { nats } = follow
    expect(await askReplicas({ nats, follow, subject: SUBJECT, request: {}, waitMs: 5000 })).toEqual({
      acked: [],
      total: 0,
    })
  }, 40_000)
})
