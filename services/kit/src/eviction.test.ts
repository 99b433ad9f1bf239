import { freshNats } from '@instatunnel/test/nats'
import { describe, expect, it, onTestFinished } from 'vitest'
import { replicasOn, within } from '../test/replicas.ts'
import { answerEvictions, createEviction, type Evicted } from './eviction.ts'

const server = await freshNats()

/** Replicas of auth that forget, and keys, which has them do so. */
async function evicting(names: readonly string[]) {
  const on = replicasOn(server)
  const forgotten: Record<string, Evicted[]> = {}
  for (const replica of names) {
    const { nats } = on.announce(replica)
    const heard: Evicted[] = []
    forgotten[replica] = heard
    const forget = (what: Evicted) => {
      if (what.keys?.includes('key_stubborn')) throw new Error('not this one')
      heard.push(what)
    }
    const answering = answerEvictions({ nats, log: on.log, replica, forget })
    onTestFinished(() => answering.close())
  }
  const replicas = on.follow()
  await on.current(replicas)
  await expect.poll(replicas.live, within).toEqual(names)
  const evict = createEviction({ nats: replicas.nats, log: on.log, replicas })
  return { ...on, evict, forgotten, replicas }
}

describe('createEviction', () => {
  it('resolves when every replica has forgotten', async () => {
    const { evict, forgotten, logged } = await evicting(['auth_a', 'auth_b'])
    const what: Evicted = { keys: ['key_1'], sessions: ['ses_1'], users: ['user_1'], refusals: true }
    expect(await evict(what)).toEqual({ acked: ['auth_a', 'auth_b'], total: 2 })
    expect(forgotten).toEqual({ auth_a: [what], auth_b: [what] })
    expect(await evict({ keys: ['key_2'] })).toEqual({ acked: ['auth_a', 'auth_b'], total: 2 })
    expect(forgotten.auth_b?.[1]).toEqual({ keys: ['key_2'] })
    expect(logged).toEqual([])
  })

  it('waits a second for one that cannot forget, and tells of it', async () => {
    const { evict, logged } = await evicting(['auth_a'])
    const began = performance.now()
    expect(await evict({ keys: ['key_stubborn'] })).toEqual({ acked: [], total: 1 })
    expect(performance.now() - began).toBeGreaterThan(990)
    expect(logged.map(({ msg }) => msg)).toEqual([
      'a request without an answer',
      'not all replicas of auth told that they forgot',
    ])
  })

  it('resolves at once while NATS is away, and works again when it is back', async () => {
    const { evict, replicas, forgotten } = await evicting(['auth_a'])
    await server.kill()
    await expect.poll(replicas.isThere, within).toBe(false)
    const began = performance.now()
    expect(await evict({ keys: ['key_1'] })).toEqual({ acked: [], total: 1 })
    expect(performance.now() - began).toBeLessThan(900)
    await server.start()
    await expect.poll(replicas.isCurrent, within).toBe(true)
    expect(await evict({ keys: ['key_2'] })).toEqual({ acked: ['auth_a'], total: 1 })
    expect(forgotten.auth_a).toEqual([{ keys: ['key_2'] }])
  }, 40_000)

  it('takes no longer than a second where NATS hangs, before that is known', async () => {
    const { evict, freeze } = await evicting(['auth_a'])
    const thaw = freeze()
    const began = performance.now()
    expect(await evict({ keys: ['key_1'] })).toEqual({ acked: [], total: 1 })
    expect(performance.now() - began).toBeLessThan(3000)
    thaw()
  })
})
