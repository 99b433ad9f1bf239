import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createKnown } from './known.ts'
import type { Asked } from './look-ups.ts'

interface Thing {
  readonly id: string
  readonly tags: readonly string[]
  readonly version: number
}

/** A memory of things in a directory that a test changes, and answers when the test lets it. */
function remembering({ max = 1000, random = (): number => 0.5 } = {}) {
  const directory = new Map<string, Thing>()
  const clock = { now: 0 }
  const hearing = { isHeard: true }
  const asked: (readonly string[])[] = []
  const held: (() => void)[] = []
  const state = { isHolding: false, isAway: false }
  const lookUp = async (asking: readonly Asked<Thing>[]) => {
    asked.push(asking.map(({ id }) => id))
    if (state.isAway) throw new Error('the directory is away')
    const found = new Map(
      asking.flatMap(({ id, known }): [string, Thing][] => {
        const thing = directory.get(id)
        return thing ? [[id, known && isDeepStrictEqual(known, thing) ? known : thing]] : []
      }),
    )
    if (state.isHolding) await new Promise<void>((resolve) => held.push(resolve))
    return found
  }
  const known = createKnown<Thing>({
    ...{ lookUp, tagsOf: ({ tags }: Thing) => tags, max },
    now: () => new Date(clock.now),
    isHeard: () => hearing.isHeard,
    random, // each is renewed after 20 s, unless said otherwise
  })
  const put = (id: string, tags: readonly string[] = [id], version = 1) =>
    directory.set(id, { id, tags, version })
  const version = async (id: string) => (await known.find(id))?.version
  return { ...known, directory, put, version, clock, hearing, asked, held, state }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const isAtOnce = (found: unknown) => !(found instanceof Promise)

describe('what is known', () => {
  it('is there at once, and is not asked for again', async () => {
    const { put, find, version, asked } = remembering()
    put('a')
    expect(isAtOnce(find('a'))).toBe(false)
    expect(await version('a')).toBe(1)
    expect(find('a')).toMatchObject({ version: 1 })
    expect(asked).toEqual([['a']])
  })

  it('is believed for 30 s, and for 5 while no change is heard of', async () => {
    const { put, find, version, clock, hearing, asked } = remembering()
    put('a')
    await version('a')
    clock.now = 4999
    hearing.isHeard = false
    expect(isAtOnce(find('a'))).toBe(true)
    clock.now = 5000
    expect(isAtOnce(find('a'))).toBe(false)
    hearing.isHeard = true
    expect(isAtOnce(find('a'))).toBe(true)
    await turn()
    expect(asked).toHaveLength(2)
    clock.now = 34_999
    expect(isAtOnce(find('a'))).toBe(true)
    await version('a')
    clock.now = 100_000
    expect(isAtOnce(find('a'))).toBe(false)
  })

  it('is believed no longer where the clock is set back', async () => {
    const { put, find, version, clock, asked } = remembering()
    clock.now = 3_600_000
    put('a')
    await version('a')
    await version('gone')
    clock.now = 0
    expect(isAtOnce(find('a'))).toBe(true)
    expect(isAtOnce(find('gone'))).toBe(true)
    clock.now = 30_000
    expect(isAtOnce(find('a'))).toBe(false)
    expect(isAtOnce(find('gone'))).toBe(false)
    await turn()
    expect(asked).toHaveLength(3)
  })

  it('counts its age from when it was asked for', async () => {
    const { put, find, version, clock, state, held } = remembering()
    put('a')
    state.isHolding = true
    const answer = version('a')
    await turn()
    clock.now = 29_000
    for (const release of held) release()
    await answer
    clock.now = 30_000
    expect(isAtOnce(find('a'))).toBe(false)
  })

  it('is renewed while it is in use, and nobody waits for that', async () => {
    const { put, find, version, clock, asked } = remembering()
    put('a')
    await version('a')
    for (let second = 1; second <= 100; second++) {
      clock.now = second * 1000
      expect(isAtOnce(find('a')), `after ${second} s`).toBe(true)
      await turn()
      await turn()
    }
    expect(asked).toHaveLength(1 + 5)
    put('a', ['a'], 2)
    clock.now += 20_000
    await version('a')
    await turn()
    expect(await version('a')).toBe(2)
  })

  it('stays the very same where nothing is otherwise when it is renewed, with what was made of it', async () => {
    const { put, find, version, clock } = remembering()
    const tags = ['a']
    put('a', tags)
    await version('a')
    const first = find('a')
    put('a', tags)
    clock.now = 20_000
    find('a')
    await turn()
    await turn()
    clock.now = 40_000
    expect(find('a')).toBe(first)
    await turn()
    put('a', tags, 2)
    clock.now = 60_000
    find('a')
    await turn()
    await turn()
    expect(find('a')).toMatchObject({ version: 2 })
  })

  it('is renewed within ten seconds from the fifteenth on, not all at once', async () => {
    let drawn = 0
    const { put, find, version, clock, asked } = remembering({ random: () => drawn++ / 10 })
    const ids = Array.from({ length: 10 }, (_, n) => `id-${n}`)
    for (const id of ids) put(id)
    await Promise.all(ids.map(version))
    for (let second = 14; second < 26; second++) {
      clock.now = second * 1000
      for (const id of ids) expect(isAtOnce(find(id))).toBe(true)
      await turn()
    }
    expect(asked.slice(1)).toEqual(ids.map((id) => [id]))
  })

  it('is renewed behind what somebody waits for', async () => {
    const { put, find, version, clock, asked, held, state } = remembering()
    const ids = Array.from({ length: 200 }, (_, n) => `id-${n}`)
    for (const id of ids) put(id)
    await Promise.all(ids.map(version))
    asked.length = 0
    clock.now = 20_000
    state.isHolding = true
    for (const id of ids) find(id)
    await expect.poll(() => asked.map(({ length }) => length)).toEqual([64, 64])
    await turn()
    const others = [version('other'), version('another')]
    await turn()
    expect(asked).toHaveLength(3)
    expect(asked[2]).toEqual(['other', 'another', ...ids.slice(128, 190)])
    // One that is still to be renewed, and that somebody waits for now, waits for it no longer than any other.
    clock.now = 30_000
    const late = version('id-199')
    await turn()
    expect(asked.slice(3)).toEqual([['id-199', ...ids.slice(190, 199)]])
    state.isHolding = false
    for (const release of held) release()
    expect(await Promise.all([...others, late])).toEqual([undefined, undefined, 1])
  })

  it('has a share of every batch, however many wait for others', async () => {
    const { put, find, version, clock, asked, state } = remembering()
    const ids = Array.from({ length: 20 }, (_, n) => `known ${n}`)
    for (const id of ids) put(id)
    await Promise.all(ids.map(version))
    clock.now = 20_000
    state.isHolding = true
    for (let n = 0; n < 8 * 64 + 100; n++) void version(`missed ${n}`)
    for (const id of ids) find(id)
    for (let turns = 0; turns < 10; turns++) await turn()
    const renewed = asked.slice(1).flatMap((batch) => batch.filter((id) => id.startsWith('known')))
    expect(renewed).toEqual(ids)
    expect(asked[1]).toHaveLength(64)
    expect(asked[1]?.filter((id) => id.startsWith('known'))).toHaveLength(16)
  })

  it('is answered to whoever waits for it by the renewal that is under way', async () => {
    const { put, version, find, clock, asked, held, state } = remembering()
    put('a')
    await version('a')
    state.isHolding = true
    clock.now = 20_000
    find('a')
    await turn()
    clock.now = 31_000
    const late = version('a')
    await turn()
    state.isHolding = false
    held.shift()?.()
    expect(await late).toBe(1)
    expect(asked).toHaveLength(2)
  })

  it('is not renewed where it was forgotten before its turn', async () => {
    const { put, version, find, evict, clock, asked } = remembering()
    put('a')
    await version('a')
    clock.now = 20_000
    find('a')
    evict('a')
    await turn()
    expect(asked).toHaveLength(1)
    expect(await version('a')).toBe(1)
  })

  it('ends when its time is over where it cannot be renewed', async () => {
    const { put, find, version, clock, state } = remembering()
    put('a')
    await version('a')
    state.isAway = true
    clock.now = 29_999
    expect(find('a')).toMatchObject({ version: 1 })
    await turn()
    clock.now = 30_000
    await expect(find('a')).rejects.toThrow('the directory is away')
    state.isAway = false
    expect(await version('a')).toBe(1)
  })

  it('is bounded: what was not used for longest goes, with its tags', async () => {
    const { put, find, version, evict } = remembering({ max: 3 })
    for (const id of ['a', 'b', 'c', 'd']) put(id, [id, 'all'])
    for (const id of ['a', 'b', 'c']) await version(id)
    find('a')
    await version('d')
    expect(['a', 'c', 'd'].map((id) => isAtOnce(find(id)))).toEqual([true, true, true])
    expect(isAtOnce(find('b'))).toBe(false)
    evict('all')
    for (const id of ['a', 'c', 'd']) expect(isAtOnce(find(id)), id).toBe(false)
  })
})

describe('what is unknown', () => {
  it('is remembered as such for 30 s, and for 5 while no change is heard of', async () => {
    const { put, find, version, clock, hearing, asked } = remembering()
    expect(await version('a')).toBeUndefined()
    put('a')
    clock.now = 29_999
    expect([isAtOnce(find('a')), find('a')]).toEqual([true, undefined])
    hearing.isHeard = false
    expect(isAtOnce(find('a'))).toBe(false)
    expect(await version('a')).toBe(1)
    expect(asked).toHaveLength(2)
  })

  it('is looked up anew once that is evicted', async () => {
    const { put, version, evictUnknown } = remembering()
    await version('a')
    put('a')
    expect(await version('a')).toBeUndefined()
    evictUnknown()
    expect(await version('a')).toBe(1)
  })

  it('is bounded: the oldest are forgotten, and what is known is not', async () => {
    const { put, find, version, asked } = remembering()
    put('a')
    await version('a')
    for (let batch = 0; batch < 205; batch++)
      await Promise.all(Array.from({ length: 500 }, (_, n) => find(`wrong-${batch}-${n}`)))
    expect(asked).toHaveLength(1 + 205 * 8)
    expect(isAtOnce(find('wrong-204-499'))).toBe(true)
    expect(isAtOnce(find('wrong-100-0'))).toBe(true)
    expect(isAtOnce(find('wrong-99-499'))).toBe(false)
    expect(isAtOnce(find('a'))).toBe(true)
  })
})

describe('what is looked up', () => {
  it('is looked up once however many ask for it', async () => {
    const { put, find, asked } = remembering()
    put('a')
    const found = await Promise.all(Array.from({ length: 1000 }, () => find('a')))
    expect(new Set(found).size).toBe(1)
    expect(asked).toEqual([['a']])
  })

  it('is looked up once also where it has to wait for its turn, and not at all where that is refused', async () => {
    const { put, find, asked } = remembering()
    put('a')
    let turns = Promise.resolve()
    const oneByOne = <T>(lookUp: () => Promise<T>): Promise<T> => {
      const answer = turns.then(lookUp)
      turns = answer.then(() => {})
      return answer
    }
    const found = await Promise.all(['a', 'a', 'b', 'b'].map((id) => find(id, oneByOne)))
    expect(found.map((thing) => thing?.id)).toEqual(['a', 'a', undefined, undefined])
    expect(asked).toEqual([['a'], ['b']])
    const refuse = () => Promise.reject(new Error('too many'))
    expect(isAtOnce(find('a', refuse))).toBe(true)
    await expect(find('c', refuse)).rejects.toThrow('too many')
    expect(asked).toHaveLength(2)
  })

  it('goes together with all of its turn, 64 at a time', async () => {
    const { put, find, asked } = remembering()
    const ids = Array.from({ length: 150 }, (_, n) => `id-${n}`)
    for (const id of ids) put(id)
    const found = await Promise.all(ids.map((id) => find(id)))
    expect(found.map((thing) => (thing as Thing).id)).toEqual(ids)
    expect(asked.map(({ length }) => length)).toEqual([64, 64, 22])
  })

  it('waits for its turn where much is under way, and then goes together', async () => {
    const { find, asked, held, state } = remembering()
    state.isHolding = true
    const answers: unknown[] = []
    for (let n = 0; n < 20; n++) {
      answers.push(find(`id-${n}`))
      await turn()
    }
    expect(asked).toHaveLength(8)
    state.isHolding = false
    for (const release of held) release()
    await Promise.all(answers)
    expect(asked.map(({ length }) => length)).toEqual([...Array(8).fill(1), 12])
  })

  it('fails for all who asked, and is not remembered', async () => {
    const { put, find, version, state } = remembering()
    put('a')
    state.isAway = true
    for (const answer of [find('a'), find('a'), find('b')])
      await expect(answer).rejects.toThrow('the directory is away')
    state.isAway = false
    expect(await version('a')).toBe(1)
  })
})

describe('what was evicted', () => {
  it('is asked for again; others are not', async () => {
    const { put, find, version, evict, evictAll } = remembering()
    put('a', ['key_1', 'user_1'])
    put('old a', ['key_1', 'user_1'])
    put('b', ['key_2', 'user_1'])
    put('c', ['key_3', 'user_2'])
    const known = () => ['a', 'old a', 'b', 'c'].filter((id) => isAtOnce(find(id)))
    const learnAll = () => Promise.all(['a', 'old a', 'b', 'c'].map(version))
    await learnAll()
    expect(known()).toEqual(['a', 'old a', 'b', 'c'])
    evict('key_1')
    expect(known()).toEqual(['b', 'c'])
    await learnAll()
    evict('user_1')
    expect(known()).toEqual(['c'])
    await learnAll()
    evict('key_unheard_of')
    expect(known()).toEqual(['a', 'old a', 'b', 'c'])
    evictAll()
    expect(known()).toEqual([])
  })

  it('follows the tags of what is known last', async () => {
    const { put, find, version, clock, evict } = remembering()
    put('a', ['user_1'])
    await version('a')
    put('a', ['user_2'])
    clock.now = 30_000
    await version('a')
    evict('user_1')
    expect(isAtOnce(find('a'))).toBe(true)
    evict('user_2')
    expect(isAtOnce(find('a'))).toBe(false)
  })

  it('while it was looked up is neither remembered nor answered, however often', async () => {
    const { put, find, version, evict, asked, held, state } = remembering()
    put('a', ['key_1', 'user_1'])
    state.isHolding = true
    const [before, other] = [version('a'), version('b')]
    await turn()
    put('a', ['key_1', 'user_1'], 2)
    evict('key_1')
    const joined = version('a')
    held.shift()?.()
    await expect.poll(() => held.length).toBe(1)
    put('a', ['key_1', 'user_1'], 3)
    evict('user_1')
    held.shift()?.()
    await expect.poll(() => held.length).toBe(1)
    state.isHolding = false
    held.shift()?.()
    expect(await Promise.all([before, joined, other])).toEqual([3, 3, undefined])
    expect(asked).toEqual([['a', 'b'], ['a'], ['a']])
    expect(find('a')).toMatchObject({ version: 3 })
  })

  it('puts no old answer back where it was renewed', async () => {
    const { put, find, version, clock, evict, held, state, directory } = remembering()
    put('a', ['key_1'])
    await version('a')
    clock.now = 25_000
    state.isHolding = true
    find('a')
    await turn()
    directory.delete('a') // it is revoked
    evict('key_1')
    state.isHolding = false
    held.shift()?.()
    expect(await version('a')).toBeUndefined()
    expect([isAtOnce(find('a')), find('a')]).toEqual([true, undefined])
  })

  it('as unknown, while it was looked up, is looked up again', async () => {
    const { put, version, evict, evictUnknown, held, state } = remembering()
    state.isHolding = true
    const restored = version('a')
    await turn()
    put('a', ['key_1'])
    evict('key_1') // says nothing of what nobody knew
    evictUnknown()
    state.isHolding = false
    held.shift()?.()
    expect(await restored).toBe(1)
  })

  it('with all else, while it was looked up, is looked up again', async () => {
    const { put, version, evictAll, held, state, asked } = remembering()
    put('a')
    state.isHolding = true
    const answers = [version('a'), version('b')]
    await turn()
    put('a', ['a'], 2)
    put('b')
    evictAll()
    state.isHolding = false
    held.shift()?.()
    expect(await Promise.all(answers)).toEqual([2, 1])
    expect(asked).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
  })
})
