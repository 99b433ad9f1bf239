import { describe, expect, it } from 'vitest'
import { createRendezvous } from './rendezvous.ts'

const SUBJECTS = Array.from({ length: 20_000 }, (_, i) => `read:user_01k${i.toString(36)}`)
const ownersAmong = (replicas: readonly string[]) => {
  const { ownerOf } = createRendezvous()
  return new Map(SUBJECTS.map((subject) => [subject, ownerOf(subject, replicas)]))
}
const replicas = (count: number) =>
  Array.from({ length: count }, (_, i) => `auth_${(i + 1).toString().repeat(3)}`)

describe('createRendezvous', () => {
  it('names no owner where there is nobody, and the only one where there is one', () => {
    const { ownerOf } = createRendezvous()
    expect(ownerOf('read:user_1', [])).toBeUndefined()
    expect(ownerOf('read:user_1', ['auth_a'])).toBe('auth_a')
    expect(ownerOf('read:user_1', [])).toBeUndefined()
  })

  it('names the same owner everywhere, in whatever order the replicas are known', () => {
    const among = replicas(5)
    expect(ownersAmong(among.toReversed())).toEqual(ownersAmong(among))
  })

  it.each([2, 3, 5, 8])('gives each of %i replicas its share', (count) => {
    const owners = [...ownersAmong(replicas(count)).values()]
    for (const replica of replicas(count)) {
      const share = owners.filter((owner) => owner === replica).length / SUBJECTS.length
      expect(share, replica).toBeGreaterThan(0.8 / count)
      expect(share, replica).toBeLessThan(1.2 / count)
    }
  })

  it('changes the owner of nothing but what the one that went had, and the one that came has', () => {
    const [before, after] = [ownersAmong(replicas(4)), ownersAmong(replicas(3))]
    for (const subject of SUBJECTS) {
      if (before.get(subject) !== 'auth_444') expect(after.get(subject)).toBe(before.get(subject))
    }
    // What it had is spread over all the others.
    const heirs = new Set(SUBJECTS.filter((s) => before.get(s) === 'auth_444').map((s) => after.get(s)))
    expect([...heirs].sort()).toEqual(replicas(3))
  })

  it('knows of a change at once', () => {
    const { ownerOf } = createRendezvous()
    const moved = SUBJECTS.filter((subject) => ownerOf(subject, ['auth_a', 'auth_b']) === 'auth_b')
    expect(moved.length).toBeGreaterThan(0)
    for (const subject of moved) expect(ownerOf(subject, ['auth_a'])).toBe('auth_a')
  })

  it('tells subjects apart that differ in their last sign, or in their kind', () => {
    const two = ['auth_a', 'auth_b']
    const { ownerOf } = createRendezvous()
    const named = (subjects: string[]) => new Set(subjects.map((subject) => ownerOf(subject, two))).size
    expect(named(Array.from({ length: 40 }, (_, i) => `auth:10.0.0.${i}`))).toBe(2)
    expect(named(['auth', 'read', 'write', 'connect', 'email', 'invalid', 'a', 'b'])).toBe(2)
  })
})
