import { describe, expect, it } from 'vitest'
import { createDeviceCookie } from './device-cookie.ts'

const local = createDeviceCookie('http://localhost:8080')
const remote = createDeviceCookie('https://api.example.com')
const token = (n: number) => `itd_${`${n}`.padStart(32, '0')}`
const tokens = (from: number, count: number) => Array.from({ length: count }, (_, n) => token(from + n))
const named = (...found: string[][]) => found.map((each) => `instatunnel_device=${each.join('.')}`).join('; ')

describe('createDeviceCookie', () => {
  it('reads cookies of its name one by one, and passes them on so', () => {
    const found = [tokens(0, 4), tokens(4, 1), tokens(2, 4)]
    expect(local.read(named(...found))).toEqual(found)
    expect(local.own(`a=b; ${named(...found)}, c=d`)).toBe(named(...found))
    expect(local.read(local.own(named(...found)))).toEqual(found)
    expect(remote.read(named(...found))).toEqual([])
    expect(local.own('instatunnel_device=theirs')).toBe('')
  })

  it('leaves out what says nothing new, so repeated cookies hide none', () => {
    const repeated = Array.from({ length: 500 }, () => tokens(0, 4))
    expect(local.read(named(...repeated, tokens(9, 1)))).toEqual([tokens(0, 4), tokens(9, 1)])
  })

  it('reads sixteen tokens and no more', () => {
    const many = Array.from({ length: 100 }, (_, n) => tokens(n * 4, 4))
    expect(local.read(named(...many))).toEqual(many.slice(0, 4))
    const single = Array.from({ length: 100 }, (_, n) => [token(n)])
    expect(local.read(named(...single))).toEqual(single.slice(0, 16))
  })

  it('writes the first four', () => {
    expect(local.set(tokens(0, 9)).split(';')[0]).toBe(named(tokens(0, 4)))
  })
})
