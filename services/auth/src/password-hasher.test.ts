import { describe, expect, it, vi } from 'vitest'
import { createPasswordHasher } from './password-hasher.ts'

/** Hashes that begin, and end when a test says so. */
const argon2 = vi.hoisted(() => ({
  running: [] as { what: string; end: () => void }[],
  begun: [] as string[],
}))
vi.mock('./domain/password.ts', () => {
  const begin = (what: string) => {
    argon2.begun.push(what)
    return new Promise<boolean>((resolve) => {
      const end = () => {
        argon2.running = argon2.running.filter((one) => one.end !== end)
        resolve(true)
      }
      argon2.running.push({ what, end })
    })
  }
  return {
    hashPassword: (password: string) => begin(`hash ${password}`),
    isPassword: (password: string) => begin(`compare ${password}`),
    isNobodysPassword: (password: string) => begin(`compare ${password} with nobody's`).then(() => false),
  }
})

const busy = { reason: 'PASSWORDS_BUSY', details: { retryAfterSeconds: 1 } }
const stranger = () => ({ signal: new AbortController().signal, queue: 'strangers' as const })
const known = () => ({ ...stranger(), queue: 'known' as const })
const changing = () => ({ ...stranger(), queue: 'changes' as const })
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A hasher, and how each of its calls ended so far. */
function setUp() {
  Object.assign(argon2, { running: [], begun: [] })
  const passwords = createPasswordHasher()
  const outcomes = new Map<string, unknown>()
  const note = (name: string, call: Promise<unknown>) =>
    void call.then(
      (value) => outcomes.set(name, value),
      (error) => outcomes.set(name, error),
    )
  const endOne = async () => {
    argon2.running[0]?.end()
    await turn()
  }
  return { passwords, outcomes, note, endOne }
}

describe('the password hasher', () => {
  it('hashes two at once, whatever for, in the order that they came', async () => {
    const { passwords, note, endOne } = setUp()
    note('1', passwords.matches('a', 'stored', stranger()))
    note('2', passwords.matches('b', undefined, stranger()))
    note('3', passwords.hash('c', stranger()))
    note('4', passwords.matches('d', undefined, stranger()))
    expect(argon2.begun).toEqual(['compare a', "compare b with nobody's"])
    await endOne()
    expect(argon2.begun.slice(2)).toEqual(['hash c'])
    expect(argon2.running).toHaveLength(2)
    await endOne()
    expect(argon2.begun.slice(3)).toEqual(["compare d with nobody's"])
  })

  it('refuses past two and 32 that wait, known and unknown e-mails alike, and goes on as places come free', async () => {
    const { passwords, outcomes, note, endOne } = setUp()
    for (let n = 0; n < 34; n++)
      note(`${n}`, passwords.matches(`${n}`, n % 2 ? 'stored' : undefined, stranger()))
    for (const stored of [undefined, 'stored'])
      await expect(passwords.matches('late', stored, stranger())).rejects.toMatchObject(busy)
    await expect(passwords.hash('late', stranger())).rejects.toMatchObject(busy)
    expect(argon2.running).toHaveLength(2)
    await endOne()
    note('next', passwords.matches('next', undefined, stranger()))
    while (argon2.running.length > 0) await endOne()
    expect(argon2.begun).toHaveLength(35)
    expect(outcomes.get('next')).toBe(false)
  })

  it('lets those that are known have the next turn, though strangers and changes fill their queues', async () => {
    const { passwords, note, endOne } = setUp()
    for (let n = 0; n < 34; n++) note(`${n}`, passwords.matches(`${n}`, undefined, stranger()))
    for (let n = 0; n < 32; n++) note(`c${n}`, passwords.matches(`c${n}`, 'stored', changing()))
    for (const caller of [stranger(), changing()])
      await expect(passwords.matches('late', 'stored', caller)).rejects.toMatchObject(busy)
    note('known', passwords.matches('known', 'stored', known()))
    await endOne()
    expect(argon2.begun.at(-1)).toBe('compare known')
  })

  it('keeps no queue waiting for another: full ones take turns', async () => {
    const { passwords, note, endOne } = setUp()
    for (let n = 0; n < 2; n++) note(`${n}`, passwords.matches(`${n}`, undefined, stranger()))
    for (let n = 0; n < 32; n++)
      for (const caller of [stranger(), changing(), known()])
        note(`${n} ${caller.queue}`, passwords.matches(`${n} ${caller.queue}`, 'stored', caller))
    while (argon2.running.length > 0) await endOne()
    const turns = argon2.begun.slice(2)
    expect(turns).toHaveLength(96)
    for (let n = 0; n < 32; n++)
      expect(turns.slice(3 * n, 3 * n + 3).toSorted()).toEqual(
        ['changes', 'known', 'strangers'].map((queue) => `compare ${n} ${queue}`),
      )
  })

  it('lets two of one user wait, and others of the same queue as well', async () => {
    const { passwords, note, endOne } = setUp()
    const of = (account: string) => ({ ...changing(), account })
    for (let n = 0; n < 4; n++) note(`${n}`, passwords.matches(`${n}`, 'stored', of('user_a')))
    await expect(passwords.matches('late', 'stored', of('user_a'))).rejects.toMatchObject(busy)
    note('b', passwords.matches('b', 'stored', of('user_b')))
    await endOne()
    note('5', passwords.matches('5', 'stored', of('user_a')))
    while (argon2.running.length > 0) await endOne()
    expect(argon2.begun).toEqual(['0', '1', '2', '3', 'b', '5'].map((one) => `compare ${one}`))
  })

  it('keeps no owner waiting for right logins of accounts of an attacker, who has many addresses', async () => {
    const { passwords, outcomes, note, endOne } = setUp()
    for (let n = 0; n < 78; n++) {
      const caller = { ...known(), account: `user_${n % 3}`, address: `203.0.113.${n}` }
      note(`${n}`, passwords.matches(`${n}`, 'stored', caller))
    }
    await turn()
    expect([...outcomes.values()]).toHaveLength(78 - 2 - 3 * 2)
    // As many accounts as there are places: these have them all.
    for (let n = 0; n < 40; n++) {
      const caller = { ...known(), account: `user_${n + 3}`, address: `198.51.100.${n}` }
      note(`${n + 78}`, passwords.matches(`${n + 78}`, 'stored', caller))
    }
    await turn()
    note(
      'owner',
      passwords.matches('owner', 'stored', { ...known(), account: 'owner', address: '192.0.2.1' }),
    )
    for (let ended = 0; ended < 3; ended++) await endOne()
    expect(argon2.begun).toContain('compare owner')
  })

  it('passes the place on where the work fails', async () => {
    const { passwords, note } = setUp()
    const fail = () => Promise.reject(new Error('no database'))
    const { signal } = stranger()
    for (let n = 0; n < 20; n++) note(`${n}`, passwords.lookUp(fail, { signal }))
    expect(await passwords.lookUp(async () => 'found', { signal })).toBe('found')
  })

  it('drops a caller that has gone without hashing, and gives the place to another', async () => {
    const { passwords, outcomes, note, endOne } = setUp()
    const gone = Array.from({ length: 32 }, () => new AbortController())
    for (const n of [1, 2]) note(`${n}`, passwords.matches(`${n}`, undefined, stranger()))
    for (const { signal } of gone)
      note('gone', passwords.matches('gone', undefined, { ...stranger(), signal }))
    for (const caller of gone) caller.abort()
    await turn()
    expect(outcomes.get('gone')).toMatchObject({ name: 'AbortError' })
    note('next', passwords.matches('next', undefined, stranger()))
    await endOne()
    expect(argon2.begun).toEqual([
      "compare 1 with nobody's",
      "compare 2 with nobody's",
      "compare next with nobody's",
    ])
    const caller = { ...stranger(), signal: AbortSignal.abort() }
    await expect(passwords.hash('late', caller)).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('never hashes more than two at once, though callers leave while theirs are hashed', async () => {
    const { passwords, note, endOne } = setUp()
    for (let n = 0; n < 8; n++) {
      const leaving = new AbortController()
      note(`${n}`, passwords.matches(`${n}`, undefined, { ...stranger(), signal: leaving.signal }))
      leaving.abort()
      await turn()
    }
    expect(argon2.begun).toHaveLength(2)
    await endOne()
    note('last', passwords.matches('last', undefined, stranger()))
    expect(argon2.running).toHaveLength(2)
  })

  it('looks four accounts up at once, 128 wait, and the next is refused', async () => {
    const { passwords, note } = setUp()
    const ends: (() => void)[] = []
    const find = () => new Promise<void>((resolve) => ends.push(resolve))
    const { signal } = stranger()
    for (let n = 0; n < 132; n++) note(`${n}`, passwords.lookUp(find, { signal }))
    expect(ends).toHaveLength(4)
    await expect(passwords.lookUp(find, { signal })).rejects.toMatchObject(busy)
    ends[0]?.()
    await turn()
    expect(ends).toHaveLength(5)
  })
})
