import { setImmediate } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { Refusal } from '@instatunnel/kit/refusal'
import { statusOf } from '@instatunnel/kit/status'
import { describe, expect, it } from 'vitest'
import { away, holderByHand, keyOf, START } from '../test/key-uses.ts'
import { createKeyGate } from './key-gate.ts'
import { againWhereGone, KeyGone } from './key-gone.ts'
import { createKeyUses } from './key-uses.ts'
import type { LeaseClient } from './lease-exchange.ts'

const VALID = { code: 'VALID' }
const key = keyOf('key_1')

/** A holder that has been granted so many uses of the key, one of which it has used. */
async function holderOf(granted: number) {
  const held = holderByHand()
  const taken = held.uses.take(key, held.at())
  const first = await held.asked()
  first.grant(granted)
  await taken
  return held
}

describe('take', () => {
  it('asks keys once for all that wait, and answers at once while there are some', async () => {
    const { uses, at, asked, unread } = holderByHand()
    const waiting = Array.from({ length: 40 }, () => uses.take(key, at()))
    const { request, grant } = await asked()
    expect(request).toEqual({
      ...{ keyId: 'key_1', holder: 'auth_1', turn: 1, wanted: 40 },
      ...{ used: [], returned: 0, kept: 0 },
    })
    grant(50)
    expect(await Promise.all(waiting)).toEqual(Array(40).fill(VALID))
    expect(uses.take(key, at())).toEqual(VALID)
    expect(unread).toEqual([])
  })

  it('asks anew for those that there was not enough for', async () => {
    const { uses, at, asked } = holderByHand()
    const waiting = Array.from({ length: 3 }, () => uses.take(key, at()))
    ;(await asked()).grant(2)
    const { request, refuse } = await asked()
    expect(request).toMatchObject({
      turn: 2,
      wanted: 9,
      used: [{ agoMs: 0, count: 2 }],
      returned: 0,
      kept: 0,
    })
    refuse('USAGE_EXCEEDED')
    expect(await Promise.all(waiting)).toEqual([VALID, VALID, { code: 'USAGE_EXCEEDED' }])
  })

  it('asks for more when a quarter is left, and waits for nothing meanwhile', async () => {
    const { uses, at, asked, unread, pass } = await holderOf(20)
    for (let i = 0; i < 14; i++) expect(uses.take(key, at())).toEqual(VALID)
    expect(unread).toEqual([])
    expect(uses.take(key, at())).toEqual(VALID)
    pass(7)
    expect(uses.take(key, at())).toEqual(VALID)
    const { request, grant } = await asked()
    expect(request).toMatchObject({
      used: [
        { agoMs: 7, count: 16 },
        { agoMs: 0, count: 1 },
      ],
      kept: 3,
    })
    for (let i = 0; i < 3; i++) expect(uses.take(key, at())).toEqual(VALID)
    const late = uses.take(key, at())
    expect(late).toBeInstanceOf(Promise)
    grant(10)
    expect(await late).toEqual(VALID)
    for (let i = 0; i < 7; i++) expect(uses.take(key, at())).toEqual(VALID)
  })

  it('uses nothing of a lease that has ended, and says no more of it', async () => {
    const { uses, at, asked, pass } = await holderOf(20)
    pass(10_000)
    const taken = uses.take(key, at())
    const { request, grant } = await asked()
    expect(request).toMatchObject({ used: [], returned: 0, kept: 0 })
    grant(1)
    expect(await taken).toEqual(VALID)
  })

  it('remembers a "no" until there may be more, five seconds at most, a second where nobody knows', async () => {
    const { uses, at, asked, pass, unread } = holderByHand()
    const firstOf = async (id: string, ms?: number) => {
      const taken = uses.take(keyOf(id), at())
      ;(await asked()).refuse(ms === undefined ? 'USAGE_EXCEEDED' : 'RATE_LIMITED', ms)
      return taken
    }
    expect(await firstOf('soon', 2500)).toEqual({ code: 'RATE_LIMITED', retryAfterSeconds: 3 })
    expect(await firstOf('late', 60_000)).toEqual({ code: 'RATE_LIMITED', retryAfterSeconds: 60 })
    expect(await firstOf('never')).toEqual({ code: 'USAGE_EXCEEDED' })
    pass(999)
    expect(uses.take(keyOf('soon'), at())).toEqual({ code: 'RATE_LIMITED', retryAfterSeconds: 2 })
    expect(uses.take(keyOf('late'), at())).toEqual({ code: 'RATE_LIMITED', retryAfterSeconds: 60 })
    expect(uses.take(keyOf('never'), at())).toEqual({ code: 'USAGE_EXCEEDED' })
    expect(unread).toEqual([])
    for (const [id, ms] of [
      ['never', 1],
      ['soon', 1500],
      ['late', 2500],
    ] as const) {
      pass(ms)
      const taken = uses.take(keyOf(id), at())
      ;(await asked()).grant(1)
      expect(await taken).toEqual(VALID)
    }
  })

  it('passes on that keys is away, and repeats what it asked: by the same turn', async () => {
    const { uses, at, asked, pass } = holderByHand()
    const taken = uses.take(key, at())
    const first = await asked()
    first.fail(away())
    const again = await asked()
    again.fail(away())
    await expect(taken).rejects.toMatchObject({ code: status.UNAVAILABLE })
    expect(again.request).toEqual(first.request)

    pass(100)
    const others = [uses.take(key, at()), uses.take(key, at())]
    const third = await asked()
    expect(third.request).toEqual(first.request)
    third.grant(1)
    const fourth = await asked()
    expect(fourth.request).toMatchObject({ turn: 2, wanted: 5, used: [{ agoMs: 0, count: 1 }] })
    fourth.grant(1)
    expect(await Promise.all(others)).toEqual([VALID, VALID])
  })

  it('asks once only where keys itself says that it cannot tell', async () => {
    const { uses, at, asked, unread } = holderByHand()
    const { metadata } = statusOf(new Refusal('UNAVAILABLE', 'cannot tell'), {})
    const taken = uses.take(key, at())
    ;(await asked()).fail(Object.assign(away(), { metadata }))
    await expect(taken).rejects.toMatchObject({ code: status.UNAVAILABLE })
    expect(unread).toEqual([])
  })

  it('tells when uses were as of now, also where it repeats itself', async () => {
    const { uses, at, asked, pass } = await holderOf(4)
    for (let i = 0; i < 3; i++) uses.take(key, at())
    const taken = uses.take(key, at())
    for (const _ of [1, 2]) (await asked()).fail(away())
    await expect(taken).rejects.toThrow()
    pass(250)
    const again = uses.take(key, at())
    const { request, grant } = await asked()
    expect(request.used).toEqual([{ agoMs: 250, count: 4 }])
    grant(1)
    expect(await again).toEqual(VALID)
  })

  it('begins anew where what it held is lost', async () => {
    const { uses, at, asked } = await holderOf(4)
    for (let i = 0; i < 3; i++) uses.take(key, at())
    const taken = uses.take(key, at())
    const first = await asked()
    expect(first.request).toMatchObject({ used: [{ agoMs: 0, count: 4 }] })
    first.fail(Object.assign(new Error('lost'), { code: status.ABORTED }))
    const { request, grant } = await asked()
    expect(request).toMatchObject({ used: [], returned: 0, kept: 0, wanted: 1 })
    expect(request.turn).toBeGreaterThan(first.request.turn)
    grant(1)
    expect(await taken).toEqual(VALID)
  })

  it('rejects with KeyGone where keys does not know the key, which is forgotten then', async () => {
    const { uses, at, asked, forgotten } = holderByHand()
    const taken = uses.take(key, at())
    ;(await asked()).fail(Object.assign(new Error('not found'), { code: status.NOT_FOUND }))
    await expect(taken).rejects.toThrow(KeyGone)
    expect(forgotten).toEqual(['key_1'])
  })
})

describe('what is not used', () => {
  it('goes back after two seconds without a use', async () => {
    const { uses, at, asked, pass, sweep, unread } = await holderOf(20)
    pass(1500)
    uses.take(key, at())
    pass(1999)
    await sweep()
    expect(unread).toEqual([])
    pass(1)
    const swept = sweep()
    const { request, grant } = await asked()
    expect(request).toMatchObject({
      wanted: 0,
      used: [
        { agoMs: 3500, count: 1 },
        { agoMs: 2000, count: 1 },
      ],
      returned: 18,
      kept: 0,
    })
    grant(0)
    await swept
    pass(10_000)
    await sweep()
    expect(unread).toEqual([])
  })

  it('goes back before the lease ends, though it is in use', async () => {
    const { uses, at, asked, pass, sweep } = await holderOf(20)
    pass(8400)
    uses.take(key, at())
    pass(100)
    void sweep()
    const { request } = await asked()
    expect(request).toMatchObject({ wanted: 0, returned: 18 })
  })

  it('goes back where the answer to a request was lost: it is asked again first', async () => {
    const { uses, at, asked, pass, sweep } = holderByHand()
    const taken = uses.take(key, at())
    for (const _ of [1, 2]) (await asked()).fail(away())
    await expect(taken).rejects.toThrow()
    pass(500)
    void sweep()
    const first = await asked()
    expect(first.request).toMatchObject({ turn: 1, wanted: 1 })
    first.grant(5)
    const { request } = await asked()
    expect(request).toMatchObject({ turn: 2, wanted: 0, returned: 5, used: [] })
  })

  it('is given up on when the lease has ended, whatever becomes of keys', async () => {
    const { uses, at, asked, pass, sweep, unread } = holderByHand()
    const taken = uses.take(key, at())
    for (const _ of [1, 2]) (await asked()).fail(away())
    await expect(taken).rejects.toThrow()
    pass(10_000)
    await sweep()
    await sweep()
    expect(unread).toEqual([])
  })
})

describe('what many keys do not use', () => {
  /** A keys that answers at once, and knows what is held of each key. */
  function generousKeys() {
    const held = new Map<string, number>()
    const state = { held, requests: 0, underWay: 0, most: 0, isAway: false, settledAlone: 0 }
    const answered = async <T>(answer: () => T): Promise<T> => {
      state.requests++
      state.most = Math.max(state.most, ++state.underWay)
      await setImmediate()
      state.underWay--
      if (state.isAway) throw away()
      return answer()
    }
    const keys: LeaseClient = {
      leaseUses: ({ keyId, wanted }) =>
        answered(() => {
          if (wanted === 0) state.settledAlone++
          held.set(keyId, wanted + 12)
          return {
            granted: wanted + 12,
            validForMs: 10_000,
            code: '',
            retryAfterMs: undefined,
            remaining: 80,
            windowRemaining: undefined,
          }
        }),
      settleUses: ({ settlements }) =>
        answered(() => {
          for (const { keyId, used, returned } of settlements)
            held.set(
              keyId,
              (held.get(keyId) ?? 0) - returned - used.reduce((sum, { count }) => sum + count, 0),
            )
          return { lost: [] }
        }),
    }
    return { keys, state }
  }

  /** So many keys, each used once, by a clock that stands still. */
  async function usedOnce(count: number) {
    const { keys, state } = generousKeys()
    let time = START
    let sweep = async () => {}
    const uses = createKeyUses({
      keys,
      replica: 'auth_1',
      now: () => new Date(time),
      forget: () => {},
      every: (_, work) => {
        sweep = work
        return () => {}
      },
    })
    await Promise.all(Array.from({ length: count }, (_, i) => uses.take(keyOf(`key_${i}`), new Date(time))))
    Object.assign(state, { requests: 0, most: 0 })
    const isHeld = () => [...state.held.values()].filter((left) => left !== 0).length
    return {
      uses,
      state,
      isHeld,
      pass(ms: number) {
        time += ms
      },
      sweep: () => sweep(),
    }
  }

  it('goes back of a hundred thousand at the first sweep, in hundreds of requests, four at once', async () => {
    const { state, pass, sweep, isHeld } = await usedOnce(100_000)
    expect(isHeld()).toBe(100_000)
    pass(2000)
    await sweep()
    expect(isHeld()).toBe(0)
    expect(state).toMatchObject({ requests: 400, most: 4, settledAlone: 0 })
  })

  it('goes back as soon as keys is there again', async () => {
    const { state, pass, sweep, isHeld } = await usedOnce(2000)
    pass(2000)
    state.isAway = true
    await sweep()
    // Four that each asked twice: the others need not be tried.
    expect(state.requests).toBe(8)
    state.isAway = false
    await sweep()
    expect(isHeld()).toBe(0)
  })

  it('goes back when the replica closes, and when nobody knows which keys changed', async () => {
    const closing = await usedOnce(2000)
    await closing.uses.close()
    expect(closing.isHeld()).toBe(0)
    const changed = await usedOnce(2000)
    changed.uses.evictAll()
    await changed.sweep()
    expect(changed.isHeld()).toBe(0)
    expect(changed.state.requests).toBe(8)
  })

  it('is lost of those keys alone that keys says so of', async () => {
    const { uses, at, asked, pass, sweep } = holderByHand()
    for (const id of ['key_1', 'key_2']) {
      const taken = uses.take(keyOf(id), at())
      ;(await asked()).grant(5)
      await taken
    }
    pass(2000)
    const swept = sweep()
    const [first, second] = [await asked(), await asked()]
    const waits = uses.take(keyOf('key_2'), at())
    first.grant(0)
    second.fail(Object.assign(new Error('lost'), { code: status.ABORTED }))
    await swept
    const { request, grant } = await asked()
    expect(request).toMatchObject({ keyId: 'key_2', wanted: 1, used: [], returned: 0, kept: 0 })
    grant(1)
    expect(await waits).toEqual(VALID)
  })
})

describe('a replica that does not hear what changes', () => {
  it('uses nothing that keys granted more than five seconds ago, but asks anew', async () => {
    const { uses, at, asked, pass, heard } = await holderOf(20)
    heard.now = false
    pass(4999)
    expect(uses.take(key, at())).toEqual(VALID)
    pass(1)
    const waits = uses.take(key, at())
    expect(waits).toBeInstanceOf(Promise)
    const { request, grant } = await asked()
    expect(request).toMatchObject({ wanted: 1, kept: 18 })
    grant(1)
    expect(await waits).toEqual(VALID)
    expect(uses.take(key, at())).toEqual(VALID)
    pass(5000)
    expect(uses.take(key, at())).toBeInstanceOf(Promise)
    ;(await asked()).refuse('USAGE_EXCEEDED')
  })

  it('uses all that it holds while it hears', async () => {
    const { uses, at, pass } = await holderOf(20)
    pass(5000)
    expect(uses.take(key, at())).toEqual(VALID)
  })
})

describe('a caller who has gone', () => {
  it('spends nothing when the answer comes', async () => {
    const { uses, at, asked, unread } = holderByHand()
    const gone = new AbortController()
    const waits = [uses.take(key, at(), gone.signal), uses.take(key, at())]
    const { grant } = await asked()
    gone.abort()
    grant(2)
    await expect(waits[0]).rejects.toMatchObject({ reason: 'UNAVAILABLE' })
    expect(await waits[1]).toEqual(VALID)
    expect(uses.take(key, at())).toEqual(VALID)
    expect(unread).toEqual([])
  })

  it('has nothing counted, and gets what was counted elsewhere back', async () => {
    const { uses, at, asked } = holderByHand()
    const counted: unknown[] = []
    const findKey = () => undefined
    const { spend } = createKeyGate(
      { findKey },
      { uses, usage: { used: (record) => counted.push(record) }, now: at },
    )
    const gone = new AbortController()
    let undone = 0
    const undo = () => undone++
    const late = spend(key, at(), { undo, signal: gone.signal })
    const { grant } = await asked()
    gone.abort()
    grant(9)
    await expect(late).rejects.toMatchObject({ reason: 'UNAVAILABLE' })
    expect(() => spend(key, at(), { undo, signal: gone.signal })).toThrow('The caller has gone')
    expect({ undone, counted }).toEqual({ undone: 2, counted: [] })
    expect(spend(key, at(), { undo, signal: new AbortController().signal })).toEqual(VALID)
    expect({ undone, counted }).toEqual({ undone: 2, counted: [key.record] })
  })

  it('is asked for no more', async () => {
    const { uses, at, asked, unread } = holderByHand()
    const gone = new AbortController()
    const waits = uses.take(key, at(), gone.signal)
    const { fail } = await asked()
    gone.abort()
    fail(Object.assign(new Error('lost'), { code: status.ABORTED }))
    await expect(waits).rejects.toMatchObject({ reason: 'UNAVAILABLE' })
    expect(unread).toEqual([])
  })
})

describe('recall', () => {
  it('settles what is held, and is done when keys knows', async () => {
    const { uses, at, asked } = await holderOf(20)
    const recalled = uses.recall('key_1')
    const { request, grant } = await asked()
    expect(request).toMatchObject({ wanted: 0, used: [{ agoMs: 0, count: 1 }], returned: 19, kept: 0 })
    const waits = uses.take(key, at())
    expect(waits).toBeInstanceOf(Promise)
    grant(0)
    await recalled
    const next = await asked()
    expect(next.request).toMatchObject({ wanted: 1, used: [], returned: 0 })
    next.grant(1)
    expect(await waits).toEqual(VALID)
  })

  it('waits for what is under way, lets those who wait have it, and gives back the rest', async () => {
    const { uses, at, asked } = holderByHand()
    const waiting = [uses.take(key, at()), uses.take(key, at())]
    const first = await asked()
    const recalled = uses.recall('key_1')
    first.grant(10)
    expect(await Promise.all(waiting)).toEqual([VALID, VALID])
    const { request, grant } = await asked()
    expect(request).toMatchObject({ wanted: 0, used: [{ agoMs: 0, count: 2 }], returned: 8 })
    grant(0)
    await recalled
  })

  it('rejects where keys cannot be told', async () => {
    const { uses, asked } = await holderOf(20)
    const recalled = uses.recall('key_1')
    for (const _ of [1, 2]) (await asked()).fail(away())
    await expect(recalled).rejects.toMatchObject({ code: status.UNAVAILABLE })
  })

  it('has nothing to do for a key that nothing is held of', async () => {
    const { uses, unread } = holderByHand()
    await uses.recall('key_1')
    expect(unread).toEqual([])
  })
})

describe('evict', () => {
  it('uses no more of what is held, and forgets a "no"', async () => {
    const { uses, at, asked } = await holderOf(20)
    uses.evict('key_1')
    const waits = uses.take(key, at())
    expect(waits).toBeInstanceOf(Promise)
    const back = await asked()
    expect(back.request).toMatchObject({ wanted: 0, returned: 19 })
    back.grant(0)
    ;(await asked()).refuse('RATE_LIMITED', 4000)
    expect(await waits).toEqual({ code: 'RATE_LIMITED', retryAfterSeconds: 4 })
    uses.evict('key_1')
    const taken = uses.take(key, at())
    ;(await asked()).grant(1)
    expect(await taken).toEqual(VALID)
  })

  it('uses nothing that was being granted meanwhile, nor believes a "no" of before', async () => {
    const { uses, at, asked } = holderByHand()
    const waits = uses.take(key, at())
    const first = await asked()
    uses.evict('key_1')
    first.grant(9)
    const back = await asked()
    expect(back.request).toMatchObject({ wanted: 0, returned: 9, used: [] })
    back.grant(0)
    const again = await asked()
    uses.evict('key_1')
    again.refuse('USAGE_EXCEEDED')
    const empty = await asked()
    expect(empty.request).toMatchObject({ wanted: 0, returned: 0 })
    empty.grant(0)
    ;(await asked()).grant(1)
    expect(await waits).toEqual(VALID)
  })

  it('has all of it go back, of all keys, where the clock was set back', async () => {
    const { asked, pass, sweep } = await holderOf(20)
    await sweep()
    pass(-3_600_000)
    void sweep()
    expect((await asked()).request).toMatchObject({ wanted: 0, returned: 19 })
  })
})

describe('look', () => {
  it('tells what keys says is left, and takes nothing', async () => {
    const { uses, at, asked } = await holderOf(20)
    const looked = uses.look(key, at())
    const { request, grant } = await asked()
    expect(request).toMatchObject({ wanted: 0, returned: 19 })
    grant(0, { remaining: 99, windowRemaining: 7 })
    expect(await looked).toEqual({ remaining: 99, windowRemaining: 7 })
  })

  it('tells what is left of none, and when there may be more', async () => {
    const { uses, at, asked } = holderByHand()
    const looked = uses.look(key, at())
    ;(await asked()).refuse('USAGE_EXCEEDED', 1500)
    expect(await looked).toEqual({ remaining: 0, retryAfterSeconds: 2 })
  })

  it('asks for one where others hold all that is left, and does not use it', async () => {
    const { uses, at, asked } = holderByHand()
    const looked = uses.look(key, at())
    ;(await asked()).grant(0, { remaining: 0 })
    const { request, grant } = await asked()
    expect(request).toMatchObject({ wanted: 1 })
    grant(1, { remaining: 5 })
    expect(await looked).toEqual({ remaining: 6 })
    expect(uses.take(key, at())).toEqual(VALID)
  })
})

describe('close', () => {
  it('settles all that is held, and asks for no more', async () => {
    const { uses, at, asked } = await holderOf(20)
    const closed = uses.close()
    const { request, grant } = await asked()
    expect(request).toMatchObject({ wanted: 0, used: [{ agoMs: 0, count: 1 }], returned: 19 })
    await expect(uses.take(key, at())).rejects.toMatchObject({ reason: 'UNAVAILABLE' })
    grant(0)
    await closed
  })
})

describe('againWhereGone', () => {
  it('decides once more, where the key was gone, and no more than once', async () => {
    const outcomes = [Promise.reject(new KeyGone()), Promise.resolve('anew')]
    expect(await againWhereGone(() => outcomes.shift() ?? 'never')).toBe('anew')
    await expect(againWhereGone(() => Promise.reject(new KeyGone()))).rejects.toThrow(KeyGone)
    expect(againWhereGone(() => 'at once')).toBe('at once')
  })
})
