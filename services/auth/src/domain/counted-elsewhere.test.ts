import { describe, expect, it } from 'vitest'
import { createTakesElsewhere } from './counted-elsewhere.ts'

const at = (ms: number) => new Date(ms)
const by = (owner: string) => ({ owner, at: 7 })

describe('createTakesElsewhere', () => {
  it('tells who counted a take, once, and nothing of another', () => {
    const takes = createTakesElsewhere()
    takes.note('read:user_1', at(1), by('auth_a'))
    expect(takes.claim('read:user_1', at(2))).toBeUndefined()
    expect(takes.claim('read:user_2', at(1))).toBeUndefined()
    expect(takes.claim('read:user_1', at(1))).toEqual(by('auth_a'))
    expect(takes.claim('read:user_1', at(1))).toBeUndefined()
  })

  it('tells of each take, where many were made at once', () => {
    const takes = createTakesElsewhere()
    for (const owner of ['auth_a', 'auth_a', 'auth_b']) takes.note('read:user_1', at(1), by(owner))
    const claimed = [1, 2, 3, 4].map(() => takes.claim('read:user_1', at(1))?.owner)
    expect(claimed).toEqual(['auth_b', 'auth_a', 'auth_a', undefined])
  })

  it('remembers the last ten thousand at least, and not all of them', () => {
    const takes = createTakesElsewhere()
    for (let i = 0; i < 100_000; i++) takes.note('read:user_1', at(i), by('auth_a'))
    expect(takes.claim('read:user_1', at(90_000))).toEqual(by('auth_a'))
    expect(takes.claim('read:user_1', at(0))).toBeUndefined()
  })
})
