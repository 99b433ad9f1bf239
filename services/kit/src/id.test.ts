import { describe, expect, it } from 'vitest'
import { isId, newId } from './id.ts'

const zeros = (bytes: number) => Buffer.alloc(bytes)
const ones = (bytes: number) => Buffer.alloc(bytes, 255)

describe('newId', () => {
  it('is a ULID in lower case behind its prefix', () => {
    // The time is the ULID specification's own example, 01ARYZ6S41.
    const now = new Date(1_469_918_176_385)
    expect(newId('key_', now, zeros)).toBe('key_01aryz6s410000000000000000')
    expect(newId('key_', now, ones)).toBe('key_01aryz6s41zzzzzzzzzzzzzzzz')
  })

  it('sorts by the time it was made, also as text in a database', () => {
    const times = [0, 1, 31, 32, 1023, 1024, 1_700_000_000_000, 1_700_000_000_001, 4_102_444_800_000]
    const ids = times.map((time) => newId('tun_', new Date(time)))
    expect([...ids].sort()).toEqual(ids)
    expect(newId('', new Date(5), ones) < newId('', new Date(6), zeros)).toBe(true)
  })

  it('is another one each time, of letters that people do not confuse', () => {
    const now = new Date()
    const ids = Array.from({ length: 10_000 }, () => newId('user_', now))
    expect(new Set(ids).size).toBe(10_000)
    for (const id of ids) expect(id).toMatch(/^user_[0-9abcdefghjkmnpqrstvwxyz]{26}$/)
  })
})

describe('isId', () => {
  it('knows an id of its prefix', () => {
    expect(isId(newId('ses_', new Date()), 'ses_')).toBe(true)
  })

  it.each([
    '',
    'ses_',
    'key_01aryz6s410000000000000000',
    'ses_01aryz6s41000000000000000',
    'ses_01aryz6s4100000000000000000',
    'ses_01ARYZ6S410000000000000000',
    'ses_01aryz6s41000000000000000i',
    'ses_01aryz6s41000000000000000u',
    'ses_01aryz6s410000000000000000\n',
    ' ses_01aryz6s410000000000000000',
    "ses_01aryz6s41000000000' or 1=1",
  ])('knows none in %j', (text) => {
    expect(isId(text, 'ses_')).toBe(false)
  })
})
