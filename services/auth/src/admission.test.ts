import { randomBytes } from 'node:crypto'
import { randomAlphanumeric } from '@instatunnel/kit/secret'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import type { Checked } from '../test/check.ts'
import { unauthorized } from '../test/refusals.ts'
import { startAuth } from '../test/start-auth.ts'

const WHO_AM_I = '/instatunnel.auth.v1.AuthService/WhoAmI'
/** Ten times what LIMIT_AUTH_PER_MINUTE admits: wrong credentials of an address. */
const GUESSES = 10

const auth = await startAuth({ LIMIT_AUTH_PER_MINUTE: '1' })
const { neighbours } = auth
afterAll(() => auth.close())
afterEach(() => {
  neighbours.held = undefined
})

const times = (count: number) => Array.from({ length: count }, (_, i) => i)
const guess = () => `it_${randomAlphanumeric(16, randomBytes)}`
const check = (bearer: string, address: string) => auth.check(WHO_AM_I, { bearer, address })
const admitted = expect.objectContaining({ admitted: true })
const limited = expect.objectContaining({ status: 429 })

/** Has keys keep its answers to itself; returns how to end that. */
function hold(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  neighbours.held = promise
  return () => {
    neighbours.held = undefined
    resolve()
  }
}

/** Guesses from an address as often as it may, and once more. */
async function guessTooOften(address: string) {
  for (const _ of times(GUESSES)) expect(await check(guess(), address)).toEqual(unauthorized)
  expect(await check(guess(), address)).toEqual(limited)
}

describe('an address from which too many wrong credentials came', () => {
  it('has four look-ups under way at a time, and everything else refused at once', async () => {
    const address = '203.0.113.1'
    await guessTooOften(address)
    const before = neighbours.lookUps()
    const release = hold()
    const answers: Checked[] = []
    const flood = times(200).map(async () => answers.push(await check(guess(), address)))
    await vi.waitFor(() => expect(answers).toHaveLength(196))
    await vi.waitFor(() => expect(neighbours.lookUps() - before).toBe(4))
    release()
    await Promise.all(flood)
    expect(answers).toEqual(Array(200).fill(limited))
  })

  it('keeps out no key that is known, also while the lane is full', async () => {
    const address = '203.0.113.2'
    const { id } = await auth.register()
    const { secret } = neighbours.addKey({ userId: id })
    expect(await check(secret, '198.51.100.7')).toEqual(admitted)
    await guessTooOften(address)
    const release = hold()
    const flood = times(20).map(() => check(guess(), address))
    for (const _ of times(50)) expect(await check(secret, address)).toEqual(admitted)
    release()
    await Promise.all(flood)
  })

  it('lets a right key that is not known through the lane, and then it is known', async () => {
    const address = '203.0.113.3'
    const { id } = await auth.register()
    await guessTooOften(address)
    const { secret } = neighbours.addKey({ userId: id })
    expect(await check(secret, address)).toEqual(admitted)
  })

  it('makes nobody elsewhere wait', async () => {
    await guessTooOften('203.0.113.4')
    const { id } = await auth.register()
    const release = hold()
    const before = neighbours.lookUps()
    const flood = times(20).map(() => check(guess(), '203.0.113.4'))
    const fresh = times(10).map(() => check(neighbours.addKey({ userId: id }).secret, '203.0.113.5'))
    await vi.waitFor(() => expect(neighbours.lookUps() - before).toBe(4 + 10))
    release()
    expect(await Promise.all(fresh)).toEqual(Array(10).fill(admitted))
    await Promise.all(flood)
  })
})

describe('wrong keys', () => {
  it('are asked of keys once each, however often and from wherever they come', async () => {
    const wrong = times(300).map(guess)
    const before = neighbours.lookUps()
    for (const round of times(3))
      await Promise.all(wrong.map((bearer, i) => check(bearer, `10.${round}.${i % 250}.${i % 3}`)))
    expect(neighbours.lookUps() - before).toBe(300)
  })
})
