import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import {
  parseCount,
  parseDuration,
  parseExpiry,
  parseGrace,
  parseInterval,
  parseList,
  parseObject,
  parsePort,
} from './parse.ts'

describe('parsePort', () => {
  it('takes 1 to 65535', () => {
    expect(['1', '3000', '65535'].map(parsePort)).toEqual([1, 3000, 65535])
  })

  it.each(['', '0', '65536', '-1', '3000x', '3e3', '0x10', ' 80', '99999999'])('refuses "%s"', (text) => {
    expect(() => parsePort(text)).toThrow(new InvalidArgumentError('It must be a port, 1 to 65535.'))
  })
})

describe('parseDuration', () => {
  it('takes seconds, and numbers with a unit', () => {
    expect(['90', '90s', '15m', '12h', '30d'].map(parseDuration)).toEqual([90, 90, 900, 43_200, 2_592_000])
  })

  it.each(['', '0', '0d', 'd', '1w', '1.5h', '-1h', '1h30m'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(
      new InvalidArgumentError('It must be seconds, or a number with s, m, h or d: 30d.'),
    )
  })
})

describe('parseGrace and parseExpiry', () => {
  it('take a word more', () => {
    expect(['0', '1h'].map(parseGrace)).toEqual([0, 3600])
    expect(['never', '1h'].map(parseExpiry)).toEqual(['never', 3600])
    for (const parse of [parseGrace, parseExpiry]) expect(() => parse('')).toThrow('It must be seconds')
    expect(() => parseExpiry('0')).toThrow('It must be seconds')
  })
})

describe('parseInterval', () => {
  it('is in milliseconds', () => {
    expect(['1ms', '90', '15m', '30d'].map(parseInterval)).toEqual([1, 90_000, 900_000, 2_592_000_000])
  })

  it.each(['', '0', '0ms', 'ms', '1.5s', '-1ms', '1 ms'])('refuses "%s"', (text) => {
    expect(() => parseInterval(text)).toThrow(
      new InvalidArgumentError('It must be seconds, or a number with ms, s, m, h or d: 15m.'),
    )
  })
})

describe('parseCount', () => {
  it('takes whole numbers that are exact', () => {
    expect(['0', '1', '9007199254740992'].map(parseCount)).toEqual([0, 1, 2 ** 53])
  })

  it.each(['', '-1', '1.5', '1e3', '0x10', ' 1', '99999999999999999'])('refuses "%s"', (text) => {
    expect(() => parseCount(text)).toThrow(new InvalidArgumentError('It must be a whole number, 0 to 2^53.'))
  })
})

describe('parseObject', () => {
  it.each(['', 'null', '[]', '"x"', '1', '{', '@', '@/nowhere'])('refuses "%s"', (text) => {
    expect(() => parseObject(text)).toThrow(InvalidArgumentError)
  })

  it('leaves it to the API what it may hold', () => {
    expect(JSON.stringify(parseObject('{"__proto__":1}'))).toBe('{"__proto__":1}')
  })
})

describe('parseList', () => {
  it('takes names with commas between, several times', () => {
    expect(parseList('tunnels:read,tunnels:write')).toEqual(['tunnels:read', 'tunnels:write'])
    expect(parseList('logs:read,', ['tunnels:read'])).toEqual(['tunnels:read', 'logs:read'])
  })

  it.each(['', ',', ' , '])('takes no list that names nothing: %j', (text) => {
    expect(() => parseList(text, ['tunnels:read'])).toThrow('It must name at least one.')
  })
})
