import { describe, expect, it } from 'vitest'
import type { Attempt } from './domain/decision.ts'
import { createSignInTurns } from './sign-in-turns.ts'

/** Turns that know a device by `device_of_<account>`, and these networks. */
function setUp(homes: readonly string[] = []) {
  const signInTurn = createSignInTurns({
    deviceCookie: { read: (header) => (header === '' ? [] : [header.split('.')]) },
    deviceAccountOf: (token) => /^device_of_(.+)$/.exec(token)?.[1],
    homes: { has: (network) => homes.includes(network) },
  })
  const outcomes = new Map<string, string>()
  /** A sign-in whose outcome is noted. */
  const note = (name: string, attempt: Attempt) =>
    signInTurn(attempt).then(
      () => void outcomes.set(name, 'gone on'),
      ({ reason }) => void outcomes.set(name, reason),
    )
  /** Strangers, each of a network of its own. */
  const strangers = (count: number) =>
    times(count).map((n) => note(`stranger ${n}`, { address: `10.0.${n}.1` }))
  return { signInTurn, outcomes, note, strangers }
}

const busy = { reason: 'PASSWORDS_BUSY', details: { retryAfterSeconds: 1 } }
const times = (count: number) => Array.from({ length: count }, (_, i) => i)
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve))

/** Stands in for a machine that is busy with something else. */
function block(ms: number) {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe('sign-ins', () => {
  it('go on two at once and then in the order that they came; past 64 that wait, they are refused', async () => {
    const { signInTurn } = setUp()
    const gone: number[] = []
    const all = times(66).map((i) => signInTurn({}).then(() => gone.push(i)))
    await expect(signInTurn({})).rejects.toMatchObject(busy)
    expect(gone).toEqual([0, 1])
    await Promise.all(all)
    expect(gone).toEqual(times(66))
    await signInTurn({})
  })

  it('go on two in a turn of the event loop, however late it is: what else came meanwhile has its turn', async () => {
    const { signInTurn } = setUp()
    let gone = 0
    const all = times(20).map(() => signInTurn({}).then(() => gone++))
    await turnOfTheLoop()
    for (const turn of times(5)) {
      const before = gone
      block(20)
      await turnOfTheLoop()
      expect(gone - before, `turn ${turn}`).toBeLessThanOrEqual(2)
    }
    await Promise.all(all)
  })

  it('leave their place where their caller goes away', async () => {
    const { signInTurn } = setUp()
    const leaving = new AbortController()
    for (const _ of times(2)) void signInTurn({})
    const left = times(64).map(() => signInTurn({}, leaving.signal).catch((error: Error) => error.name))
    await expect(signInTurn({})).rejects.toMatchObject(busy)
    leaving.abort()
    expect(await Promise.all(left)).toEqual(Array(64).fill('AbortError'))
    await signInTurn({})
  })

  it('keep no browser of ours waiting, and nobody at home, though strangers fill their queue', async () => {
    const { outcomes, note, strangers } = setUp(['192.0.2.1', '2001:db8:1:1::/64'])
    const all = strangers(2 + 64)
    const late = note('late', { address: '172.16.0.1' })
    const owners = [
      note('by device', { address: '198.51.100.1', cookie: 'other.device_of_ada' }),
      note('at home', { address: '192.0.2.1' }),
      note('at home, over IPv6', { address: '2001:db8:1:1:2::3' }),
    ]
    const forged = note('forged', { address: '172.16.0.2', cookie: 'other' })
    await Promise.all([...owners, late, forged])
    expect(Object.fromEntries(outcomes)).toMatchObject({
      late: 'PASSWORDS_BUSY',
      forged: 'PASSWORDS_BUSY',
      'by device': 'gone on',
      'at home': 'gone on',
      'at home, over IPv6': 'gone on',
    })
    // They had the next turns.
    expect([...outcomes.values()].filter((outcome) => outcome === 'gone on').length).toBeLessThanOrEqual(12)
    await Promise.all(all)
  })

  it('have places for one network where its neighbours take all', async () => {
    const { outcomes, note } = setUp()
    const neighbours = times(200).map((n) =>
      note(`neighbour ${n}`, { address: `2001:db8:7:${n.toString(16)}::1` }),
    )
    const stranger = note('stranger', { address: '2001:db8:8:1::1' })
    await Promise.all([...neighbours, stranger])
    expect(outcomes.get('stranger')).toBe('gone on')
    expect([...outcomes.values()].filter((outcome) => outcome === 'gone on')).toHaveLength(2 + 64)
  })

  it('have two places for the devices of one account, from wherever', async () => {
    const { outcomes, note, strangers } = setUp()
    const all = strangers(2)
    const devices = times(10).map((n) =>
      note(`eve ${n}`, { address: `172.16.${n}.1`, cookie: 'device_of_eve' }),
    )
    const owner = note('ada', { address: '192.0.2.1', cookie: 'device_of_ada' })
    await Promise.all([...all, ...devices, owner])
    expect(outcomes.get('ada')).toBe('gone on')
    expect(times(10).map((n) => outcomes.get(`eve ${n}`))).toEqual([
      ...Array(2).fill('gone on'),
      ...Array(8).fill('PASSWORDS_BUSY'),
    ])
  })
})
