import { describe, expect, it } from 'vitest'
import { type LeaseAsk, leaseUses } from './lease.ts'
import { type Book, broughtUpTo, excessIn, heldBy, type LeaseAnswer, withRemaining } from './lease-book.ts'
import type { Meter } from './lease-meter.ts'

const START = 1_000_000
const STEPS = 400

/** A holder as auth is one: it admits by its lease, has one request under way, repeats it until it is answered. */
interface Holder {
  readonly id: string
  isAlive: boolean
  left: number
  until: number
  used: number[]
  turn: number
  request?: { readonly ask: LeaseAsk; readonly times: readonly number[]; readonly sentAt: number } | undefined
}

/**
 * A world of holders, requests that come late, twice or never, and a clock; all decided by the seed. Where it is calm,
 * no holder is killed and none is slow; where it is set, somebody sets what remains now and then.
 */
function worldOf(seed: number, meter: Meter, { isCalm = false, isSet = false } = {}) {
  const random = randomFrom(seed)
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T
  let now = START
  let born = 0
  let book: Book = { meter, leases: [] }
  const admitted: number[] = []
  const stray: LeaseAsk[] = []

  const newHolder = (): Holder => ({
    ...{ id: `h${born++}`, isAlive: true, left: 0, until: 0, used: [], turn: 0 },
  })
  let holders = Array.from({ length: 3 }, newHolder)

  const use = (holder: Holder) => {
    for (let i = 1 + random(4); i > 0 && holder.left > 0 && now < holder.until; i--) {
      holder.left--
      holder.used.push(now)
      admitted.push(now)
    }
  }
  const send = (holder: Holder, settlesOnly: boolean) => {
    if (holder.request) return
    if (now >= holder.until) Object.assign(holder, { left: 0, used: [] })
    const keeps = !settlesOnly && random(2) === 0
    const [kept, returned] = keeps ? [holder.left, 0] : [0, holder.left]
    const times = holder.used
    const ask = {
      holder: holder.id,
      turn: ++holder.turn,
      wanted: settlesOnly ? 0 : 1 + random(5),
      returned,
      kept,
      used: [],
    }
    Object.assign(holder, { left: kept, used: [], request: { ask, times, sentAt: now } })
  }
  const lease = (ask: LeaseAsk, gone: readonly string[] = []) => {
    try {
      const outcome = leaseUses(book, ask, gone, now)
      book = outcome.book
      return outcome
    } catch (error) {
      expect(error).toMatchObject({ reason: 'LEASE_LOST' })
      return undefined
    }
  }
  /** Has keys handle the request; `isHeard` says whether the answer arrives. */
  const deliver = (holder: Holder, isHeard: boolean): void => {
    const { request } = holder
    if (!request || !holder.isAlive) return
    const used = request.times.map((time) => ({ agoMs: now - time, count: 1 }))
    const ask = { ...request.ask, used }
    if (random(10) === 0) stray.push(ask)
    let outcome = lease(ask)
    for (let round = 0; outcome?.holders; round++) {
      expect(round, 'asks no one twice in vain').toBeLessThan(3)
      const gone = outcome.holders.filter((id) => !isAlive(id))
      // Nobody can tell until what they hold is over.
      if (gone.length > 0 && book.meter.nextRemaining !== null) return
      for (const other of holders.filter(({ id }) => outcome?.holders?.includes(id))) settle(other)
      outcome = lease(ask, gone)
    }
    if (!isHeard) return
    holder.request = undefined
    if (!outcome) return void Object.assign(holder, { left: 0, used: [] })
    const sentAt = request.sentAt
    holder.left += outcome.answer.granted
    // The holder counts from when it asked, which was no later than it was answered.
    holder.until = Math.min(outcome.until, outcome.until - now + sentAt)
    if (outcome.answer.code !== '') refused(holder, outcome.answer)
  }
  /** A holder that is recalled: what is under way comes first. */
  const settle = (holder: Holder) => {
    deliver(holder, true)
    send(holder, true)
    deliver(holder, true)
    expect(book.leases.find(({ holder: id }) => id === holder.id)?.held ?? 0).toBe(0)
  }
  const isAlive = (id: string) => holders.some((holder) => holder.id === id && holder.isAlive)

  const refused = (holder: Holder, { code }: LeaseAnswer) => {
    if (book.meter.nextRemaining === 0) return
    const others = holders.filter((other) => other !== holder && other.isAlive && now < other.until)
    const unused = others.reduce((sum, { left }) => sum + left, 0)
    expect(unused, `unused while another is refused: ${code}`).toBe(0)
  }
  const kill = (holder: Holder) => {
    holder.isAlive = false
    holders = [...holders.filter((other) => other !== holder), newHolder()]
  }

  /** What UpdateKey does, and when it answers: from then on, so many may be admitted. */
  const set = (total: number) => {
    book = withRemaining(broughtUpTo(now, book), total)
    while (excessIn(book).length > 0) {
      for (const holder of holders.filter(() => random(2) === 0)) {
        use(holder)
        deliver(holder, true)
      }
      now += random(500)
      book = broughtUpTo(now, book)
    }
    sets.push({ total, from: admitted.length })
  }
  const sets: { total: number; from: number }[] = []

  const step = () => {
    const holder = pick(holders)
    if (isSet && random(40) === 0) return set(random(30))
    const what = random(isCalm ? 96 : 100)
    if (what < 40) use(holder)
    else if (what < 60) send(holder, what < 45)
    else if (what < 80) deliver(holder, what < 75)
    else if (what < 97) now += random(what === 96 ? 12_000 : isCalm ? 20 : 300)
    else if (what === 97) kill(holder)
    else if (stray.length > 0) lease(stray.splice(random(stray.length), 1)[0] as LeaseAsk)
  }
  return {
    run() {
      for (let i = 0; i < STEPS; i++) step()
      for (const holder of holders) settle(holder)
      return { admitted, book, sets }
    },
  }
}

describe('leases, on any schedule of holders, kills, repeats, refills and late settles', () => {
  it('never admit more than remains', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const remaining = 5 + (seed % 60)
      const { admitted, book } = worldOf(seed, { ...meter, remaining }).run()
      const left = book.meter.remaining ?? 0
      expect(admitted.length + left + heldBy(book.leases), `seed ${seed}`).toBeLessThanOrEqual(remaining)
    }
  })

  it('never admit more than what was set to remain, once that is answered', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { admitted, sets } = worldOf(seed, { ...meter, remaining: 20 }, { isSet: true }).run()
      for (const [i, { total, from }] of sets.entries()) {
        const until = sets[i + 1]?.from ?? admitted.length
        expect(until - from, `seed ${seed}`).toBeLessThanOrEqual(total)
      }
    }
  })

  it('lose nothing where nobody is killed or slow', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const remaining = 100 + seed
      const { admitted, book } = worldOf(seed, { ...meter, remaining }, { isCalm: true }).run()
      expect(admitted.length + (book.meter.remaining ?? 0), `seed ${seed}`).toBe(remaining)
    }
  })

  it('never admit more than the window in any span of its length', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const window = { lengthMs: 50 + (seed % 40) * 100, max: 1 + (seed % 25) }
      const { admitted } = worldOf(seed, { ...meter, remaining: null, window }).run()
      for (const from of admitted) {
        const inSpan = admitted.filter((time) => time >= from && time < from + window.lengthMs)
        expect(inSpan.length, `seed ${seed}`).toBeLessThanOrEqual(window.max)
      }
    }
  })

  it('never admit more than a refill between two of them', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const refill = { amount: 1 + (seed % 30), intervalMs: 1000 + (seed % 7) * 700, from: START - 300 }
      const { admitted } = worldOf(seed, { ...meter, remaining: 10, refill }).run()
      const perInterval = Map.groupBy(admitted, (time) =>
        Math.floor((time - refill.from) / refill.intervalMs),
      )
      for (const [interval, times] of perInterval) {
        expect(times.length, `seed ${seed}`).toBeLessThanOrEqual(interval === 0 ? 10 : refill.amount)
      }
    }
  })
})

describe('a key with a window of its own, in steady use at nine tenths of it', () => {
  const MINUTE = 60_000

  it.each([
    ...[1, 2, 5, 9, 90].map((perSecond) => ({ perSecond, lengthMs: MINUTE })),
    ...[20, 200].map((perSecond) => ({ perSecond, lengthMs: 1000 })),
    { perSecond: 0.5, lengthMs: 60 * MINUTE },
  ])('is never refused over ten windows: $perSecond a second in $lengthMs ms', ({ perSecond, lengthMs }) => {
    const max = Math.ceil((perSecond * lengthMs) / 900)
    let book: Book = { meter: { ...meter, window: { lengthMs, max } }, leases: [] }
    let used: number[] = []
    let left = 0
    let until = 0
    for (
      let i = 0, turn = 1, now = START;
      now < START + 10 * lengthMs;
      now = START + Math.round((++i * 1000) / perSecond)
    ) {
      if (left === 0 || now >= until) {
        const settled = { used: used.map((at) => ({ agoMs: now - at, count: 1 })), returned: left, kept: 0 }
        if (now >= until) Object.assign(settled, { used: [], returned: 0 })
        const outcome = leaseUses(book, { holder: 'a', turn: turn++, wanted: 1, ...settled }, [], now)
        if (outcome.holders || outcome.answer.code !== '') throw new Error(`refused at ${now - START}`)
        book = outcome.book
        until = outcome.until
        left = outcome.answer.granted
        used = []
      }
      left--
      used.push(now)
      // As a holder does that has little to do: all goes back before it would be lost.
      if (now >= until - 1500 || left === 0 || perSecond < 1) {
        const settled = { used: used.map((at) => ({ agoMs: now - at, count: 1 })), returned: left, kept: 0 }
        book = leaseUses(book, { holder: 'a', turn: turn++, wanted: 0, ...settled }, [], now).book
        left = 0
        used = []
      }
    }
  })
})

const meter: Meter = {
  ...{ remaining: null, nextRemaining: null, refill: null, lastRefillAt: null, window: null, used: [] },
}

function randomFrom(seed: number) {
  let state = seed * 7919
  return (below: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}
